"""Results of run() for the mini-batches of the sample: of a few workers, or of fresh ones if those disagree.

The checks on order, history, size and repetition share these observations, because each costs an init().
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.dependence.concurrency import SIDE_BY_SIDE
from pytest_parallelrun.contract.dependence.screening import Screening
from pytest_parallelrun.contract.entry.mini_batches import Observation, RunOutcome, SampleMiniBatch, first_difference
from pytest_parallelrun.contract.entry.sample_attempts import SampleAttempts
from pytest_parallelrun.contract.rows.comparison import NondeterministicValues
from pytest_parallelrun.contract.rows.values import Key

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.probe import ProbeSession


Ask = Callable[["Observations", "ProbeSession"], object]
"""What a check asks a worker."""


class Observations(SampleAttempts):
    """The answers that checks compare. Most come from `screening`; all of them, if it found no difference.

    questions: of checks, by name, for the worker that is asked everything.
    """

    def __init__(self, entry: EntryUnderTest, baseline: Baseline, questions: Mapping[str, Ask] | None = None) -> None:
        super().__init__(entry, baseline)
        self._questions = questions or {}
        self.screening = Screening(self, {name: partial(ask, self) for name, ask in self._questions.items()})
        self._asking: Observations | None = None
        self.processes_agree = False
        """Whether worker processes are known to answer like emulated workers, if these have seen the same before."""

    def comparing_processes(self) -> Observations:
        """These, with worker processes as the first two workers; others, if emulated ones were asked already."""
        observations = Observations(self.entry, self.baseline) if self.screening.has_begun else self
        observations.pair_entry = replace(self.entry, engine="process")
        return observations

    def asking(self, entry: EntryUnderTest) -> Observations:
        """The same mini-batches for another engine, with the answers of the first two workers if it gave them."""
        other = self._asking = Observations(entry, self.baseline, self._questions)
        self.share_with(other, SIDE_BY_SIDE if self.pair_entry.engine == entry.engine else None)
        return other

    @property
    def answering(self) -> Observations:
        """Those of the other engine, if that has answered, else these."""
        return self._asking if self._asking is not None and "forward" in self._asking.__dict__ else self

    def recalled(self, name: str) -> object:
        """What `remember` returned here or for the other engine, if it was asked, else None."""
        known = super().recalled(name)
        return self._asking.recalled(name) if known is None and self._asking is not None else known

    @property
    def is_known(self) -> bool:
        """Whether the answers are known to depend only on the items; not determined for one check alone."""
        return self.screening.has_begun and self.screening.agrees

    @cached_property
    def forward(self) -> Observation:
        """All mini-batches, on fresh workers in order; a halved one is included as a whole too."""
        if self.screening.agrees:
            return self.screening.in_turn
        observation = self.observe(self.asked)
        if self.is_halved:
            observation.attempts += self.observe(self.answered).attempts
        return observation

    @cached_property
    def backward(self) -> Observation:
        """All mini-batches in reverse order, on one fresh worker."""
        return self.screening.backward or self.observe(self.asked[::-1])

    @cached_property
    def again(self) -> Observation:
        """The same again: differences are random."""
        return self.screening.again or self.observe(self.asked[::-1])

    @cached_property
    def nondeterministic(self) -> NondeterministicValues | None:
        """The difference between `backward` and `again`, two identical runs on fresh workers."""
        if self.screening.agrees:
            return self.screening.nondeterministic
        return self.differing(self.backward, self.again)

    @property
    def first_change(self) -> tuple[SampleMiniBatch, tuple[str, str]]:
        """A mini-batch for which two identical runs differ, if `nondeterministic` says so, and how."""
        for mini_batch in self.asked:
            first, second = self.backward.answer(mini_batch), self.again.answer(mini_batch)
            difference = None if first is None or second is None else first_difference(first, second)
            if difference is not None:
                return mini_batch, (self.shown(difference[0]), self.shown(difference[1]))
        raise LookupError("two identical runs agree")

    @property
    def ignoring(self) -> frozenset[Key]:
        """Values that differ between any two runs."""
        return frozenset() if self.nondeterministic is None else self.nondeterministic.keys

    def first_difference(self, expected: RunOutcome | None, actual: RunOutcome | None) -> tuple[str, str] | None:
        """How two answers differ apart from values that always differ; None if one is missing."""
        if expected is None or actual is None:
            return None
        difference = first_difference(expected, actual, self.ignoring)
        return None if difference is None else (self.shown(difference[0]), self.shown(difference[1]))

"""A few workers that are asked everything first: if all their answers agree, no check needs others.

Two workers get the mini-batches of the sample in turn, and the first one again. A third gets them backward, their items
one by one, and the questions of other checks. Whatever an answer depends on (order, size, worker, a second delivery)
differs between these. If answers differ, the checks use their own workers to find the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.bounds import MAX_MERGED, MAX_SINGLES
from pytest_parallelrun.contract.dependence.concurrency import side_by_side
from pytest_parallelrun.contract.entry.mini_batches import (
    Observation,
    RunOutcome,
    answer_of,
    called_as,
    first_difference,
    joined_answers,
    merged,
    singles_of,
)
from pytest_parallelrun.emulator.probe import WorkerStartError
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched

if TYPE_CHECKING:
    from pytest_parallelrun.contract.dependence.concurrency import ConcurrentRun
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.sample_attempts import SampleAttempts
    from pytest_parallelrun.contract.rows.comparison import NondeterministicValues
    from pytest_parallelrun.contract.rows.values import Key
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession

Pair = tuple[RunOutcome, RunOutcome]
"""Two answers that should be the same."""
Question = Callable[["ProbeSession"], object]
"""What a check would ask a fresh worker."""


class Screening:
    """The questions and their answers, asked when the first one is needed."""

    def __init__(self, attempts: SampleAttempts, questions: Mapping[str, Question]) -> None:
        self._attempts = attempts
        self._questions = questions
        self.opened = FilesTouched()
        """What the third worker opened for the mini-batches of the sample, including import and init()."""
        self.answers: dict[str, object] = {}
        """Answers to the questions of other checks, valid if all agree."""
        self._of_sizes: list[Pair] = []
        self._whole = Observation()
        self.start_error: tuple[int, Failure] | None = None
        """The worker of `pair` that did not start, and why."""
        self.again: Observation | None = None
        """The same as `backward` on another fresh worker, if something differed."""
        self.nondeterministic: NondeterministicValues | None = None
        """The difference between these two."""

    @cached_property
    def pair(self) -> ConcurrentRun | None:
        """Results of two workers; None if there is nothing to ask, or one did not start."""
        if not self._attempts.asked:
            return None
        try:
            return side_by_side(self._attempts)
        except WorkerStartError as error:
            self.start_error = error.worker, error.failure
            return None

    @cached_property
    def backward(self) -> Observation | None:
        """All mini-batches in reverse order, on a third worker; None without `pair`."""
        attempts, observation = self._attempts, Observation()
        if self.pair is None:
            return None
        attempts.restore()
        try:
            with attempts.entry.session(probe_limit=attempts.probe_limit) as worker:
                with worker.held():
                    for mini_batch in attempts.asked[::-1]:
                        observation.attempts.append((mini_batch, attempts.attempt(worker, mini_batch)))
                    self._of_sizes = list(self._ask_other_sizes(worker, observation))
                for files in (worker.setting_up, *(result.files for _, result in observation.attempts)):
                    self.opened.read.update(files.read)
                for name, question in self._questions.items():
                    attempts.restore()
                    self.answers[name] = question(worker)
        except WorkerStartError:
            return None
        return observation

    @cached_property
    def agrees_exactly(self) -> bool:
        """Whether all answers agree, with nothing random in them."""
        return self.backward is not None and not self._fails_what_succeeded() and self._agree(())

    @cached_property
    def agrees(self) -> bool:
        """Whether all answers agree, apart from random values."""
        if self.agrees_exactly:
            return True
        backward = self.backward
        if backward is None or self._fails_what_succeeded():
            return False
        try:
            self.again = self._attempts.observe(self._attempts.asked[::-1])
        except WorkerStartError:
            return False
        random = self.nondeterministic = self._attempts.differing(backward, self.again)
        return random is not None and (random.all_rows or self._agree(random.keys))

    @cached_property
    def in_turn(self) -> Observation:
        """Answers of the two workers; for a halved mini-batch, that of the third to the whole."""
        assert self.pair is not None
        return Observation([*self.pair.observation.attempts, *self._whole.attempts])

    @property
    def compares_sizes(self) -> bool:
        """Whether items were run alone and together."""
        return bool(self._of_sizes)

    @property
    def has_begun(self) -> bool:
        """Whether the first two workers were asked: then the third costs nothing extra."""
        return "pair" in self.__dict__

    @property
    def first_attempt(self) -> AttemptEnded | None:
        """The attempts of the first worker, next to which the second started, at mini-batches that the baseline
        answered.
        """
        return None if self.pair is None else next((result.ended for result in self._of_answered(step=2)), None)

    def _fails_what_succeeded(self) -> bool:
        return any(result.ended.returned is None for result in self._of_answered())

    def _of_answered(self, step: int = 1) -> Iterator[ProbeResult]:
        """The attempts of the two workers at mini-batches that the baseline answered at once."""
        assert self.pair is not None
        at_once = {
            attempt.mini_batch.id
            for attempt in self._attempts.baseline.result.attempts
            if attempt.number == 1 and attempt.returned is not None
        }
        for mini_batch, result in self.pair.observation.attempts[::step]:
            if mini_batch.id in at_once or self._attempts.is_halved:
                yield result

    def _agree(self, ignoring: Collection[Key]) -> bool:
        return all(first_difference(expected, actual, ignoring) is None for expected, actual in self.compared())

    def compared(self) -> Iterator[Pair]:
        """Two answers each that should be the same."""
        assert self.pair is not None
        assert self.backward is not None
        for mini_batch, result in self.pair.observation.attempts:
            backward = self.backward.answer(mini_batch)
            # A single one had another identity for the second worker.
            yield answer_of(result.ended), backward or answer_of(self.pair.observation.attempts[0][1].ended)
        for ended in self.pair.again:
            yield answer_of(self.pair.observation.attempts[0][1].ended), answer_of(ended)
        yield from self._of_sizes

    def _ask_other_sizes(self, worker: ProbeSession, observation: Observation) -> Iterator[Pair]:
        """Items one by one, and mini-batches of one item together, called as the whole. Not for partitions."""
        attempts, groups = self._attempts, self._attempts.groups
        if attempts.is_halved:
            (whole,) = attempts.answered
            self._whole.attempts.append((whole, attempts.attempt(worker, whole)))
            if groups:
                yield self._ask(worker, attempts.asked), answer_of(self._whole.attempts[0][1].ended)
        if attempts.entry.settings.partition_keys or not groups:
            return
        several = [mini_batch for mini_batch in groups if mini_batch.size > 1]
        if not several and len(groups) > 1:
            parts = groups[:MAX_MERGED]
            apart = [answer for part in parts if (answer := observation.answer(part)) is not None]
            yield self._ask(worker, [merged(parts)]), joined_answers(apart)
        singles = 0
        for mini_batch in several:
            if singles >= MAX_SINGLES:
                break
            some = mini_batch.part(*range(min(mini_batch.size, MAX_SINGLES)))
            singles += some.size
            yield self._ask(worker, [some]), self._ask(worker, called_as(some, singles_of(some)))

    def _ask(self, worker: ProbeSession, mini_batches: Sequence[SampleMiniBatch]) -> RunOutcome:
        return joined_answers([answer_of(self._attempts.attempt(worker, one).ended) for one in mini_batches])

"""Repeats a finding in real worker processes.

Emulated workers in one process share what the service keeps apart: the state of installed packages, their registries,
the process id. A script must not be blamed for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun.contract.bounds import MAX_REPEATED
from pytest_parallelrun.contract.check import Check, CheckFailed
from pytest_parallelrun.contract.entry.baseline import Baseline, run_baseline
from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.contract.entry.preconditions import startup_failure
from pytest_parallelrun.contract.entry.questions import QUESTIONS
from pytest_parallelrun.contract.generation.runner import ExampleRunner
from pytest_parallelrun.contract.rows.comparison import nondeterministic_values
from pytest_parallelrun.emulator.errors import ParallelRunError
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.finding import Cause, Finding

COMPARING = frozenset(
    {
        "independent_of_history",
        "retry_is_harmless",
        "independent_of_mini_batch_size",
        "independent_of_order",
        "workers_do_not_collide",
    }
)
"""Checks that share what they find out about differing rows: worker processes answer all of it at once."""


class Confirmation:
    """For all checks of an entry. switched: whether worker processes serve them from now on."""

    def __init__(self, entry: EntryUnderTest) -> None:
        self._entry = entry
        self._causes: set[Cause] = set()
        self._emulated: Observations | None = None
        self._observations: Observations | None = None
        self._sample_asked = self._fresh_asked = False
        self.switched = False

    def serves(self, check: Check, arguments: Mapping[str, object]) -> bool:
        """Whether worker processes serve a check, so that what it finds is confirmed."""
        observations = self._emulated = _observations_in(arguments) or self._emulated
        self._begin(check, arguments)
        return self.switched or (
            check.spec.name in COMPARING
            and self._possible
            and observations is not None
            and observations.processes_agree
            and not observations.is_known
        )

    def _begin(self, check: Check, arguments: Mapping[str, object]) -> None:
        """Switches to worker processes if the sample fails only without them."""
        baseline = next((value for value in arguments.values() if isinstance(value, Baseline)), None)
        if baseline is None or self._sample_asked or not self._possible:
            return
        self._sample_asked = True
        lost = baseline.result.failed_items
        # `rescues` handles workers that do not start.
        if not lost or baseline.nothing_on_purpose or baseline.busy > MAX_REPEATED:
            return
        try:
            again = run_baseline(self._entry_in_processes)
        except (WorkerStartError, TooManyInitCalls, ParallelRunError):
            return
        if again.result.attempts and again.result.failed_items < lost:
            self._observations = Observations(self._entry_in_processes, again)
            self._switch(check, "items of the sample fail only when workers share a process")

    def rescues(self, check: Check, arguments: Mapping[str, object]) -> bool:
        """Whether an undecided check is run again, in worker processes."""
        if check.skipped is None or not self._possible:
            return False
        if self._emulated is not None and self._emulated.baseline.sleep_skipped > MAX_REPEATED:
            return False
        if self._entry.starts.differ and self._comes_up:
            self._switch(check, "a second worker starts only in a process of its own")
        elif check.skipped.workers_differ and self._repeats(arguments):
            self._switch(check, "two workers give different results only when they share a process")
        elif self._fails_beside_others_only(arguments):
            self._switch(check, "a worker fails at what another one has done only when they share a process")
        return self.switched

    def _fails_beside_others_only(self, arguments: Mapping[str, object]) -> bool:
        """Whether a fresh worker fails for mini-batches that succeeded in the sample, and a fresh process does not."""
        observations = _observations_in(arguments)
        if observations is None or self._fresh_asked:
            return False
        try:
            if not (observations.groups and _failed(observations)):
                return False
            self._fresh_asked = True
            return not _failed(self._observe(observations.baseline))
        except (WorkerStartError, TooManyInitCalls, ParallelRunError):
            return False

    def _repeats(self, arguments: Mapping[str, object]) -> bool:
        """Whether two worker processes give the same results."""
        observations = _observations_in(arguments)
        if observations is None or self._observations is not None:
            return False
        try:
            in_processes = self._observe(observations.baseline)
            if _changes_in_process(observations, in_processes):
                return False
            nondeterministic = in_processes.nondeterministic
        except (WorkerStartError, TooManyInitCalls, ParallelRunError):
            return False
        return nondeterministic is None or nondeterministic.harmless

    def confirm(
        self, function: Callable[..., object], arguments: Mapping[str, object], check: Check, failed: CheckFailed
    ) -> CheckFailed | None:
        """The finding to report if worker processes confirm it; None if the check passes there."""
        finding = failed.finding
        if not check.spec.shares_process or check.skipped is not None or not self._possible:
            return failed
        if finding.cause in self._causes:
            return failed
        observations = _observations_in(arguments)
        slept = 0.0 if self._emulated is None else self._emulated.baseline.sleep_skipped
        if slept > MAX_REPEATED:
            return CheckFailed(
                finding.saying(
                    f"not repeated in worker processes, which would sleep {slept:.0f} s for the sample: "
                    "--parallelrun-engine=process uses them for the whole gate"
                )
            )
        if observations is not None and observations is self._observations:
            self._confirmed(finding)
            return failed
        again = Check(strict=False)
        again.begin(check.spec)
        in_processes = self.with_processes({**arguments, "parallelrun_check": again})
        try:
            function(**in_processes)
            found = again.advice
        except CheckFailed as error:
            found = error.finding
        except (pytest.skip.Exception, TooManyInitCalls, ParallelRunError) as error:
            return CheckFailed(finding.saying(f"not confirmed in worker processes: {error}"))
        finally:
            for value in in_processes.values():
                if isinstance(value, ExampleRunner):
                    value.close()
        if found is None:
            self._switch(check, f"seen only when workers share a process: {finding.what}")
            check.notes += again.notes
            return None
        self._confirmed(finding)
        return failed if found.what == finding.what else CheckFailed(found)

    def _confirmed(self, finding: Finding) -> None:
        if finding.cause is not None:
            self._causes.add(finding.cause)

    def with_processes(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """The arguments of a check, with worker processes."""
        return {name: self._in_processes(value) for name, value in arguments.items()}

    def _in_processes(self, value: object) -> object:
        if isinstance(value, EntryUnderTest):
            return self._entry_in_processes
        if isinstance(value, Baseline):
            return self._observe(value).baseline
        if isinstance(value, Observations):
            return self._observe(value.baseline)
        if isinstance(value, ExampleRunner):
            return ExampleRunner(self._observe(value.observations.baseline))
        return value

    def _observe(self, baseline: Baseline) -> Observations:
        if self._observations is None:
            entry = self._entry_in_processes
            if self._emulated is not None and baseline.result.attempts:
                self._observations = self._emulated.asking(entry)
            else:
                baseline = baseline if baseline.result.attempts else run_baseline(entry)
                self._observations = Observations(entry, baseline, QUESTIONS)
        return self._observations

    @property
    def _possible(self) -> bool:
        return not self.switched and self._entry.engine == "inprocess"

    def _switch(self, check: Check, reason: str) -> None:
        self.switched = True
        check.begin(check.spec)
        check.note(
            f"{reason}. On the service every worker is a process of its own, so this is not a flaw in the script. "
            "From this check on, the gate uses worker processes, as with --parallelrun-engine=process"
        )

    @cached_property
    def _entry_in_processes(self) -> EntryUnderTest:
        return replace(self._entry, engine="process", folder=self._entry.new_folder("processes"))

    @cached_property
    def _comes_up(self) -> bool:
        # Two: what they contend for, such as a port, is a flaw in processes too.
        try:
            startup = self._entry_in_processes.probe_startup(workers=2)
        except TooManyInitCalls:
            return False
        return all(startup_failure(startup, worker) is None for worker in range(2))


def _observations_in(arguments: Mapping[str, object]) -> Observations | None:
    return next((value for value in arguments.values() if isinstance(value, Observations)), None)


def _changes_in_process(observations: Observations, in_processes: Observations) -> bool:
    """Whether a fresh process answers the first mini-batch differently from the process that did so before, if any."""
    run = observations.screening.pair
    if run is None or observations.pair_entry.engine == "inprocess":
        return False
    mini_batch, before = run.observation.attempts[0]
    after = in_processes.observe([mini_batch]).rows(mini_batch)
    if after is None or before.ended.returned is None:
        return False
    values = nondeterministic_values(as_rows(before.ended.value), after)
    return values is not None and not values.harmless


def _failed(observations: Observations) -> bool:
    """Whether a fresh worker fails for a mini-batch that succeeded in the sample."""
    return any(observations.forward.rows(mini_batch) is None for mini_batch in observations.groups)

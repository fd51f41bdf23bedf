"""Runs the mini-batches of Hypothesis: one worker for hundreds of them, and a memory of each result.

Findings are remembered by recipe: Hypothesis repeats a failing example while it shrinks it, and must get the same
result each time, although the worker has seen a hundred others in between. A hang is not waited for twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.bounds import (
    MARGIN_OF_SIZE,
    MAX_ATTEMPTS_AFTERWARDS,
    MAX_DRAWN_BATCHES,
    MAX_DRAWN_BYTES,
    MAX_GENERATED_SECONDS,
    MAX_REPLACED_WORKERS,
    MAX_WAITING,
    MIN_GENERATED_ITEMS,
    MIN_HANGING,
    MIN_SECONDS_AFTERWARDS,
    evenly,
)
from pytest_parallelrun.contract.dependence.kept_state import KeptState, kept_state
from pytest_parallelrun.contract.dependence.state import FIX_OF_MISSING, RESULTS_KEPT, STATE_KEPT, StateDependence
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import attempt, paths_of
from pytest_parallelrun.contract.entry.preconditions import skip_without_results, skip_without_worker
from pytest_parallelrun.contract.finding import Cause
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.splitting.model import PartOfInput
from pytest_parallelrun.strategies import Files, Rows, Sample

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.finding import Finding
    from pytest_parallelrun.emulator.events import AttemptEnded, Outcome
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.probe import ProbeSession
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import MiniBatch, Payload, PrebuiltInput

Recipe = Rows | Files

HARMLESS: frozenset[Outcome] = frozenset({"succeeded", "short", "exception", "load_error"})
"""Allowed outcomes of a malformed mini-batch."""
FIXES: dict[Outcome, str] = {
    "timeout": "find the loop or the wait that does not end for such an item, and give it a limit",
    "crashed": "raise an exception instead of ending the process; if native code dies, check the item before it",
    "wrong_type": "return a list, a tuple or a DataFrame on every code path of run(), including except branches",
    "exception": "any subset of the input, in any order, can become a mini-batch; run() must accept it",
    "short": "return one result for every item, an error row for one that could not be scored",
}


class ExampleRunner:
    """The session of the generated tests, opened when it is first needed; of one at a time if it finds anything."""

    def __init__(self, observations: Observations) -> None:
        self.observations = observations
        self._stack = ExitStack()
        self._session: ProbeSession | None = None
        self._spent = 0.0
        self.left_out = ""
        """What `sample` lacks, as text."""
        self.close()

    def close(self) -> None:
        """Ends the worker; the next test starts with a fresh one."""
        self._session = None
        self._stack.close()
        self.seen = 0
        """Mini-batches that the worker has run so far."""
        self._forget()

    def end_test(self, *, keep: bool) -> None:
        """Keeps the worker for another test, without the memory, unless this one found anything or replaced it."""
        if not keep or self._replaced or self._no_more_workers or any(self._findings.values()):
            self.close()
        else:
            self._forget()

    def _forget(self) -> None:
        self._findings: dict[object, Finding | None] = {}
        self.edge_cases_pass = False
        """Whether all that is always tried has been tried in this test, without a finding."""
        self.hanging: dict[object, Finding] = {}
        """What is known to hang: a part of a recipe -> its finding."""
        self.hang_confirmed = False
        """Whether it was one that hung, which had the more time for it."""
        self.confirmed = False
        """Whether a fresh worker has shown the failure too: it need not show it again while the case shrinks."""
        self.rows_count = True
        """Whether the rows of the sentinel are meaningful; they are not if any mini-batch changes them."""
        self.attempts = 0
        """Generated mini-batches or jobs of this test."""
        self._seconds_afterwards: float | None = None
        self._attempts_before_finding = 0
        self._waited = 0.0
        self._replaced = 0
        self._no_more_workers: str | None = None

    @property
    def _worker(self) -> ProbeSession:
        """The session, with one persistent worker."""
        if self._session is None:
            session = self.observations.entry.session(probe_limit=self.observations.probe_limit, reserved=True)
            self._session = self._stack.enter_context(session)
            self._session.start()
        return self._session

    @cached_property
    def sample(self) -> Sample:
        """The valid items of the sample: those whose mini-batches succeeded, evenly spaced if there are many."""
        entry, valid = self.observations.entry, self._valid_mini_batches
        if entry.kind != "files":
            valid = evenly(valid, MAX_DRAWN_BATCHES)
        if entry.kind == "tabular":
            largest = max(batch.size for batch in valid) * self.observations.bytes_per_row
            valid = evenly(valid, max(1, int(MAX_DRAWN_BYTES / largest)))
        sample = Sample(PartOfInput(entry.opened, valid), settings=entry.settings)
        self.left_out = sample.sampled or ""
        if len(valid) < len(self._valid_mini_batches):
            batches = f"{len(valid):,} of {len(self._valid_mini_batches):,} mini-batches"
            self.left_out = f"{self.left_out}, from {batches}" if self.left_out else batches
        return sample

    @property
    def has_valid_items(self) -> bool:
        """Whether there are items for mini-batches."""
        return self.observations.entry.sample is not None and bool(self._valid_mini_batches)

    @cached_property
    def valid_outcomes(self) -> frozenset[Outcome]:
        """Allowed outcomes of a valid mini-batch: "short" too, if a script may return nothing."""
        on_purpose = self.observations.baseline.nothing_on_purpose
        return frozenset({"succeeded", "short"} if on_purpose else {"succeeded"})

    @cached_property
    def _valid_mini_batches(self) -> Sequence[MiniBatch]:
        last_attempts = self.observations.baseline.last_attempts.values()
        return [last.mini_batch for last in last_attempts if last.outcome in self.valid_outcomes]

    @cached_property
    def max_items(self) -> int:
        """Items of a generated mini-batch, so that it is fast and within `timeout`."""
        attempts = [attempt for attempt in self.observations.baseline.result.attempts if attempt.mini_batch.size]
        slowest = max((attempt.running / attempt.mini_batch.size for attempt in attempts), default=0.0)
        size = self.sample.size
        if not slowest:
            return size
        in_time = int(self.observations.entry.settings.timeout / MARGIN_OF_SIZE / slowest)
        sizes = (attempt.mini_batch.size for attempt in attempts if attempt.outcome in self.valid_outcomes)
        return min(
            size, max(MIN_GENERATED_ITEMS, int(MAX_GENERATED_SECONDS / slowest)), max(max(sizes, default=1), in_time)
        )

    @cached_property
    def sentinel(self) -> tuple[SampleMiniBatch, list[object] | None] | None:
        """A small valid mini-batch and its rows on a fresh worker, None if only its outcome counts.

        It shows whether another mini-batch broke the worker.
        """
        mini_batches = self.observations.groups
        if not mini_batches:
            return None
        smallest = min(mini_batches, key=lambda mini_batch: len(mini_batch.names))
        known = self.observations.answering
        expected = known.forward.rows(smallest) if known.nondeterministic is None else None
        largest = max(mini_batches, key=lambda mini_batch: len(mini_batch.names))
        with self.held():
            for mini_batch in (smallest, largest, smallest):
                ended = self.attempt_of_sample(mini_batch)
                if ended.outcome not in self.valid_outcomes:
                    # It cannot even run twice: see retry_is_harmless.
                    return None
                if mini_batch is not smallest or expected is None:
                    continue
                if difference(expected, as_rows(ended.value)) is not None:
                    # It answers differently anyway: see independent_of_history.
                    expected = None
        return smallest, expected

    def kept_state(self) -> KeptState:
        """What run() changes in its worker between calls."""
        mini_batches = self.observations.groups
        return kept_state(self.observations, mini_batches[0]) if mini_batches else KeptState()

    def cause_of_state(self, cause: Cause) -> Cause:
        """The cause of a failure that only a warm worker shows: that of the other checks if they found the same."""
        known = self.observations.recalled("dependence")
        return STATE_KEPT if isinstance(known, StateDependence) and known.origin == "memory" else cause

    def held(self) -> AbstractContextManager[None]:
        """See ProbeSession."""
        return self._worker.held()

    def fix_of(self, outcome: Outcome) -> str:
        """What another check found to be needed, or else what usually is."""
        known = self.observations.recalled(FIX_OF_MISSING) if outcome == "short" else None
        return known if isinstance(known, str) else FIXES.get(outcome, "")

    def cause_of(self, attempt: AttemptEnded) -> Cause:
        """The cause of a failed attempt: that of the other checks if they found what keeps results back."""
        kept = attempt.outcome == "short" and self.observations.recalled(RESULTS_KEPT)
        return STATE_KEPT if kept else Cause.of_attempt(attempt)

    def attempt(self, payload: Payload, recipe: Recipe, *, patient: bool = False) -> AttemptEnded:
        """One attempt at the mini-batch of a recipe, with a new id. patient: it may take longer."""
        self.attempts += 1
        before = real_monotonic()
        limit = self.observations.probe_limit
        self._worker.probe_limit = max(limit, MIN_HANGING) if patient else limit
        ended = self._worker.attempt(payload, id=self.attempts, partition=self.sample.partition_of(recipe)).ended
        self.seen += 1
        if ended.outcome in ("timeout", "crashed"):
            self.seen = 0
            self._replaced += 1
            self._waited += real_monotonic() - before
        return ended

    def attempt_of_sample(self, mini_batch: SampleMiniBatch) -> AttemptEnded:
        """One attempt at a mini-batch of the sample, with its own identity."""
        self.seen += 1
        return attempt(self._worker, mini_batch).ended

    def renew(self) -> bool:
        """Makes the next attempt the first one of a new worker; False if none is left."""
        if self._replaced >= MAX_REPLACED_WORKERS:
            return False
        self._replaced += 1
        self._worker.renew()
        self.seen = 0
        return True

    def judged(self, recipe: object, judge: Callable[[], Finding | None]) -> Finding | None:
        """The finding of `judge` for a recipe, determined once; None if nothing more may be tried."""
        if recipe in self._findings:
            return self._findings[recipe]
        if not self.may_go_on():
            return None
        before = real_monotonic()
        try:
            finding = judge()
        except TooManyInitCalls as error:
            if not self._findings:
                raise
            # Hypothesis would take it for another failure of the script.
            self._no_more_workers = str(error)
            finding = None
        finally:
            seconds = real_monotonic() - before
            self._spent += seconds
        if self._seconds_afterwards is not None:
            self._seconds_afterwards += seconds
        elif finding is not None:
            self._seconds_afterwards = 0.0
            self._attempts_before_finding = self.attempts
        self._findings[recipe] = finding
        return finding

    def may_go_on(self) -> bool:
        """Whether another mini-batch may be tried: time is left, and workers may be started."""
        seconds, attempts = self._seconds_afterwards or 0.0, self.attempts - self._attempts_before_finding
        if seconds > MAX_WAITING or (seconds > MIN_SECONDS_AFTERWARDS and attempts > MAX_ATTEMPTS_AFTERWARDS):
            return False
        if self._no_more_workers is not None:
            return False
        return self._waited < MAX_WAITING and self._replaced < MAX_REPLACED_WORKERS and not self._budget_is_spent()

    def stopped_by(self) -> str | None:
        """Why generation was cut short, None if it was not."""
        if self._budget_is_spent():
            budget = self.observations.entry.budget
            return f"--parallelrun-budget={budget:g}: generation was cut after {self.attempts} mini-batches"
        if self._no_more_workers is not None:
            return f"generation was cut after {self.attempts} mini-batches: {self._no_more_workers}"
        if self._waited >= MAX_WAITING or self._replaced >= MAX_REPLACED_WORKERS:
            return f"generation was cut after {self._replaced} workers that hung, crashed or were replaced"
        return None

    def _budget_is_spent(self) -> bool:
        budget = self.observations.entry.budget
        return budget is not None and self._spent >= budget

    def run(self, input: PrebuiltInput, settings: JobSettings, faults: tuple[Fault, ...]) -> JobResult:
        """Runs a job on the worker."""
        self.attempts += 1
        before = real_monotonic()
        calls = self._worker.init_calls
        result = self._worker.run(self.observations.entry.job_of(input, settings, faults))
        self.seen += len(result.attempts)
        if self._worker.init_calls > calls:
            self._replaced += self._worker.init_calls - calls
            self._waited += real_monotonic() - before
        return result

    def build(self, recipe: Recipe) -> Payload:
        """The mini-batch of a recipe; files go to a folder that `discard()` removes."""
        return recipe.build(self.sample, self.observations.entry.new_folder("generated"))

    def discard(self, payload: Payload) -> None:
        """Removes the files of a mini-batch without a finding."""
        folder = self.observations.entry.folder
        # All of them are below the one of `build`.
        for path in paths_of(payload)[:1]:
            shutil.rmtree(folder / Path(path).relative_to(folder).parts[0], ignore_errors=True)


def require_valid_items(runner: ExampleRunner, check: Check) -> None:
    __tracebackhide__ = True
    if not runner.has_valid_items:
        baseline = runner.observations.baseline
        if not baseline.returned:
            skip_without_results(baseline, check)
        check.cannot_decide("no mini-batch of the sample has all its results, so there is nothing to make others of")


def conclude(runner: ExampleRunner, check: Check, judge: Callable[[], Finding | None]) -> None:
    __tracebackhide__ = True
    with skip_without_worker(check):
        finding = judge()
    if runner.left_out:
        check.note(f"generated from a part of the sample: {runner.left_out}")
    stopped = runner.stopped_by()
    if stopped is not None:
        check.note(stopped)
        if not runner.attempts:
            check.cannot_decide(stopped)
    if finding is not None:
        check.fail(finding)

"""Signals, event loops or other calls that work only on the main thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.mini_batches import attempt
from pytest_parallelrun.contract.entry.preconditions import skip_without_results, skip_without_worker
from pytest_parallelrun.contract.entry.sample_attempts import OFF_MAIN_THREAD
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.rows.errors import ValidRows
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure


OFF_MAIN = "user code was seen to run in a thread of the worker process, not in its main thread"


def test_runs_off_main_thread(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """init() and run() work outside the main thread."""
    __tracebackhide__ = True
    observations = parallelrun_observations
    if any(attempt.outcome == "timeout" for attempt in parallelrun_baseline.result.attempts):
        parallelrun_check.cannot_decide("run() exceeded its timeout, and outside the main thread it cannot be stopped")
    # A script that returns nothing on purpose has only short returns.
    if not observations.answered:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    if parallelrun_entry.settings.thread == "worker" or observations.recalled(OFF_MAIN_THREAD):
        # What the baseline or another check did, it did there.
        return
    mini_batch = observations.answered[0]
    with skip_without_worker(parallelrun_check):
        usual = observations.answering.forward.ended(mini_batch)
    assert usual is not None
    ended, failure = _attempt_on(observations, mini_batch, "worker")
    if not _is_worse(usual, ended, mini_batch):
        return
    again, _ = _attempt_on(observations, mini_batch, "main")
    if _is_worse(usual, again, mini_batch):
        parallelrun_check.cannot_decide(
            "run() fails intermittently, also on the main thread, so the thread may not be the cause: "
            f"{'' if failure is None else failure.error}"
        )
    parallelrun_check.advise(_finding(observations, mini_batch, failure, ended))


def _attempt_on(
    observations: Observations, mini_batch: SampleMiniBatch, thread: str
) -> tuple[AttemptEnded | None, Failure | None]:
    """The result of a fresh worker for a mini-batch on that thread, and what failed."""
    observations.restore()
    with observations.entry.session(probe_limit=observations.probe_limit, thread=thread) as session:
        try:
            ended = attempt(session, mini_batch).ended
        except WorkerStartError as down:
            return None, down.failure
    return ended, ended.failure


def _is_worse(usual: AttemptEnded, ended: AttemptEnded | None, mini_batch: SampleMiniBatch) -> bool:
    """Whether it failed, or its rows name errors that the usual ones do not."""
    if ended is None or ended.returned is None or ended.returned < (usual.returned or 0):
        return True
    valid = ValidRows(as_rows(usual.value), mini_batch.names)
    return any(valid.is_unlike(row) for row in as_rows(ended.value))


def _finding(
    observations: Observations, mini_batch: SampleMiniBatch, failure: Failure | None, ended: AttemptEnded | None
) -> Finding:
    settings = observations.entry.settings
    if failure is None or (ended is not None and ended.returned):
        assert ended is not None
        problem = f"its rows report errors: {as_rows(ended.value)[0]!r}"
    else:
        problem = failure.error
    phase = "run" if failure is None or failure.phase in ("run", "return") else failure.phase
    return Finding(
        what=f"{phase}() fails outside the main thread: {problem}",
        location=Location(
            phase="run", mini_batch=mini_batch.id, items=mini_batch.items(), attempts=settings.max_retries + 1
        )
        if phase == "run"
        else Location(phase=phase),
        traceback="" if failure is None else failure.traceback,
        service=OFF_MAIN + "; whether Azure ML still does this is not documented",
        fix="use no signal handlers; create your own event loop with asyncio.run() or asyncio.new_event_loop(); "
        "--parallelrun-set=thread=worker runs the whole gate that way",
        cause=None if failure is None else (Cause.of_failure(failure) if ended is None else Cause.of_attempt(ended)),
    )

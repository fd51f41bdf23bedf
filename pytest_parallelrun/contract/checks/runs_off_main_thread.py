"""Signals, event loops or other calls that only the main thread may make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.observations import attempt
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.rows.errors import ValidRows
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations, SampleMiniBatch
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure


OFF_MAIN = "user code was seen to run in a thread of the worker process, not in its main thread"


def test_runs_off_main_thread(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """init() and run() work on another thread than the main one."""
    __tracebackhide__ = True
    trials = parallelrun_observations
    if any(attempt.outcome == "timeout" for attempt in parallelrun_baseline.result.attempts):
        parallelrun_check.cannot_decide("run() took longer than its timeout, and off the main thread nothing stops it")
    # Where a script returns nothing on purpose, a short return is all that it has.
    groups = trials.answered
    if not groups:
        parallelrun_check.cannot_decide(parallelrun_baseline.why_nothing_returned())
    if parallelrun_entry.settings.thread == "worker":
        # What the baseline did, it did there.
        return
    group, usual = groups[0], _usual_attempt(trials, groups[0])
    ended, failure = _tried(trials, group, "worker")
    if not _is_worse(usual, ended, group):
        return
    again, _ = _tried(trials, group, "main")
    if _is_worse(usual, again, group):
        parallelrun_check.cannot_decide(
            "run() fails at times, on the main thread too, so it need not be the thread: "
            f"{'' if failure is None else failure.error}"
        )
    parallelrun_check.advise(_thread_bound(trials, group, failure, ended))


def _usual_attempt(trials: Observations, group: SampleMiniBatch) -> AttemptEnded:
    """The last attempt of the baseline at a group that returned something legal."""
    return next(
        attempt
        for attempt in reversed(trials.baseline.result.attempts)
        if attempt.mini_batch.id == group.id and attempt.returned is not None
    )


def _tried(trials: Observations, group: SampleMiniBatch, thread: str) -> tuple[AttemptEnded | None, Failure | None]:
    """What a fresh worker makes of a group on that thread, and what failed."""
    trials.restore()
    with trials.entry.bench(probe=trials.probe, thread=thread) as bench:
        try:
            ended = attempt(bench, group).ended
        except WorkerStartError as down:
            return None, down.failure
    return ended, ended.failure


def _is_worse(usual: AttemptEnded, ended: AttemptEnded | None, group: SampleMiniBatch) -> bool:
    """Whether it failed, or its rows tell of errors that the usual ones do not tell."""
    if ended is None or ended.returned is None or ended.returned < (usual.returned or 0):
        return True
    sound = ValidRows(as_rows(usual.value), group.names)
    return any(sound.is_unlike(row) for row in as_rows(ended.value))


def _thread_bound(
    trials: Observations, group: SampleMiniBatch, failure: Failure | None, ended: AttemptEnded | None
) -> Finding:
    tries = trials.entry.settings.max_retries + 1
    if failure is None or (ended is not None and ended.returned):
        assert ended is not None
        what = f"its rows tell of errors: {as_rows(ended.value)[0]!r}"
    else:
        what = failure.error
    phase = "run" if failure is None or failure.phase in ("run", "return") else failure.phase
    return Finding(
        what=f"Off the main thread {phase}() fails, and on it it succeeds: {what}",
        location=Location(phase="run", mini_batch=group.id, items=group.items(), attempts=tries)
        if phase == "run"
        else Location(phase=phase),
        traceback="" if failure is None else failure.traceback,
        service=OFF_MAIN + "; whether it is so today nobody outside can tell",
        fix="use no signal handlers; make an event loop of your own with asyncio.run() or asyncio.new_event_loop(); "
        "--parallelrun-set=thread=worker runs the whole gate that way",
        cause=None if failure is None else (Cause.of_failure(failure) if ended is None else Cause.of_attempt(ended)),
    )

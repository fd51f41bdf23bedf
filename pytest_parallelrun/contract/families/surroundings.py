"""Does the script leave its input as it was, and does it work where the service runs it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.input_changes import Changes, changes_of
from pytest_parallelrun.contract.entry.observations import attempt
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import items_text
from pytest_parallelrun.contract.rows.errors import ValidRows
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations, SampleMiniBatch
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure

READ_ONLY = "the input is mounted read-only (ro_mount, the default): OSError, Read-only file system"
OFF_MAIN = "user code was seen to run in a thread of the worker process, not in its main thread"


def test_leaves_input_unchanged(
    parallelrun_entry: EntryUnderTest, parallelrun_baseline: Baseline, parallelrun_check: Check
) -> None:
    """After the whole sample was run, its files are what they were."""
    __tracebackhide__ = True
    assert parallelrun_entry.sample is not None
    changes = changes_of(parallelrun_entry.sample, parallelrun_baseline.sample, parallelrun_entry.settings)
    if changes.gone or changes.modified:
        parallelrun_check.fail(_changed(parallelrun_baseline, changes))
    if changes.new:
        parallelrun_check.advise(
            Finding(
                what=f"The script makes new files beside its input: {items_text(changes.new)}.",
                service=READ_ONLY,
                fix="write to EntryScript().output_dir, to a folder that a program argument names, or below tempfile",
            )
        )
        return
    if all(attempt.returned is None for attempt in parallelrun_baseline.result.attempts):
        parallelrun_check.cannot_decide(parallelrun_baseline.why_nothing_returned())


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


def _changed(baseline: Baseline, changes: Changes) -> Finding:
    parts = [
        changes.modified and f"modified: {items_text(changes.modified)}",
        changes.gone and f"deleted or moved away: {items_text(changes.gone)}",
        changes.new and f"new: {items_text(changes.new)}",
    ]
    touched = {*changes.modified, *changes.gone}
    return Finding(
        what=f"The script changes its input. {'; '.join(part for part in parts if part)}.",
        location=_mini_batch_of(baseline, touched),
        counts=f"{len(touched)} file(s) of the sample are no more what they were; a retry would meet them so",
        service=READ_ONLY + ", so the attempt fails; in a folder that can be written, a retry finds other items",
        fix="copy the file to a folder of tempfile first, or write the result under another name to the output folder",
    )


def _mini_batch_of(baseline: Baseline, names: set[str]) -> Location | None:
    result = baseline.result
    if result.splitter_kind == "files":
        for batch in result.mini_batches:
            items = tuple(name for name in result.item_names(batch.id) if name in names)
            if items:
                return Location(
                    phase="run", mini_batch=batch.id, items=items_text(items), attempts=result.settings.max_retries + 1
                )
    return None


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

"""Spoils one item of a mini-batch where the script meets the world, and hands it to a fresh worker.

A file that is missing, a folder in its place, a cell that is no number: nothing of the script is patched.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial
from pytest_parallelrun.contract.corruption.cells import cells_tried
from pytest_parallelrun.contract.corruption.files import empty_tried, files_tried, needs_told
from pytest_parallelrun.contract.entry.entry_under_test import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import merged
from pytest_parallelrun.contract.entry.observations import SampleMiniBatch
from pytest_parallelrun.contract.entry.preconditions import skip_without_worker
from pytest_parallelrun.contract.finding import Location
from pytest_parallelrun.contract.rows.errors import ValidRows
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.case import Expectation
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession


MAX_TOGETHER = 4
"""Items in the mini-batch: enough to see what one bad item does to the others."""


def try_bad_items(trials: Observations) -> CorruptionTrial:
    """One fresh worker, one mini-batch of up to MAX_TOGETHER items, one bad item at a time."""
    if not trials.groups:
        return CorruptionTrial(
            reason="no mini-batch of the sample has a result for each of its items, so a loss would not show: see "
            "test_returns_valid_type and test_returns_one_result_per_item"
        )
    trials.restore()
    together, alone = _together(trials), _alone(trials)
    with trials.entry.bench(probe=trials.probe) as bench:
        for group in (together, alone):
            found = CorruptionTrial(group=group, setting_up=bench.setting_up)
            # First the bad ones: what a script has kept of a sound item would hide that it cannot be read.
            files = files_tried(trials, bench, group) if trials.kind == "files" else []
            found.sound = _sound(trials, bench, group)
            if found.sound is not None:
                found.tries = files if trials.kind == "files" else cells_tried(bench, group, found.sound)
                if trials.kind == "files":
                    found.tries = needs_told(trials, bench, found)
                    found.empty = _empty(trials, bench, found)
                return found
    return CorruptionTrial(
        reason=f"run() succeeds for {together.items()} in the sample, and not when it gets the same again: see "
        "test_independent_of_mini_batch_size and test_independent_of_history"
    )


def _empty(trials: Observations, bench: ProbeSession, found: CorruptionTrial) -> CorruptedAttempt | None:
    """What an empty file came to, where it raises or returns fewer, as those that cannot be read do not."""
    assert found.group is not None
    if any(bad.lost > 1 for bad in found.tries):
        return None
    # There may be no further worker for it, and what is known of the others stays.
    with suppress(TooManyInitCalls, WorkerStartError):
        empty = empty_tried(trials, bench, found.group)
        # Any other outcome is an error of its own: see test_handles_generated_mini_batches.
        return empty if empty.tried.ended.outcome in ("exception", "short") else None
    return None


def _alone(trials: Observations) -> SampleMiniBatch:
    """A mini-batch of one item, or the smallest partition: its results may need all of it."""
    if trials.entry.settings.partition_keys:
        return min(trials.groups, key=lambda group: group.size)
    return trials.groups[0].part(0)


def _together(trials: Observations) -> SampleMiniBatch:
    """A mini-batch of several items: the first of the sample that has them, or items of several."""
    several = next((group for group in trials.groups if len(group.payload) > 1), None)
    if trials.entry.settings.partition_keys:
        return several or trials.groups[0]
    if several is not None:
        return several.part(*range(min(len(several.payload), MAX_TOGETHER)))
    return merged(trials.groups[:MAX_TOGETHER])


def _sound(trials: Observations, bench: ProbeSession, group: SampleMiniBatch) -> ProbeResult | None:
    """The attempt at the sound items; by a fresh worker where a bad one has spoiled this one."""
    trials.restore()
    tried = trials.attempt(bench, group)
    if tried.ended.outcome != "succeeded":
        bench.renew()
        trials.restore()
        tried = trials.attempt(bench, group)
    return tried if tried.ended.outcome == "succeeded" else None


AN_ERROR_ROW = (
    "catch the exception of one item alone and return a row that names the item and its error, such as "
    '{"file": name, "error": str(error)}'
)


def corruption_trial(trials: Observations) -> CorruptionTrial:
    """What was tried, once for both checks that ask."""
    return trials.remember("corruption", lambda: try_bad_items(trials))


def require_corruption_trial(trials: Observations, check: Check) -> CorruptionTrial:
    __tracebackhide__ = True
    with skip_without_worker(check):
        bad_items = corruption_trial(trials)
    if bad_items.reason:
        check.cannot_decide(bad_items.reason)
    return bad_items


def names_its_error(bad_items: CorruptionTrial, bad: CorruptedAttempt) -> bool:
    """Whether a row tells of the bad item, as none does while all are sound."""
    assert bad_items.group is not None
    sound = ValidRows(bad_items.sound_rows, bad_items.group.names)
    rows = as_rows(bad.tried.ended.value)
    if bad.echo and len(rows) == len(bad_items.sound_rows):
        # Rows of a table in their order: the others have texts for numbers now, which is no error of theirs.
        rows = rows[:1]
    return any(sound.names_error(row, echo=bad.echo) for row in rows)


def why_undecided(trials: Observations, bad_items: CorruptionTrial) -> str:
    """Why nothing can be said about the items; "" where something can."""
    if trials.kind != "files":
        if any(bad.need == "needed" for bad in bad_items.tries):
            return ""
        return (
            "no numeric cell of the sample changes a result, as far as it shows, so a cell that cannot be parsed "
            "would not matter"
        )
    hidden = [
        bad
        for bad in bad_items.tries
        if bad.need == "unknown" and bad.tried.ended.outcome == "succeeded" and not names_its_error(bad_items, bad)
    ]
    if not hidden:
        return ""
    return (
        f"run() returned as many results as ever while of {hidden[0].item} {hidden[0].how}, and no opening of that "
        "file was seen: a native reader hides it, so it cannot be told whether a failure was swallowed"
    )


def error_of(bad: CorruptedAttempt) -> str:
    failure = bad.tried.ended.failure
    return "" if failure is None else failure.error


def location_of(trials: Observations, group: SampleMiniBatch) -> Location:
    return Location(
        phase="run",
        mini_batch=group.id,
        items=group.items(),
        attempts=trials.entry.settings.max_retries + 1,
    )


def case_of(
    trials: Observations, group: SampleMiniBatch, bad: CorruptedAttempt, expects: Expectation = "no_harm"
) -> Case:
    return Case(kind=trials.kind, mini_batches=(bad.payload,), expects=expects, partitions=(group.partition,))

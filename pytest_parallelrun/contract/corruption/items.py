"""Spoils one item of a mini-batch where the script meets the world, and hands it to a fresh worker.

A file that is missing, a folder in its place, a cell that is no number: nothing of the script is patched.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial
from pytest_parallelrun.contract.corruption.cells import cells_tried
from pytest_parallelrun.contract.corruption.files import empty_tried, files_tried, needs_told
from pytest_parallelrun.contract.entry.entry_under_test import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import merged
from pytest_parallelrun.contract.entry.observations import SampleMiniBatch
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
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

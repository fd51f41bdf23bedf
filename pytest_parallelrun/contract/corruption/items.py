"""Corrupts one item of a mini-batch where the script meets the world, and gives it to a fresh worker.

A file that is missing, a folder in its place, a cell that is no number: nothing of the script is patched.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.corruption.attempts import CorruptionTrial
from pytest_parallelrun.contract.corruption.injection import try_cells, try_empty_file, try_unreadable_file, with_needs
from pytest_parallelrun.contract.entry.entry_under_test import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import merged
from pytest_parallelrun.contract.entry.preconditions import require_answers, skip_without_worker
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession


MAX_ITEMS = 4
"""In the mini-batch: enough to see what one bad item does to the others."""


def require_corruption_trial(observations: Observations, check: Check) -> CorruptionTrial:
    """What was tried, once for both checks that ask. Ends the check where nothing could be."""
    __tracebackhide__ = True
    with skip_without_worker(check):
        require_answers(observations, check)
        trial = observations.remember("corruption", lambda: _try_items(observations))
    if isinstance(trial, str):
        check.cannot_decide(trial)
    return trial


def _try_items(observations: Observations) -> CorruptionTrial | str:
    """One fresh worker, one mini-batch of up to MAX_ITEMS items, one bad item at a time; or why there is none."""
    if not observations.groups:
        return (
            "no mini-batch of the sample has a result for each of its items, so a loss would not show: see "
            "test_returns_valid_type and test_returns_one_result_per_item"
        )
    observations.restore()
    several, single = _several_items(observations), _single_item(observations)
    with observations.entry.session(probe_limit=observations.probe_limit) as session:
        for mini_batch in (several, single):
            trial = _try_mini_batch(observations, session, mini_batch)
            if trial is not None:
                return trial
    return (
        f"run() succeeds for {several.items()} in the sample, and not when it gets the same again: see "
        "test_independent_of_mini_batch_size and test_independent_of_history"
    )


def _try_mini_batch(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch
) -> CorruptionTrial | None:
    """None where run() does not succeed for the valid items."""
    attempts: list[CorruptedAttempt] = []
    empty = None
    if observations.kind == "files":
        # First the bad ones: what a script has kept of a valid item would hide that it cannot be read.
        attempts = try_unreadable_file(observations, session, mini_batch)
    valid = _try_valid(observations, session, mini_batch)
    if valid is None:
        return None
    if observations.kind == "files":
        attempts = with_needs(observations, session, mini_batch, valid, attempts)
        empty = _try_empty(observations, session, mini_batch, attempts)
    else:
        attempts = try_cells(session, mini_batch, valid)
    return CorruptionTrial(
        observations=observations,
        mini_batch=mini_batch,
        valid=valid,
        setting_up=session.setting_up,
        attempts=attempts,
        empty=empty,
    )


def _try_empty(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch, attempts: list[CorruptedAttempt]
) -> CorruptedAttempt | None:
    """What an empty file came to, where it raises or returns fewer, as those that cannot be read do not."""
    if any(attempt.lost > 1 for attempt in attempts):
        return None
    # There may be no further worker for it, and what is known of the others stays.
    with suppress(TooManyInitCalls, WorkerStartError):
        empty = try_empty_file(observations, session, mini_batch)
        # Any other outcome is an error of its own: see test_handles_generated_mini_batches.
        return empty if empty.ended.outcome in ("exception", "short") else None
    return None


def _single_item(observations: Observations) -> SampleMiniBatch:
    """A mini-batch of one item, or the smallest partition: its results may need all of it."""
    if observations.entry.settings.partition_keys:
        return min(observations.groups, key=lambda mini_batch: mini_batch.size)
    return observations.groups[0].part(0)


def _several_items(observations: Observations) -> SampleMiniBatch:
    """A mini-batch of several items: the first of the sample that has them, or items of several."""
    mini_batches = observations.groups
    several = next((mini_batch for mini_batch in mini_batches if mini_batch.size > 1), None)
    if observations.entry.settings.partition_keys:
        return several or mini_batches[0]
    if several is not None:
        return several.part(*range(min(several.size, MAX_ITEMS)))
    return merged(mini_batches[:MAX_ITEMS])


def _try_valid(observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch) -> ProbeResult | None:
    """The attempt at the valid items; by a fresh worker where a bad one broke this one."""
    observations.restore()
    result = observations.attempt(session, mini_batch)
    if result.ended.outcome != "succeeded":
        session.renew()
        observations.restore()
        result = observations.attempt(session, mini_batch)
    return result if result.ended.outcome == "succeeded" else None

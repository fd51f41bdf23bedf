"""Items that the baseline lost, by the attempts that lost them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.finding import Cause, Location

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.result import JobResult


def losing_attempts(result: JobResult) -> list[AttemptEnded]:
    """The last attempts at mini-batches that lost items, by the mini-batch."""
    lost = {batch.id for batch in result.mini_batches if batch.failed or batch.status == "failed"}
    last = {attempt.mini_batch.id: attempt for attempt in result.attempts if attempt.mini_batch.id in lost}
    return [last[batch] for batch in sorted(last)]


def location_of_losses(baseline: Baseline, losing: list[AttemptEnded]) -> Location | None:
    if not losing:
        return None
    first = losing[0]
    tries = baseline.result.settings.max_retries + 1
    return Location(
        phase="run", mini_batch=first.mini_batch.id, items=baseline.items(first), attempt=first.number, attempts=tries
    )


def cause_of_losses(result: JobResult, losing: list[AttemptEnded]) -> Cause | None:
    """What all items were lost by, where that is one cause; where no worker came up, that."""
    causes = {Cause.of_attempt(attempt) for attempt in losing}
    if not result.attempts:
        causes = {Cause.of_failure(event.failure) for event in result.worker_failures[:1]}
    return causes.pop() if len(causes) == 1 else None

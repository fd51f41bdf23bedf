"""The counts and the verdict of a job, computed from its attempts by the rules alone.

It shares no code with the emulator that runs the job (policy and ledger), so that a generated job is compared with the
rules and not with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.events import Outcome
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind

    Fate = Callable[[int, int], tuple[Outcome, int]]
    """Mini-batch and attempt -> its outcome, and the number of results."""


@dataclass
class ExpectedCounts:
    """Expected counts of a job. attempts: number by mini-batch."""

    status: str = "Completed"
    exceeded: str | None = None
    processed_mini_batches: int = 0
    succeeded_mini_batches: int = 0
    failed_mini_batches: int = 0
    succeeded_items: int = 0
    failed_items: int = 0
    attempts: dict[int, int] = field(default_factory=dict)

    def differences(self, result: JobResult) -> list[str]:
        """A text for each number of the job that differs."""
        found = []
        for name in (
            "status",
            "exceeded",
            "processed_mini_batches",
            "succeeded_mini_batches",
            "failed_mini_batches",
            "succeeded_items",
            "failed_items",
        ):
            wanted, got = getattr(self, name), getattr(result, name)
            if wanted != got:
                found.append(f"{name} is {got} and should be {wanted}")
        for batch in result.mini_batches:
            if len(batch.attempts) != self.attempts.get(batch.id, 0):
                found.append(
                    f"mini-batch {batch.id} has {count_text(len(batch.attempts), 'attempt')} and should have "
                    f"{self.attempts.get(batch.id, 0)}"
                )
        return found


def predict(sizes: Sequence[int], fate: Fate, settings: JobSettings, kind: InputKind) -> ExpectedCounts:
    """The expected counts for mini-batches of these sizes, on one worker."""
    rules = settings.rules
    predicted = ExpectedCounts()
    queue = [(mini_batch, 1) for mini_batch in range(len(sizes))]
    to_come = len(sizes)
    awaiting: set[int] = set()
    while queue and predicted.exceeded is None:
        mini_batch, number = queue.pop(0)
        if number == 1:
            to_come -= 1
        predicted.attempts[mini_batch] = number
        outcome, returned = fate(mini_batch, number)
        size = sizes[mini_batch]
        # More results than items are not counted.
        returned = min(returned, size)
        tolerated = outcome == "short" and rules.short_return == "items_only"
        bad = outcome != "succeeded" and not tolerated
        ended = not bad or number > settings.max_retries
        if ended:
            awaiting.discard(mini_batch)
            _count(predicted, mini_batch, size, outcome, returned, bad, settings, kind)
        else:
            awaiting.add(mini_batch)
            queue.append((mini_batch, number + 1))
        all_known = kind == "files" or to_come == 0
        pending = rules.threshold_check == "pending"
        failed = predicted.failed_mini_batches + (len(awaiting) if pending else 0)
        # The mini-batches of a table are counted after the last first attempt.
        if (ended and (bad or returned < size)) or (pending and bad) or (kind != "files" and to_come == 0):
            predicted.exceeded = _exceeded(predicted, failed, len(sizes) if all_known else None, settings)
    nothing = settings.output_action == "append_row" and not predicted.succeeded_items
    if predicted.exceeded is not None or nothing:
        predicted.status = "Failed"
    return predicted


def _count(
    predicted: ExpectedCounts,
    mini_batch: int,
    size: int,
    outcome: Outcome,
    returned: int,
    bad: bool,
    settings: JobSettings,
    kind: InputKind,
) -> None:
    kept = returned if outcome in ("succeeded", "short") else 0
    lost = size - kept
    if bad and outcome != "short" and kind == "tabular" and settings.rules.failed_unit == "partition":
        lost = 1
    predicted.processed_mini_batches += 1
    predicted.succeeded_items += kept
    predicted.failed_items += lost
    if bad:
        predicted.failed_mini_batches += 1
    else:
        predicted.succeeded_mini_batches += 1


def _exceeded(predicted: ExpectedCounts, failed: int, total: int | None, settings: JobSettings) -> str | None:
    """The first exceeded threshold; -1 and 100 percent switch one off."""
    if 0 <= settings.error_threshold < predicted.failed_items:
        return "error_threshold"
    if 0 <= settings.mini_batch_error_threshold < failed:
        return "mini_batch_error_threshold"
    percent = settings.allowed_failed_percent
    if total is not None and percent < 100 and failed * 100 > percent * total:
        return "allowed_failed_percent"
    return None

"""The verdict of a job in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.result import Attempt, JobResult, MiniBatchResult

SHOWN = 5
"""Failed mini-batches that are shown in full; the rest is counted."""


def explain(result: JobResult) -> str:
    """Verdict, counts, every failed mini-batch with its attempts, and what the reader must know besides."""
    lines = [f"{result.entry}: {result.status}" + (f", since {result.reason}" if result.reason else "")]
    lines.append(
        f"  {result.processed_mini_batches} of {count_text(result.total_mini_batches, 'mini-batch')} processed: "
        f"{result.succeeded_mini_batches} succeeded, {result.failed_mini_batches} failed; "
        f"{count_text(result.total_items, 'item')}: {result.succeeded_items} succeeded, {result.failed_items} failed"
    )
    settings = result.settings
    lines.append(
        f"  thresholds: error_threshold {settings.error_threshold}, "
        f"mini_batch_error_threshold {settings.mini_batch_error_threshold}, "
        f"allowed_failed_percent {settings.allowed_failed_percent:g}; max_retries {settings.max_retries}, "
        f"timeout {settings.timeout:g} s; rules: {settings.rules.name}"
    )
    troubled = [batch for batch in result.mini_batches if batch.failed or batch.status == "failed"]
    for batch in troubled[:SHOWN]:
        lines.extend(_mini_batch_lines(batch, result.item_names(batch.id)))
    if len(troubled) > SHOWN:
        lines.append(f"  and {count_text(len(troubled) - SHOWN, 'mini-batch')} more with failed items")
    if not result.attempts:
        lines.extend(
            f"  worker {failure.worker}: {failure.failure.phase} failed: {failure.failure.error}"
            for failure in result.worker_failures[:SHOWN]
        )
    lines.extend(f"  note: {note}" for note in result.notes)
    return "\n".join(lines)


def _mini_batch_lines(batch: MiniBatchResult, names: tuple[str, ...]) -> list[str]:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [
        f"  mini-batch {batch.id} ({shown}): {batch.failed} of {count_text(batch.size, 'item')} failed",
        *(f"    {line}" for line in attempt_lines(batch.attempts)),
    ]


def attempt_lines(attempts: tuple[Attempt, ...]) -> list[str]:
    """A line for each attempt; one for all where they ended alike."""
    endings = {_ending(attempt) for attempt in attempts}
    if len(attempts) > 1 and len(endings) == 1:
        return [f"{len(attempts)} attempts, each: {endings.pop()}"]
    return [attempt_line(attempt, len(attempts)) for attempt in attempts]


def attempt_line(attempt: Attempt, total: int) -> str:
    """One attempt in one line."""
    return f"attempt {attempt.number} of {total} on worker {attempt.worker}: {_ending(attempt)}"


def _ending(attempt: Attempt) -> str:
    return attempt.outcome if attempt.error is None else f"{attempt.outcome}: {attempt.error}"

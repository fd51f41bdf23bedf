"""Sentences that findings of several checks have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.settings import JobSettings

THRESHOLDS = ("error_threshold", "mini_batch_error_threshold", "allowed_failed_percent")


def finding(*paragraphs: str) -> str:
    """One text of several paragraphs; empty ones are left out."""
    return "\n".join(paragraph.rstrip() for paragraph in paragraphs if paragraph)


def indented(text: str) -> str:
    """A traceback or list, set off from the sentences around it."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def thresholds_set(settings: JobSettings) -> list[str]:
    """The thresholds that somebody set on purpose, -1 too."""
    return [name for name in THRESHOLDS if name in settings.explicit]


def consenting(result: JobResult) -> list[str]:
    """Those of the thresholds set that count what was lost, and so allowed it; none where one loss is counted by none.

    error_threshold counts every failed item. The other two count failed mini-batches alone (YAML reference of the
    parallel job), and say nothing of items that are lost in a mini-batch that did not fail.
    """
    set_on_purpose = thresholds_set(result.settings)
    of_items = [name for name in set_on_purpose if name == "error_threshold"]
    of_mini_batches = [name for name in set_on_purpose if name not in of_items] if result.failed_mini_batches else []
    lost_elsewhere = any(batch.failed for batch in result.mini_batches if batch.status != "failed")
    if not result.failed_items or (lost_elsewhere and not of_items):
        return []
    return of_items + of_mini_batches


def values_text(settings: JobSettings, names: list[str]) -> str:
    """Thresholds with their values."""
    return ", ".join(f"{name}={getattr(settings, name):g}" for name in names)


def items_text(names: tuple[str, ...], most: int = 5) -> str:
    """Names of items, the first few in full."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def rows_text(names: tuple[str, ...]) -> str:
    """Names of consecutive rows as a range, such as "rows 1-60 of t.csv"."""
    ends = [re.fullmatch(r"row (\d+)(.*)", name) for name in (names[0], names[-1])] if len(names) > 1 else []
    if not ends or ends[0] is None or ends[1] is None:
        return items_text(names)
    return f"rows {ends[0][1]}-{ends[1][1]}{ends[0][2]}"


def reading_text(result: JobResult) -> str:
    """What the other reading of the rules would make of the job, where that is another verdict."""
    other = {name: status for name, status in result.readings.items() if status not in (None, result.status)}
    return "".join(
        f"Under --parallelrun-set rules={name} the job would be {status}: the sources on the service disagree."
        for name, status in other.items()
    )

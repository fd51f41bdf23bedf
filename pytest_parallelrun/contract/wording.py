"""Sentences that findings of several checks have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.settings import JobSettings

THRESHOLDS = ("error_threshold", "mini_batch_error_threshold", "allowed_failed_percent")

ERROR_LOG = "logs/user/error/<node>/process000.txt"


def finding(*paragraphs: str) -> str:
    """One text of several paragraphs; empty ones are left out."""
    return "\n".join(paragraph.rstrip() for paragraph in paragraphs if paragraph)


def indented(text: str) -> str:
    """A traceback or list, set off from the sentences around it."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def thresholds_set(settings: JobSettings) -> list[str]:
    """The thresholds that somebody set on purpose, -1 too: consent to what they let pass."""
    return [name for name in THRESHOLDS if name in settings.explicit]


def items_text(names: tuple[str, ...], most: int = 5) -> str:
    """Names of items, the first few in full."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def reading_text(result: JobResult) -> str:
    """What the other reading of the rules would make of the job, where that is another verdict."""
    other = {name: status for name, status in result.readings.items() if status not in (None, result.status)}
    return "".join(
        f"Under --parallelrun-set rules={name} the job would be {status}: the sources on the service disagree."
        for name, status in other.items()
    )

"""Sentences shared by findings of several checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.events import Outcome, Phase
    from pytest_parallelrun.emulator.ledger import JobOutcome
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import ItemName


KEEP_WITH_ITEM = (
    "keep each value with its item: sort or shuffle whole rows, never values alone (sort_values(), sample(frac=1), "
    "random.shuffle()), and collect results of threads in the order of the items: executor.map() and pool.map() keep "
    "it, as_completed() and imap_unordered() do not. Or let each task return its name too."
)
THRESHOLDS = ("error_threshold", "mini_batch_error_threshold", "allowed_failed_percent")


def sentences(*texts: str) -> str:
    """Joins texts, each on its own lines; empty ones are left out."""
    return "\n".join(text.rstrip() for text in texts if text)


def indented(text: str) -> str:
    """A traceback or list, indented."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def thresholds_set(settings: JobSettings) -> list[str]:
    """The thresholds that were set, even to -1."""
    return [name for name in THRESHOLDS if name in settings.explicit]


def consenting(settings: JobSettings, outcome: JobOutcome) -> list[str]:
    """The thresholds that were set, count the losses and so allowed them; none if one loss is not counted by any.

    error_threshold counts every failed item. The other two count only failed mini-batches (YAML reference of the
    parallel job), not items lost in a mini-batch that did not fail.
    """
    set_on_purpose = thresholds_set(settings)
    of_items = [name for name in set_on_purpose if name == "error_threshold"]
    of_mini_batches = [name for name in set_on_purpose if name not in of_items] if outcome.failed_mini_batches else []
    if not outcome.failed_items or (outcome.missing_items and not of_items):
        return []
    return of_items + of_mini_batches


def values_text(settings: JobSettings, names: Iterable[str]) -> str:
    """Thresholds with their values."""
    return ", ".join(f"{name}={getattr(settings, name):g}" for name in names)


def items_text(names: Sequence[str], most: int = 5) -> str:
    """Names of items, the first few in full."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def rows_text(names: Sequence[ItemName]) -> str:
    """Names of consecutive rows as a range, such as "rows 1-60 of t.csv"."""
    first, last = names[0], names[-1]
    if len(names) == 1 or first.row is None or last.row is None or last.row - first.row >= len(names):
        return items_text(names)
    of_file = f" of {first.file}" if first.file else ""
    return f"rows {first.row}-{last.row}{of_file}"


def appended_output(settings: JobSettings) -> str:
    """Where appended rows would show it: the start of a sentence."""
    if settings.output_action == "append_row":
        return "In the appended output"
    return "With output_action=append_row, which is not set here,"


ERROR_LOG = "logs/user/error/<node>/process000.txt"
OVERVIEW = "logs/job_progress_overview.<timestamp>.txt"
REPORT = "logs/sys/job_report/processed_mini-batches.csv"

_OF_OUTCOMES: dict[Outcome, str] = {
    "short": f"the missing results are failed items, counted in {OVERVIEW} and in the column Failed of {REPORT}",
    "exception": f"status RUN_EXCEPTION in {REPORT}, the traceback in {ERROR_LOG}; every retry fails the same way",
    "timeout": f"status RUN_TIMEOUT in {REPORT}; the worker is killed, and its init() runs again in a new process",
    "wrong_type": f"the attempt fails with a type error in {ERROR_LOG} and is retried; all its items are lost",
    "crashed": "the process is gone without a traceback; logs/sys/node/<node>/_main.txt names its exit code",
    "load_error": f"the mini-batch cannot be loaded: its status in {REPORT}, the error in logs/sys/error/<node>/",
}
_OF_PHASES: dict[Phase, str] = {
    "import": f"the job fails with exit code 42 (SystemExit: 42); the error is in {ERROR_LOG}",
    "define": f"the job fails with exit code 42 (SystemExit: 42); the error is in {ERROR_LOG}",
    "init": (
        "the job fails with exit code 42 after 3 x max_concurrency_per_instance failed init() calls; the traceback "
        f"is in {ERROR_LOG}"
    ),
}


def shown_for(outcome: Outcome) -> str:
    """What an attempt with this outcome leaves in the logs."""
    return _OF_OUTCOMES[outcome]


def shown_for_phase(phase: Phase) -> str:
    """What a worker that does not start leaves in the logs; "" for the phases of an attempt."""
    return _OF_PHASES.get(phase, "")

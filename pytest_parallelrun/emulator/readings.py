"""What each preset of the rules makes of the recorded attempts. Nothing is run again.

Where a preset would have needed an attempt that was not made, or a limit that was not waited for, the answer
is None: it cannot be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.policy import classify_return
from pytest_parallelrun.emulator.rules import PRESETS, Rules
from pytest_parallelrun.emulator.splitting import open_input

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.events import AttemptEnded, JobStatus, Outcome
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting import InputSource
    from pytest_parallelrun.emulator.splitting.base import Splitter


def read_under_presets(
    source: InputSource,
    settings: JobSettings,
    splitter: Splitter,
    attempts: list[AttemptEnded],
    status: JobStatus,
) -> dict[str, JobStatus | None]:
    """Status of the job under each preset; `status` is the one under the job's own rules."""
    readings: dict[str, JobStatus | None] = {}
    for name in PRESETS:
        rules = Rules.preset(name)
        if rules == settings.rules:
            readings[name] = status
        else:
            other = settings.replace(rules=rules)
            same = rules.file_grouping == settings.rules.file_grouping or _same_split(source, other, splitter)
            readings[name] = _read(settings, other, splitter, attempts) if same else None
    return readings


def _same_split(source: InputSource, other: JobSettings, splitter: Splitter) -> bool:
    """Whether grouping files the other way would have made the same mini-batches."""
    if splitter.kind == "tabular" or other.files_per_mini_batch == 1:
        return True
    regrouped = open_input(source, other)
    if regrouped.total_mini_batches != splitter.total_mini_batches:
        return False
    return all(
        regrouped.item_names(theirs) == splitter.item_names(ours)
        for theirs, ours in zip(regrouped.mini_batches(), splitter.mini_batches(), strict=True)
    )


def _read(
    settings: JobSettings, other: JobSettings, splitter: Splitter, attempts: list[AttemptEnded]
) -> JobStatus | None:
    ledger = Ledger(other, splitter.kind, splitter.total_mini_batches)
    ended: set[int] = set()
    untold: set[int] = set()
    for attempt in attempts:
        batch = attempt.mini_batch
        if batch.id in ended or batch.id in untold:
            continue
        outcome = _outcome_under(attempt, settings, other)
        if outcome is None:
            untold.add(batch.id)
            continue
        retry_allowed = attempt.failure is None or attempt.failure.retry
        ruling = ledger.record(
            batch.id,
            batch.size,
            outcome,
            number=attempt.number,
            returned=attempt.returned,
            retry_allowed=retry_allowed,
        )
        if not ruling.retry:
            ended.add(batch.id)
        if ledger.exceeded(ended=not ruling.retry) is not None:
            # Counts only grow (but for pending ones, which stop the job as soon as they are too many), so
            # what is not known of other mini-batches cannot take this back.
            return "Failed"
    total = splitter.total_mini_batches
    if untold or total is None or len(ended) < total:
        return None
    if ledger.exceeded(ended=True) is not None:
        return "Failed"
    if settings.output_action == "append_row" and not ledger.succeeded_items:
        return "Failed"
    return "Completed"


def _outcome_under(attempt: AttemptEnded, own: JobSettings, other: JobSettings) -> Outcome | None:
    """The outcome under the limits of the other rules; None where more waiting would have had to show it."""
    if attempt.fault is not None and attempt.fault.kind == "times_out":
        return "timeout"
    if attempt.outcome == "timeout":
        return "timeout" if _limit(other) <= _limit(own) else None
    if other.rules.attempt_limit == "run_only":
        over = attempt.running >= other.timeout or attempt.loading >= other.task_overhead_timeout
    else:
        over = attempt.loading + attempt.running >= _limit(other)
    if over:
        return "timeout"
    if attempt.returned is not None:
        return classify_return(attempt.returned, attempt.mini_batch.size)
    return attempt.outcome


def _limit(settings: JobSettings) -> float:
    overhead = settings.task_overhead_timeout if settings.rules.attempt_limit == "with_overhead" else 0
    return float(settings.timeout + overhead)

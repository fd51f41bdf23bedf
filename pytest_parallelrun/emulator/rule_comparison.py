"""What each preset of the rules makes of the recorded attempts. Nothing is run again.

Where a preset would have needed an attempt that was not made, or a limit that was not waited for, the answer
is None: it cannot be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.events import AttemptEnded, MiniBatchEnded
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.policy import classify_return
from pytest_parallelrun.emulator.rules import PRESETS, Rules
from pytest_parallelrun.emulator.splitting import open_input

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.event_log import EventLog
    from pytest_parallelrun.emulator.events import JobStatus, Outcome
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Source, Splitter


def read_under_presets(
    source: Source,
    settings: JobSettings,
    splitter: Splitter,
    total_mini_batches: int | None,
    events: EventLog,
    status: JobStatus,
) -> dict[str, JobStatus | None]:
    """Status of the job under each preset; `status` is the one under the job's own rules.

    total_mini_batches: None where the job ended before its table was split to the end.
    """
    if status == "Completed" and _all_in_time(events, settings):
        # No rule is about mini-batches that succeed at once and in time.
        return dict.fromkeys(PRESETS, status)
    readings: dict[str, JobStatus | None] = {}
    for name in PRESETS:
        rules = Rules.preset(name)
        if rules == settings.rules:
            readings[name] = status
        else:
            other = settings.replace(rules=rules)
            same = rules.file_grouping == settings.rules.file_grouping or _same_split(source, other, splitter)
            ledger = Ledger(other, splitter.kind, total_mini_batches)
            readings[name] = _read(ledger, other, events) if same else None
    return readings


def _all_in_time(events: EventLog, settings: JobSettings) -> bool:
    """Whether all attempts succeeded, and in time under any of the limits."""
    attempts = [event for event in events.others if isinstance(event, AttemptEnded)]
    longest = max([events.longest, *(event.loading + event.running for event in attempts)])
    loading = max([events.longest_loading, *(event.loading for event in attempts)])
    return (
        all(event.outcome == "succeeded" for event in attempts)
        and longest < settings.timeout
        and loading < settings.task_overhead_timeout
    )


def _same_split(source: Source, other: JobSettings, splitter: Splitter) -> bool:
    """Whether grouping files the other way would have made the same mini-batches."""
    if splitter.kind != "files" or other.partition_keys or other.files_per_mini_batch == 1:
        return True
    regrouped = open_input(source, other)
    if regrouped.total_mini_batches != splitter.total_mini_batches:
        return False
    return all(
        regrouped.item_names(other_batch) == splitter.item_names(batch)
        for other_batch, batch in zip(regrouped.mini_batches(), splitter.mini_batches(), strict=True)
    )


def _read(ledger: Ledger, other: JobSettings, events: EventLog) -> JobStatus | None:
    undecided: set[int] = set()
    ended: set[int] = set()
    delivered: set[tuple[int, int]] = set()
    for event in events:
        if isinstance(event, MiniBatchEnded) and not event.mini_batch.size:
            # Without rows there was no attempt.
            ledger.record(event.mini_batch, "succeeded", number=1, returned=0)
        if not isinstance(event, AttemptEnded):
            continue
        batch = event.mini_batch
        if batch.id in ended or batch.id in undecided:
            continue
        if event.fault is not None and event.fault.kind == "delivers_twice":
            delivery = (batch.id, event.number)
            if delivery not in delivered:
                # The second one replaces it.
                delivered.add(delivery)
                continue
        outcome = _outcome_under(event, other)
        if outcome is None:
            undecided.add(batch.id)
            continue
        ruling = ledger.record(batch, outcome, number=event.number, returned=event.returned, failure=event.failure)
        if not ruling.retry:
            ended.add(batch.id)
        if ledger.exceeded() is not None:
            # Counts only grow (but for pending ones, which stop the job as soon as they are too many), so
            # what is not known of other mini-batches cannot take this back.
            return "Failed"
    if ledger.total_mini_batches is None or ledger.processed < ledger.total_mini_batches:
        return None
    if other.output_action == "append_row" and not ledger.succeeded_items:
        return "Failed"
    return "Completed"


def _outcome_under(attempt: AttemptEnded, other: JobSettings) -> Outcome | None:
    """The outcome under the limits of the other rules; None where more waiting would have had to show it."""
    if attempt.fault is not None and attempt.fault.kind == "times_out":
        return "timeout"
    if other.rules.attempt_limit == "run_only":
        over = attempt.running >= other.timeout or attempt.loading >= other.task_overhead_timeout
    else:
        over = attempt.loading + attempt.running >= other.timeout + other.task_overhead_timeout
    if over:
        return "timeout"
    if attempt.outcome == "timeout":
        return None
    if attempt.returned is not None:
        return classify_return(attempt.returned, attempt.mini_batch.size)
    return attempt.outcome

"""The recorded attempts judged under each preset of the rules. Nothing is run again.

If a preset would have needed an attempt that was not made, or a limit that was not waited for, the answer is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import AttemptEnded, Event, MiniBatchEnded, Outcome
from pytest_parallelrun.emulator.ledger import JobOutcome, Ledger
from pytest_parallelrun.emulator.policy import NO_RESULT, classify_return
from pytest_parallelrun.emulator.rules import CHOICES, PRESETS
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import Source, Splitter


@dataclass(frozen=True, kw_only=True)
class RuleComparison:
    """A job under each preset of the rules, with rules that were set one by one unchanged.

    outcomes: by preset. by_rule: where these differ, the outcome if only that rule is as in the other preset. None:
    unknown.
    """

    outcomes: Mapping[str, JobOutcome | None]
    by_rule: Mapping[str, JobOutcome | None] = field(default_factory=dict)

    @classmethod
    def agreed(cls, outcome: JobOutcome) -> RuleComparison:
        """The rules make no difference."""
        return cls(outcomes=dict.fromkeys(PRESETS, outcome))


def other_preset(settings: JobSettings) -> JobSettings:
    """The same settings under the preset that they do not start from."""
    return settings.with_preset(next(name for name in PRESETS if name != settings.preset))


def compare_presets(
    source: Source,
    settings: JobSettings,
    splitter: Splitter,
    total_mini_batches: int | None,
    events: EventLog,
    own: JobOutcome,
    *,
    beyond: Iterable[Event] = (),
) -> RuleComparison:
    """The job under each preset; `own` is its outcome.

    total_mini_batches: None if the job ended before its table was split completely. beyond: attempts after the end by
    its own rules.
    """
    if own.status == "Completed" and _all_in_time(events, settings):
        # No rule concerns mini-batches that succeed at once and in time.
        return RuleComparison.agreed(own)
    other = other_preset(settings)

    def outcome_under(changed: JobSettings) -> JobOutcome | None:
        replay = _Replay(changed, splitter, total_mini_batches)
        replay.take(events)
        replay.take(beyond)
        return replay.outcome()

    same = other.rules.file_grouping == settings.rules.file_grouping or _same_split(source, other, splitter)
    outcomes = {settings.preset: own, other.preset: outcome_under(other) if same else None}
    by_rule = {}
    if outcomes[other.preset] not in (None, own):
        for rule in CHOICES:
            value = getattr(other.rules, rule)
            if value != getattr(settings.rules, rule):
                by_rule[rule] = outcome_under(settings.replace(**{rule: value}))
    return RuleComparison(outcomes={name: outcomes[name] for name in PRESETS}, by_rule=by_rule)


def more_would_tell(settings: JobSettings, splitter: Splitter, events: EventLog) -> bool:
    """Whether only attempts that a threshold prevented keep the other preset from being judged."""
    replay = _Replay(other_preset(settings), splitter, None)
    replay.take(events)
    return replay.reason is None and not replay.undecided


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


class _Replay:
    """The recorded attempts, counted by other rules than those of their job."""

    def __init__(self, other: JobSettings, splitter: Splitter, total_mini_batches: int | None) -> None:
        self._other = other
        self._ledger = Ledger(other, splitter.kind, total_mini_batches)
        self._ended: set[int] = set()
        self._delivered: set[tuple[int, int]] = set()
        self.undecided: set[int] = set()
        """Mini-batches of which it cannot be told what would have become of them."""
        self.reason: str | None = None
        """Which threshold is exceeded."""

    def take(self, events: Iterable[Event]) -> None:
        """What happened next."""
        for event in events:
            if self.reason is not None:
                # Counts only grow (but for pending ones, which stop the job as soon as they are too many), so
                # what is not known of other mini-batches cannot take this back.
                return
            if isinstance(event, MiniBatchEnded) and not event.mini_batch.size:
                # Without rows there was no attempt.
                self._ledger.record(event.mini_batch, "succeeded", number=1, returned=0)
            elif isinstance(event, AttemptEnded):
                self._take_attempt(event)

    def _take_attempt(self, event: AttemptEnded) -> None:
        batch = event.mini_batch
        if batch.id in self._ended or batch.id in self.undecided:
            return
        if event.fault is not None and event.fault.kind == "delivers_twice":
            delivery = (batch.id, event.number)
            if delivery not in self._delivered:
                # The second one replaces it.
                self._delivered.add(delivery)
                return
        outcome = _outcome_under(event, self._other)
        if outcome is None:
            self.undecided.add(batch.id)
            return
        ruling = self._ledger.record(
            batch, outcome, number=event.number, returned=event.returned, failure=event.failure
        )
        if not ruling.retry:
            self._ended.add(batch.id)
        exceeded = self._ledger.exceeded()
        self.reason = None if exceeded is None else exceeded.arithmetic

    def outcome(self) -> JobOutcome | None:
        """What the job comes to; None where it cannot be told."""
        ledger, reason = self._ledger, self.reason
        if reason is None:
            if ledger.total_mini_batches is None or ledger.processed < ledger.total_mini_batches:
                return None
            if self._other.output_action == "append_row" and not ledger.succeeded_items:
                reason = NO_RESULT
        return ledger.outcome(reason)


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

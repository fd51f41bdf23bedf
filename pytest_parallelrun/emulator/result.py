"""The result of a job: counts, mini-batches, attempts, rows, derived from the events."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pytest_parallelrun.emulator.event_log import EventLog, MiniBatchResult, MiniBatchResults
from pytest_parallelrun.emulator.events import (
    AttemptEnded,
    Event,
    JobEnded,
    JobStatus,
    MiniBatchEnded,
    WorkerFailed,
    WorkerStarted,
)
from pytest_parallelrun.emulator.folders import remove_job_folder, sizes_of_files
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.rule_comparison import RuleComparison
from pytest_parallelrun.emulator.service.missing_api import StandInGap
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import ItemName, MiniBatch, Splitter, count_text

MAX_SHOWN = 5
"""Failed mini-batches that are explained in full; the others are counted."""


class JobResult:
    """The result of a job. A failed job is a result too; only a wrong set-up raises."""

    status: JobStatus
    reason: str | None
    exceeded: str | None

    def __init__(
        self,
        *,
        entry: str,
        settings: JobSettings,
        splitter: Splitter | None,
        ledger: Ledger,
        events: EventLog,
        comparison: RuleComparison,
        queued: Sequence[MiniBatch] = (),
        notes: Sequence[str] = (),
        output_path: Path | None = None,
        folder: Path | None = None,
        kept: Path | None = None,
    ) -> None:
        self.entry = entry
        self.settings = settings
        self.events = events
        ended = next(event for event in events.others if isinstance(event, JobEnded))
        self.status, self.reason, self.exceeded = ended.status, ended.reason, ended.exceeded
        self.duration = ended.duration
        self.notes = tuple(notes)
        self.outcome = ledger.outcome(self.reason)
        self.comparison = comparison
        """The recorded attempts judged under each preset of the rules."""
        self.readings: dict[str, JobStatus | None] = {
            name: None if outcome is None else outcome.status for name, outcome in comparison.outcomes.items()
        }
        """The status under each preset; None: unknown."""
        self.processed_mini_batches = ledger.processed
        self.succeeded_mini_batches = ledger.succeeded_mini_batches
        self.failed_mini_batches = ledger.failed_mini_batches
        self.succeeded_items = ledger.succeeded_items
        self.failed_items = ledger.failed_items
        self.output_path = output_path
        self._splitter = splitter
        self._queued = queued
        self.folder = folder
        """The working folder of the job. The folder of each worker in it, such as process000, is moved to `kept`, if
        given.
        """
        self._kept = kept
        if folder is not None:
            # What the job wrote lives as long as its result. (A TemporaryDirectory would warn when it goes.)
            weakref.finalize(self, remove_job_folder, folder)
        known = None if splitter is None else splitter.total_mini_batches
        self.total_mini_batches = len(queued) if known is None else known
        self.splitter_kind = None if splitter is None else splitter.kind
        items = None if splitter is None else splitter.total_items
        # Rows are counted as they are processed; a failed partition may count as one.
        self.total_items = self.succeeded_items + self.failed_items if items is None else items

    @cached_property
    def attempts(self) -> tuple[AttemptEnded, ...]:
        return tuple(self.events.attempts())

    @cached_property
    def worker_failures(self) -> tuple[WorkerFailed, ...]:
        return tuple(event for event in self.events.others if isinstance(event, WorkerFailed))

    @cached_property
    def gaps(self) -> tuple[StandInGap, ...]:
        """Calls that the stand-ins do not cover, even if the script hid the error."""
        return tuple(event for event in self.events.others if isinstance(event, StandInGap))

    @property
    def init_calls(self) -> int:
        """Number of worker starts, including failed ones: each costs an import and an init()."""
        return sum(isinstance(event, (WorkerStarted, WorkerFailed)) for event in self.events.others)

    @property
    def seconds_to_start(self) -> float:
        """What all these took, on the clock of the job."""
        starts = (event for event in self.events.others if isinstance(event, (WorkerStarted, WorkerFailed)))
        return sum(event.duration for event in starts)

    @cached_property
    def files_left(self) -> Mapping[Path, int]:
        """The content of each file that run() created or changed in the working folder of a worker, and left there."""
        left: dict[Path, int] = {}
        if self.folder is None:
            return left
        for event in self.events.others:
            if isinstance(event, WorkerStarted):
                folder = self.folder / f"process{event.worker:03d}"
                for place in (folder, self._kept / folder.name) if self._kept else (folder,):
                    sizes = sizes_of_files(place).items()
                    left.update({folder / name: size for name, size in sizes if event.files.get(name) != size})
        return left

    @cached_property
    def mini_batches(self) -> MiniBatchResults:
        return MiniBatchResults(self.events, self._batches, self.total_mini_batches)

    def _batches(self) -> Sequence[MiniBatch]:
        """All mini-batches, without their results."""
        if self._splitter is not None and len(self._queued) < self.total_mini_batches:
            return list(self._splitter.mini_batches())
        return self._queued

    @cached_property
    def rows(self) -> list[object]:
        """Results of run(), by the rule `appended_rows`: list elements, or a dict for each DataFrame row.

        Rows of a mini-batch stay together and in order; mini-batches are in order of completion.
        """
        rows: list[object] = []
        for value in appended_values(self.events, self.settings.rules.appended_rows):
            rows.extend(as_rows(value))
        return rows

    def item_names(self, mini_batch: int) -> tuple[ItemName, ...]:
        """Names of the items of a mini-batch, for messages: relative paths, or rows of a table."""
        for event in self.events.attempts():
            if event.mini_batch.id == mini_batch:
                return tuple(self.names_of(event.mini_batch))
        return ()

    def names_of(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        """The same for a mini-batch of one of the events; each name is made when it is asked for."""
        return () if self._splitter is None else self._splitter.item_names(mini_batch)

    def explain(self) -> str:
        """The verdict as text: the counts, then every failed mini-batch with its attempts, then the notes."""
        lines = [f"{self.entry}: {self.status}" + (f", since {self.reason}" if self.reason else "")]
        lines.append(
            f"  {self.processed_mini_batches} of {count_text(self.total_mini_batches, 'mini-batch')} processed: "
            f"{self.succeeded_mini_batches} succeeded, {self.failed_mini_batches} failed; "
            f"{count_text(self.total_items, 'item')}: {self.succeeded_items} succeeded, {self.failed_items} failed"
        )
        settings = self.settings
        lines.append(
            f"  thresholds: error_threshold {settings.error_threshold}, "
            f"mini_batch_error_threshold {settings.mini_batch_error_threshold}, "
            f"allowed_failed_percent {settings.allowed_failed_percent:g}; max_retries {settings.max_retries}, "
            f"timeout {settings.timeout:g} s; rules: {settings.rules.name}"
        )
        troubled = [batch for batch in self.mini_batches if batch.failed or batch.status == "failed"]
        for batch in troubled[:MAX_SHOWN]:
            alike = self.mini_batches.ended_alike(batch.id)
            lines.extend(_mini_batch_lines(batch, self.item_names(batch.id), alike=alike))
        if len(troubled) > MAX_SHOWN:
            lines.append(f"  and {count_text(len(troubled) - MAX_SHOWN, 'mini-batch')} more with failed items")
        if not self.attempts:
            lines.extend(
                f"  worker {failure.worker}: {failure.failure.phase} failed: {failure.failure.error}"
                for failure in self.worker_failures[:MAX_SHOWN]
            )
        lines.extend(f"  note: {note}" for note in self.notes)
        return "\n".join(lines)

    def __repr__(self) -> str:
        return (
            f"<JobResult {self.status}: {self.processed_mini_batches} of {self.total_mini_batches} mini-batches "
            f"processed, {self.succeeded_items} items succeeded, {self.failed_items} failed>"
        )


def appended_values(events: Sequence[Event], rule: str) -> list[object]:
    """The content of the appended file, in order, by the rule `appended_rows`."""
    if rule == "every_attempt":
        return [e.value for e in events if isinstance(e, AttemptEnded) and e.returned is not None]
    values = []
    latest: dict[int, object] = {}
    for event in events:
        if isinstance(event, AttemptEnded) and event.returned is not None:
            latest[event.mini_batch.id] = event.value
        elif isinstance(event, MiniBatchEnded) and event.mini_batch.id in latest:
            values.append(latest.pop(event.mini_batch.id))
    return values


def _mini_batch_lines(batch: MiniBatchResult, names: tuple[str, ...], *, alike: bool) -> Iterator[str]:
    """A line for each attempt; one for all if they ended alike, if only in other words."""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    yield f"  mini-batch {batch.id} ({shown}): {batch.failed} of {count_text(batch.size, 'item')} failed"
    total = len(batch.attempts)
    endings = [f"{a.outcome}: {a.error}" if a.error is not None else a.outcome for a in batch.attempts]
    if total > 1 and alike:
        which = "each" if len(set(endings)) == 1 else "all of one kind, the last"
        yield f"    {total} attempts, {which}: {endings[-1]}"
        return
    for attempt, ending in zip(batch.attempts, endings, strict=True):
        yield f"    attempt {attempt.number} of {total} on worker {attempt.worker}: {ending}"

"""The run of the whole sample that the checks of an entry share, with the settings of the job."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pytest_parallelrun.contract.bounds import MAX_KEPT_BYTES, MAX_RESULTS, MAX_ROW_BYTES, MAX_ROWS, evenly
from pytest_parallelrun.contract.finding import Cause, Location
from pytest_parallelrun.contract.phrases import consenting, items_text, rows_text
from pytest_parallelrun.contract.readings import Readings, needs_attempts_beyond
from pytest_parallelrun.emulator.event_log import NOT_KEPT
from pytest_parallelrun.emulator.output import size_of
from pytest_parallelrun.emulator.result import MAX_SHOWN
from pytest_parallelrun.emulator.splitting.model import ItemNames, count_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Set, Sized
    from pathlib import Path

    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.sample_copy import SampleCopy
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure, Progress
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.splitting.model import ItemName


class ReturnedRows(NamedTuple):
    """A result of run(). describe: returns a text for messages, such as "mini-batch 0 (a.txt)"."""

    mini_batch: int
    describe: Callable[[], str]
    value: Sized

    @property
    def label(self) -> str:
        return self.describe()


@dataclass(frozen=True)
class Baseline:
    """The result of that run on a copy of the sample, and what checks need of it. seconds: of real time."""

    result: JobResult
    sample: SampleCopy
    seconds: float = math.inf

    @cached_property
    def readings(self) -> Readings:
        """The verdict of the gate under each set of rules."""
        return Readings(self.result)

    @property
    def first_mini_batch_works(self) -> bool:
        """Whether run() returned a valid type for mini-batch 0 at its first attempt."""
        return any(
            attempt.mini_batch.id == 0 and attempt.number == 1 and attempt.returned is not None
            for attempt in self.result.attempts
        )

    @property
    def busy(self) -> float:
        """Seconds that all attempts took together, with the sleep that was skipped: a worker process would sleep."""
        return sum(attempt.loading + attempt.running for attempt in self.result.attempts)

    @property
    def sleep_skipped(self) -> float:
        """Seconds of sleep that were skipped, about; 0 if none was."""
        return max(0.0, self.busy - self.seconds)

    @cached_property
    def last_attempts(self) -> dict[int, AttemptEnded]:
        """The last attempt at each mini-batch, by and in the order of its id."""
        last = {attempt.mini_batch.id: attempt for attempt in self.result.attempts}
        return {id: last[id] for id in sorted(last)}

    @cached_property
    def succeeded(self) -> Set[int]:
        """The mini-batches that succeeded, by id; one that was not run because it is empty is none of them."""
        events = self.result.events
        ended = {end.mini_batch.id for end in events.ends() if end.status == "succeeded"}
        return {*events.pair_ids(), *ended} & self.last_attempts.keys()

    @cached_property
    def last_returned(self) -> list[AttemptEnded]:
        """The last attempt at each mini-batch that returned a valid type, by the mini-batch."""
        last = {a.mini_batch.id: a for a in self.result.attempts if a.returned is not None}
        return [last[id] for id in sorted(last)]

    @cached_property
    def returned(self) -> list[ReturnedRows]:
        """Their results, as far as they are kept: all unless they are very large; see `last_returned`."""
        return [
            ReturnedRows(attempt.mini_batch.id, partial(self._label, attempt), cast("Sized", attempt.value))
            for attempt in self.last_returned
            if attempt.value is not NOT_KEPT
        ]

    @cached_property
    def examined(self) -> tuple[list[ReturnedRows], str]:
        """The same, or evenly spaced parts of it that can be examined row by row, and what was left out as text."""
        returned = evenly(self.returned, MAX_RESULTS)
        rows, size = sum(len(one.value) for one in returned), sum(size_of(one.value) for one in returned)
        share = min(1.0, MAX_ROWS / max(rows, 1), MAX_ROW_BYTES / max(size, 1))
        if share < 1:
            returned = [one._replace(value=part_of(one.value, math.ceil(len(one.value) * share))) for one in returned]
        rows, total = sum(len(one.value) for one in returned), sum(one.returned or 0 for one in self.last_returned)
        if rows >= total:
            return list(returned), ""
        return list(returned), (
            f"examined {rows:,} of {count_text(total, 'result')}, from {len(returned):,} of "
            f"{count_text(len(self.last_returned), 'mini-batch')}"
        )

    def _label(self, attempt: AttemptEnded) -> str:
        return f"mini-batch {attempt.mini_batch.id} ({self.items(attempt)})"

    @cached_property
    def losing_attempts(self) -> list[AttemptEnded]:
        """The last attempts at mini-batches that lost items, by the mini-batch."""
        lost = {end.mini_batch.id for end in self.result.events.ends() if end.failed or end.status == "failed"}
        return [attempt for id, attempt in self.last_attempts.items() if id in lost]

    def location_of(self, attempt: AttemptEnded) -> Location:
        """Where that attempt was."""
        return Location(
            phase="run",
            mini_batch=attempt.mini_batch.id,
            items=self.items(attempt),
            attempt=attempt.number,
            attempts=self.result.settings.max_retries + 1,
        )

    def cause_of_losses(self) -> Cause | None:
        """Why all items were lost, if there is a single cause; if no worker started, that."""
        causes = {Cause.of_attempt(attempt) for attempt in self.losing_attempts}
        if not self.result.attempts:
            causes = {Cause.of_failure(event.failure) for event in self.result.worker_failures[:1]}
        return causes.pop() if len(causes) == 1 else None

    def items(self, attempt: AttemptEnded) -> str:
        """Names of the items of an attempt's mini-batch; rows of a table as a range."""
        names = self.item_names(attempt)
        return rows_text(names) if self.result.splitter_kind != "files" else items_text(names)

    def item_names(self, attempt: AttemptEnded) -> Sequence[ItemName]:
        """The items of an attempt's mini-batch one by one."""
        names = self.result.names_of(attempt.mini_batch)
        return ItemNames(len(names), lambda position: self.sample.item_name(names[position]))

    def explain(self) -> str:
        """The job as text."""
        return self.sample.without_root(self.result.explain())

    @cached_property
    def nothing_on_purpose(self) -> bool:
        """Whether run() returned no result for any mini-batch, as a threshold allows that was set."""
        result = self.result
        returned = [attempt.returned for attempt in result.attempts if attempt.returned is not None]
        return bool(returned and consenting(result.settings, result.outcome)) and not any(returned)

    @property
    def nothing_succeeded(self) -> bool:
        """Whether run() was called, and every attempt at every mini-batch failed."""
        attempts = self.result.attempts
        return bool(attempts) and all(attempt.returned is None for attempt in attempts)

    def first_traceback(self) -> str:
        """The first traceback of the user's code in this run, or ''."""
        failures = [
            *(event.failure for event in self.result.worker_failures),
            *(attempt.failure for attempt in self.result.attempts if attempt.failure is not None),
        ]
        return next((failure.traceback for failure in failures if failure.traceback), "")

    def shown_failures(self) -> list[Failure]:
        """Those that `explain()` shows, for workers if no attempt was made."""
        if not self.result.attempts:
            return [event.failure for event in self.result.worker_failures[:MAX_SHOWN]]
        shown = {attempt.mini_batch.id for attempt in islice(self.losing_attempts, MAX_SHOWN)}
        return [
            attempt.failure
            for attempt in self.result.attempts
            if attempt.failure is not None and attempt.mini_batch.id in shown
        ]


def run_baseline(
    entry: EntryUnderTest,
    *,
    output: Path | None = None,
    logs: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Baseline:
    """Runs the whole sample once; the arguments are those of ParallelJob."""
    sample = entry.copy_sample()
    began = time.perf_counter()
    result = entry.job(
        sample.input if sample.is_copy else entry.opened,
        output=output,
        logs=logs,
        on_progress=on_progress,
        beyond_threshold=needs_attempts_beyond(entry.settings),
        kept_bytes=MAX_KEPT_BYTES,
        of_gate=True,
    )
    return Baseline(result, sample, time.perf_counter() - began)


def part_of(value: Any, most: int) -> Sized:
    """A result, or evenly spaced rows of it; an index that only counts the rows counts these."""
    chosen = evenly(range(len(value)), most)
    if len(chosen) == len(value):
        return cast("Sized", value)
    if isinstance(value, (list, tuple)):
        return [value[row] for row in chosen]
    part: Sized = value.iloc[list(chosen)]
    counts = value.index.name is None and value.index.equals(type(value.index)(range(len(value))))
    return part.reset_index(drop=True) if counts else part  # type: ignore[attr-defined]

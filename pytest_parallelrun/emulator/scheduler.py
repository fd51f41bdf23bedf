"""The queue of a job: gives out mini-batches and retries until all have ended, or the job ends early.

It asks `policy`, through the ledger, what an attempt means, drives an engine, and records events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from pytest_parallelrun.emulator.engines.protocol import Engine, NoWorkersLeft, Task
from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, JobEnded, MiniBatchEnded, Progress
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.output import AppendedFile, OutputError
from pytest_parallelrun.emulator.policy import NO_RESULT, Exceeded, Ruling
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import MiniBatch, Splitter

TICK = 1.0
"""Seconds after which `on_progress` is called even if no attempt has ended."""


class Scheduler:
    """Runs the mini-batches of `splitter` on `engine`; records to `events`, counts in `ledger`.

    appended: the file for the results. on_progress: called after each attempt, and every TICK. goes_on: whether the
    remaining attempts are made after a threshold was exceeded; those are only in `beyond`.
    """

    def __init__(
        self,
        settings: JobSettings,
        splitter: Splitter,
        engine: Engine,
        *,
        ledger: Ledger,
        events: EventLog,
        appended: AppendedFile | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        goes_on: Callable[[], bool] | None = None,
    ) -> None:
        self._settings = settings
        self._splitter = splitter
        self._engine = engine
        self._ledger = ledger
        self._events = events
        self._appended = appended
        self._on_progress = on_progress
        self._goes_on = goes_on
        self._every_attempt = settings.rules.appended_rows == "every_attempt"
        self._retries: deque[Task] = deque()
        self._redelivered: set[tuple[int, int]] = set()
        self._latest: dict[int, AttemptEnded] = {}
        # When this number of mini-batches had been processed for the first time.
        self._last_processed = 0
        self._last_progress = 0.0
        self.exceeded: Exceeded | None = None
        self.cut_short = False
        """Whether the job ended before all mini-batches had."""
        self.lost_rows: str | None = None
        """Why the results of a job that failed for another reason are lost too."""
        self.queued: list[MiniBatch] = []
        """Only for a table: the list of files can be split again at any time."""
        self.beyond = EventLog()
        self._seconds_beyond = 0.0
        self.total_mini_batches = ledger.total_mini_batches
        """None if unknown: the job ended before its table was split completely."""

    def run(self) -> JobEnded:
        """Runs the job to its end: all mini-batches ended, a threshold exceeded, or no worker left."""
        reason: str | None = None
        completed = False
        try:
            try:
                self._engine.start()
                self._work_off()
                completed = self.exceeded is None
            except NoWorkersLeft as error:
                reason = str(error)
        finally:
            self._engine.stop(normal=completed)
        try:
            if self._appended is not None:
                self._appended.close()
        except OutputError as error:
            if reason is None and self.exceeded is None:
                reason = str(error)
            else:
                self.lost_rows = f"the results are lost as well: {error}"
            completed = False
        self._events.extend(self._engine.worker_events())
        self.cut_short = not completed
        if self.exceeded is not None:
            reason = self.exceeded.arithmetic
        elif completed and self._appended is not None and not self._ledger.succeeded_items:
            reason = NO_RESULT
        ended = JobEnded(
            status="Completed" if reason is None else "Failed",
            reason=reason,
            exceeded=None if self.exceeded is None else self.exceeded.setting,
            duration=self._engine.elapsed() - self._seconds_beyond,
        )
        self._events.append(ended)
        return ended

    def _work_off(self) -> None:
        """Hands out mini-batches until none is left or a threshold is exceeded, and beyond it if requested."""
        tasks = self.tasks()
        held = self._hand_out(tasks, 0)
        if self.exceeded is None or self._goes_on is None or not self._goes_on():
            return
        counted = self._ledger, self._events, self._appended
        queued, exceeded, began = self.queued, self.exceeded, self._engine.elapsed()
        self._ledger, self._events, self._appended = self._ledger.without_thresholds(), self.beyond, None
        self.queued, self.exceeded = [*queued], None
        self._latest.clear()
        try:
            self._hand_out(tasks, held)
        finally:
            self._ledger, self._events, self._appended = counted
            self.queued, self.exceeded = queued, exceeded
            self._seconds_beyond = self._engine.elapsed() - began
            # The workers are those of the job.
            self._events.extend([e for e in self.beyond.others if not isinstance(e, (AttemptEnded, MiniBatchEnded))])

    def _hand_out(self, tasks: Iterator[Task | None], held: int) -> int:
        """The same for tasks of which the engine holds a number; returns how many it holds at the end."""
        engine = self._engine
        while True:
            while self.exceeded is None and held < engine.capacity and (task := next(tasks)) is not None:
                engine.submit(task)
                held += 1
            if self.exceeded is not None or not held:
                return held
            # No name for it: its results would be kept during the next one.
            self.record(self._next_attempt())
            held -= 1
            self._report_progress()
            if events := engine.worker_events():
                self._events.extend(events)

    def tasks(self) -> Iterator[Task | None]:
        """Fresh mini-batches first, then retries in the order of their failures; None if there are none."""
        known = self._ledger.total_mini_batches is not None
        for mini_batch in self._splitter.mini_batches():
            if not known:
                self.queued.append(mini_batch)
            if mini_batch.size:
                yield Task(mini_batch, 1)
            else:
                # The service does not call run() for a table without rows.
                self._end(mini_batch, self._ledger.record(mini_batch, "succeeded", number=1, returned=0))
        if not known:
            self.total_mini_batches = self._ledger.total_mini_batches = len(self.queued)
            # The percentage has its denominator from here on.
            self.exceeded = self._ledger.exceeded()
        while True:
            yield self._retries.popleft() if self._retries else None

    def _next_attempt(self) -> AttemptEnded:
        """The next attempt that ends. NoWorkersLeft if none does for too long."""
        while True:
            attempt = self._engine.collect(self._patience if self._on_progress is None else self._until_tick)
            if attempt is not None:
                return attempt
            if self._patience() <= 0:
                limit = f"{self._settings.progress_update_timeout:g}"
                raise NoWorkersLeft(
                    f"no mini-batch was processed for {limit} s (progress_update_timeout): the service stops such a "
                    f'job, "No progress update in {limit} seconds."'
                )
            self._report_progress()

    def _patience(self) -> float:
        """Seconds until the next mini-batch must be processed."""
        if self._ledger.processed != self._last_processed:
            self._last_processed = self._ledger.processed
            self._last_progress = self._engine.elapsed()
        return float(self._settings.progress_update_timeout) - (self._engine.elapsed() - self._last_progress)

    def _until_tick(self) -> float:
        return min(self._patience(), TICK)

    def _report_progress(self) -> None:
        if self._on_progress is not None:
            ledger = self._ledger
            self._on_progress(Progress(ledger.processed, ledger.total_mini_batches, self._engine.elapsed()))

    def record(self, attempt: AttemptEnded) -> None:
        """Counts an attempt, appends its results, and queues its mini-batch again if it is retried."""
        if attempt.returned is not None and self._appended is not None:
            try:
                self._appended.require(attempt.written)
            except OutputError as error:
                failure = Failure(phase="return", error=f"the results cannot be appended: {error}")
                attempt = attempt._replace(
                    outcome="exception", returned=None, value=None, failure=failure, written=None
                )
        mini_batch, number = attempt.mini_batch, attempt.number
        if attempt.returned is not None and self._appended is not None:
            self._keep(attempt)
        if attempt.fault is not None and attempt.fault.kind == "delivers_twice":
            delivery = (mini_batch.id, number)
            if delivery not in self._redelivered:
                self._redelivered.add(delivery)
                self._retries.append(Task(mini_batch, number))
                self._events.append(attempt)
                return
        ruling = self._ledger.record(
            mini_batch, attempt.outcome, number=number, returned=attempt.returned, failure=attempt.failure
        )
        if ruling.retry:
            self._retries.append(Task(mini_batch, number + 1))
            self._events.append(attempt)
            self.exceeded = self._ledger.exceeded()
        elif attempt.outcome == "succeeded" and attempt.fault is None:
            self._events.append_pair(attempt)
        else:
            self._events.append(attempt)
            self._end(mini_batch, ruling)
        if not ruling.retry and mini_batch.id in self._latest:
            self._append(self._latest.pop(mini_batch.id))

    def _keep(self, attempt: AttemptEnded) -> None:
        """Appends the results, or keeps them until their mini-batch has ended."""
        if not self._every_attempt:
            self._latest[attempt.mini_batch.id] = attempt
            return
        try:
            self._append(attempt)
        except NoWorkersLeft:
            self._events.append(attempt)
            raise

    def _end(self, mini_batch: MiniBatch, ruling: Ruling) -> None:
        self._events.append(
            MiniBatchEnded(
                mini_batch=mini_batch,
                status="failed" if ruling.failed else "succeeded",
                succeeded=ruling.succeeded,
                failed=ruling.failed_items,
            )
        )
        if ruling.failed_items or ruling.failed:
            self.exceeded = self._ledger.exceeded()

    def _append(self, attempt: AttemptEnded) -> None:
        assert self._appended is not None
        try:
            self._appended.append(attempt.value, attempt.written)
        except OutputError as error:
            raise NoWorkersLeft(
                f"the results of mini-batch {attempt.mini_batch.id} cannot be appended: {error}"
            ) from error

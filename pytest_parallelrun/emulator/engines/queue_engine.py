"""Common code of engines with remote workers: tasks wait for a free worker, attempts come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.clock import real_monotonic, real_perf_counter
from pytest_parallelrun.emulator.engines.outcome import (
    INJECTED,
    AttemptLimits,
    DispatchedTask,
    ends_worker,
    judge_fault,
    judge_loading,
)
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
from pytest_parallelrun.emulator.engines.protocol import Observer, Task
from pytest_parallelrun.emulator.events import AttemptEnded, Event, Failure, WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import LoadError, MiniBatch, Splitter, count_text

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.protocol import Patience


class QueueEngine:
    """The queue of an engine, and its final notes. Subclasses implement what raises NotImplementedError."""

    survives_faults = False
    probe_limit: float | None = None
    observed: list[object]

    _pool: ProcessPool

    def __init__(self, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        self._settings = settings
        self._chosen: int | None = None
        self._turn = 0
        self.observed = []
        self._represented = 0
        self._left: list[str] = []
        self.assign(splitter, settings, faults)

    def assign(self, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        self._splitter = splitter
        self._faults = faults
        self._limits = AttemptLimits(settings, self.probe_limit)
        self._waiting: deque[Task] = deque()
        self._ended: deque[AttemptEnded] = deque()

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def start(self) -> None:
        """Starts all workers without waiting: the first one that runs gets the first mini-batch.

        With faults, which may address a certain worker, it waits for all.
        """
        for slot in self._pool.startable():
            self._start(slot)
        if self._faults:
            while any(not worker.up for worker in self._pool.workers()) or self._pool.startable():
                for slot in self._pool.startable():
                    self._start(slot)
                self._wait(None)
            self._pool.require()

    def collect(self, patience: Patience | None = None) -> AttemptEnded | None:
        until = None if patience is None else real_monotonic() + patience()
        while not self._ended:
            if self._waiting:
                self._dispatch()
                if self._ended:
                    break
            self._pool.require()
            self._wait(until)
            if until is not None and not self._ended and real_monotonic() >= until:
                return None
        return self._ended.popleft()

    def _dispatch(self) -> None:
        """Sends waiting tasks to workers that are free, or nearly; starts workers if more are waiting."""
        raise NotImplementedError

    def _start(self, slot: int, *, init: bool = True, observer: type[Observer] | None = None) -> WorkerProcess:
        """Starts a worker in the slot, without waiting. init: whether to call it. observer: watches the start."""
        raise NotImplementedError

    def _start_needed(self) -> None:
        """Starts as many workers as there are mini-batches left."""
        if self._pool.vacant:
            wanted = [slot for slot in self._pool.startable() if self._chosen in (None, slot)]
            for slot in wanted[: len(self._waiting)]:
                self._start(slot)

    def _end(self, worker: WorkerProcess, reason: str, *, replace: bool = True) -> object:
        """Ends a worker; tasks that it has not begun return to the front of the queue."""
        raise NotImplementedError

    def _wait(self, until: float | None) -> None:
        """Waits until something happens to a worker; or until `until`."""
        raise NotImplementedError

    def worker_events(self) -> Sequence[Event]:
        if not self._pool.events:
            return ()
        events, self._pool.events = self._pool.events, []
        return events

    def elapsed(self) -> float:
        return self._pool.elapsed()

    def notes(self) -> Sequence[str]:
        notes = []
        if self._represented:
            notes.append(
                f"{count_text(self._represented, 'result object')} cannot be pickled: reports show str() instead"
            )
        notes += dict.fromkeys(self._left)
        return notes

    @property
    def workers_made(self) -> int:
        return self._pool.made

    def select_worker(self, slot: int | None) -> None:
        self._chosen = slot
        self._turn = 0

    def discard_worker(self, slot: int, reason: str) -> None:
        worker = self._pool.slots[slot]
        if worker is not None:
            self._end(worker, reason)

    def start_worker(
        self, slot: int, *, init: bool = True, observer: type[Observer] | None = None
    ) -> WorkerStarted | WorkerFailed:
        worker = self._start(slot, init=init, observer=observer)
        while not worker.up and self._pool.slots[slot] is worker:
            self._wait(None)
        return next(event for event in reversed(self._pool.events) if isinstance(event, (WorkerStarted, WorkerFailed)))

    def acquire(self) -> None:
        """Nothing to prepare: workers are separate processes."""

    def release(self) -> None:
        """Nothing to restore."""

    def _prepare(self, worker: WorkerProcess, task: Task) -> tuple[DispatchedTask, object] | None:
        """The task to send, with a list of paths or a pickled DataFrame.

        None if its attempt ends before, by a fault or because it cannot be loaded.
        """
        mini_batch, number = task
        fault = self._faults.for_attempt(mini_batch.id, number, worker.number) if self._faults else None
        if fault is not None and fault.kind in INJECTED:
            judgement = judge_fault(fault, mini_batch.size, self._limits.over(late=False, ended="killed"))
            attempt = DispatchedTask(task, fault).ended(
                judgement,
                worker=worker.number,
                began=self.elapsed(),
                running=self._limits.of_run(0.0) if fault.kind == "times_out" else 0.0,
            )
            self._ended.append(attempt)
            if ends_worker(attempt, survives_faults=self.survives_faults):
                self._end(worker, attempt.outcome)
            else:
                self._apply_retry_request(worker, attempt)
            return None
        payload, loading, failure = self._load(mini_batch)
        dispatched = DispatchedTask(task, fault, loading)
        not_loaded = judge_loading(failure, loading, self._limits)
        if not_loaded is not None:
            attempt = dispatched.ended(not_loaded, worker=worker.number, began=self.elapsed(), running=0.0)
            self._ended.append(attempt)
            return None
        return dispatched, payload

    def _apply_retry_request(self, worker: WorkerProcess, attempt: AttemptEnded) -> None:
        """Does what a ParallelRunException requests; the job handles Retry.NoRetry."""
        if attempt.failure is None or attempt.failure.retry_request is None:
            return
        code, delay = attempt.failure.retry_request
        if code in ("Retry.RestartProcess", "Retry.StopProcess"):
            self._end(worker, code, replace=code == "Retry.RestartProcess")
        elif code == "Retry.Sleep":
            worker.pausing_until = real_monotonic() + delay

    def _soonest(self, *moments: float | None) -> float | None:
        """The earliest of these times and, if tasks are waiting, of the ends of pauses; None for never."""
        known = [moment for moment in moments if moment is not None]
        if self._waiting:
            now = real_monotonic()
            known += [worker.pausing_until for worker in self._pool.workers() if worker.pausing_until > now]
        return min(known, default=None)

    def _load(self, mini_batch: MiniBatch) -> tuple[object, float, Failure | None]:
        """The argument of run(), the seconds for loading it, and why it could not be loaded."""
        began = real_perf_counter()
        payload: object = None
        failure: Failure | None = None
        try:
            payload = self._splitter.load(mini_batch)
            if type(payload) is not list:
                import pickle

                payload = pickle.dumps(payload, 5)
        except LoadError as error:
            failure = Failure(phase="load", error=str(error))
        except Exception as error:
            reason = f"the rows cannot be sent to a worker process: {type(error).__name__}: {error}"
            failure = Failure(phase="load", error=reason)
        return payload, real_perf_counter() - began, failure

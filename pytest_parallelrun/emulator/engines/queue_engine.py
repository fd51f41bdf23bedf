"""What engines have in common whose workers are elsewhere: tasks wait for whoever is free, attempts come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple

from pytest_parallelrun.emulator.clock import real_monotonic, real_perf_counter
from pytest_parallelrun.emulator.engines.outcome import (
    INJECTED,
    DispatchedTask,
    dropped_by,
    ends_worker,
    judge_fault,
    judge_loading,
)
from pytest_parallelrun.emulator.engines.timeouts import AttemptLimits
from pytest_parallelrun.emulator.engines.worker_pool import M
from pytest_parallelrun.emulator.events import Failure, WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.splitting.model import LoadError

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.protocol import Observer, Patience, Task
    from pytest_parallelrun.emulator.engines.worker_pool import WorkerPool
    from pytest_parallelrun.emulator.events import AttemptEnded, Event
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import MiniBatch, Splitter


class PreparedTask(NamedTuple):
    """A task as it is sent to a worker. payload: a list of paths, or the pickle of a DataFrame. drops: how many of its
    results are to be lost.
    """

    dispatched: DispatchedTask
    payload: object
    drops: int


class QueueEngine(Generic[M]):
    """The queue of an engine, and what it says in the end. What raises NotImplementedError is of its kind of workers.

    survives_faults: whether a worker outlives an injected fault that would have ended it: another init() could cost a
    minute. probe_limit: seconds that run() may take, for mini-batches of which many are tried.
    """

    survives_faults = False
    probe_limit: float | None = None

    observed: list[object]
    """The results of the observers of workers."""

    _pool: WorkerPool[M]

    def __init__(self, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        self._settings = settings
        self._chosen: int | None = None
        self._turn = 0
        self.observed = []
        self._represented = 0
        self._left: list[str] = []
        self.assign(splitter, settings, faults)

    def assign(self, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        """Another job, or a question, for the workers that are there; their number stays."""
        self._splitter = splitter
        self._faults = faults
        self._limits = AttemptLimits(settings, self.probe_limit)
        self._waiting: deque[Task] = deque()
        self._ended: deque[AttemptEnded] = deque()

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def start(self) -> None:
        """Starts all workers, and waits for none of them: the first that is up gets the first mini-batch.

        With faults, which may be for a certain worker, it waits for all.
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
        """The next attempt that ends; None where none does within the seconds that `patience` gives. NoWorkersLeft."""
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
        """Gives what waits to workers that are free, or nearly; starts workers where there is still more."""
        raise NotImplementedError

    def _start(self, slot: int, *, init: bool = True, observer: type[Observer] | None = None) -> M:
        """Begins to bring up a worker in the slot. init: whether to call it. observer: what watches it meanwhile."""
        raise NotImplementedError

    def _start_needed(self) -> None:
        """Starts as many workers as there are mini-batches left for."""
        if self._pool.vacant:
            wanted = [slot for slot in self._pool.startable() if self._chosen in (None, slot)]
            for slot in wanted[: len(self._waiting)]:
                self._start(slot)

    def _end(self, worker: M, reason: str, *, replace: bool = True) -> object:
        """Ends a worker; what it has in hand and has not begun goes back to the front of the queue."""
        raise NotImplementedError

    def _wait(self, until: float | None) -> None:
        """Waits until something happens to a worker; or until `until`."""
        raise NotImplementedError

    def worker_events(self) -> Sequence[Event]:
        """What happened to workers since the last call."""
        if not self._pool.events:
            return ()
        events, self._pool.events = self._pool.events, []
        return events

    def elapsed(self) -> float:
        """Seconds since the start of the job."""
        return self._pool.elapsed()

    def notes(self) -> Sequence[str]:
        notes = []
        if self._represented:
            notes.append(
                f"{self._represented} object(s) in results are of classes that stay in their worker: rows show their "
                "texts"
            )
        notes += dict.fromkeys(self._left)
        return notes

    @property
    def workers_made(self) -> int:
        """Workers that were started, or tried to."""
        return self._pool.made

    def select_worker(self, slot: int | None) -> None:
        """Tasks go to the worker in the slot from now on; None: to one after the other."""
        self._chosen = slot
        self._turn = 0

    def discard_worker(self, slot: int, reason: str) -> None:
        """Ends the worker in the slot, without its shutdown()."""
        worker = self._pool.slots[slot]
        if worker is not None:
            self._end(worker, reason)

    def start_worker(
        self, slot: int, *, init: bool = True, observer: type[Observer] | None = None
    ) -> WorkerStarted | WorkerFailed:
        """Tries once to start a worker in the slot: import, run() found, init()."""
        worker = self._start(slot, init=init, observer=observer)
        while not worker.up and self._pool.slots[slot] is worker:
            self._wait(None)
        return next(event for event in reversed(self._pool.events) if isinstance(event, (WorkerStarted, WorkerFailed)))

    def acquire(self) -> None:
        """There is nothing to take over: workers are processes of their own."""

    def release(self) -> None:
        """Nor to give back."""

    def _prepare(self, worker: M, task: Task) -> PreparedTask | None:
        """The task as it is sent; None where its attempt ends before: by a fault, or as it cannot be loaded."""
        mini_batch, number = task
        fault = self._faults.for_attempt(mini_batch.id, number, worker.number) if self._faults else None
        if fault is not None and fault.kind in INJECTED:
            judgement = judge_fault(fault, mini_batch.size, self._limits.over(late=False, ended="killed"))
            attempt = DispatchedTask(task, fault, 0.0).ended(
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
        return PreparedTask(dispatched, payload, dropped_by(fault))

    def _apply_retry_request(self, worker: M, attempt: AttemptEnded) -> None:
        """Does what a ParallelRunException asks for; that there be no retry is for the job to heed."""
        if attempt.failure is None or attempt.failure.retry_request is None:
            return
        code, delay = attempt.failure.retry_request
        if code in ("Retry.RestartProcess", "Retry.StopProcess"):
            self._end(worker, code, replace=code == "Retry.RestartProcess")
        elif code == "Retry.Sleep":
            worker.pausing_until = real_monotonic() + delay

    def _soonest(self, *moments: float | None) -> float | None:
        """The first of the moments, and of the ends of pauses while there is something to do; None for never."""
        known = [moment for moment in moments if moment is not None]
        if self._waiting:
            now = real_monotonic()
            known += [worker.pausing_until for worker in self._pool.workers() if worker.pausing_until > now]
        return min(known, default=None)

    def _load(self, mini_batch: MiniBatch) -> tuple[object, float, Failure | None]:
        """What run() gets, seconds that it took to load it, and why it could not be loaded."""
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
            reason = f"the rows cannot be handed to a worker process: {type(error).__name__}: {error}"
            failure = Failure(phase="load", error=reason)
        return payload, real_perf_counter() - began, failure

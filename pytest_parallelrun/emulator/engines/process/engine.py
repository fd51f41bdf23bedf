"""The process engine: mini-batches wait for any free worker, and a worker that takes too long is killed."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from pytest_parallelrun.emulator.clock import probe_time_left, real_monotonic, real_perf_counter
from pytest_parallelrun.emulator.engines.outcome import (
    INJECTED,
    AttemptLimits,
    DispatchedTask,
    Judgement,
    ends_worker,
    judge_fault,
    judge_loading,
    judge_raised,
    judge_returned,
    load,
)
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess, crash_failure
from pytest_parallelrun.emulator.engines.protocol import Observer, Patience, Task
from pytest_parallelrun.emulator.engines.tracebacks import failure_of
from pytest_parallelrun.emulator.events import AttemptEnded, Event, Failure, Outcome, Phase, WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.output import Written
from pytest_parallelrun.emulator.sandbox.process_exit import left_behind
from pytest_parallelrun.emulator.service.missing_api import StandInGap
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import Splitter, count_text
from pytest_parallelrun.emulator.worker import messages
from pytest_parallelrun.emulator.worker.file_watch import is_watching, record_files_of_worker
from pytest_parallelrun.emulator.worker.result_serializer import decode
from pytest_parallelrun.emulator.worker_plan import WorkerPlan

QUICK = 0.02
"""Maximum seconds of run() for that: with longer ones the next goes to whichever worker is free first."""
MEMORY_INTERVAL = 0.05
"""Seconds between two checks of the memory of the workers."""
FINAL_WAIT = 10.0
"""Seconds from shutdown() to the end of a process: atexit handlers, and threads that it waits for."""


class ProcessEngine:
    """`instance_count` times `max_concurrency_per_instance` processes on this machine."""

    survives_faults = False
    probe_limit: float | None = None

    _pool_type = ProcessPool
    _ahead = 2
    """Mini-batches in the pipe of a worker, so that it need not wait for the next one."""

    def __init__(self, plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        self._pool: ProcessPool = self._pool_type(plan, settings)
        self.capacity = len(self._pool.slots) * (1 + self._ahead)
        self._poller = self._pool.poller()
        self._memory_limit = settings.memory_limit
        self._look_at_memory = 0.0
        self._last_end = ""
        self._chosen: int | None = None
        self._turn = 0
        self.observed: list[object] = []
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

    def worker_events(self) -> Sequence[Event]:
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

    def start_workers(
        self, slots: Sequence[int], *, init: bool = True, observer: type[Observer] | None = None
    ) -> Sequence[WorkerStarted | WorkerFailed]:
        workers = [self._start(slot, init=init, observer=observer) for slot in slots]
        while any(not worker.up and self._pool.slots[worker.slot] is worker for worker in workers):
            self._wait(None)
        events = (event for event in self._pool.events if isinstance(event, (WorkerStarted, WorkerFailed)))
        by_number = {event.worker: event for event in events}
        return [by_number[worker.number] for worker in workers]

    def acquire(self) -> None:
        """Nothing to prepare: workers are separate processes."""

    def release(self) -> None:
        """Nothing to restore."""

    def quiet(self) -> None:
        self._pool.quiet = True

    def stop(self, *, normal: bool) -> None:
        """At a normal end it waits for workers that are still starting: each one gets its init() and shutdown()."""
        pool = self._pool
        try:
            if normal:
                while any(not worker.up for worker in pool.workers()):
                    self._wait(None)
                for worker in pool.workers():
                    worker.stopping = True
                    worker.deadline = max(real_monotonic(), worker.pausing_until) + self._limits.coming_up
                    self._poller.send(worker, messages.Shutdown())
                while any(pool.workers()):
                    self._wait(None)
        finally:
            for worker in list(pool.workers()):
                self._poller.remove(worker)
                pool.stopped(worker, "the job was stopped")
            pool.tell_and_clear()

    def _start(self, slot: int, *, init: bool = True, observer: type[Observer] | None = None) -> WorkerProcess:
        """Starts a worker in the slot, without waiting. init: whether to call it. observer: watches the start."""
        pool = self._pool
        fault = self._faults.for_init(pool.made) if init and self._faults else None
        init_failure = None if fault is None else failure_of("init", fault.exception())
        worker = pool.start(
            slot, self._splitter.kind, init=init, init_failure=init_failure, watch=is_watching(), observer=observer
        )
        worker.deadline = worker.head_since + self._limits.coming_up
        self._poller.add(worker)
        return worker

    def _dispatch(self) -> None:
        """Sends waiting tasks to workers that are free, or nearly; starts workers if more are waiting."""
        pool, waiting = self._pool, self._waiting
        slots = pool.slots if self._chosen is None else [pool.slots[self._chosen]]
        now = real_monotonic()
        # With faults, no mini-batch is sent ahead, because its worker may not live to see it.
        for depth in range(1 if self._faults else 1 + self._ahead):
            for position in range(self._turn, self._turn + len(slots)):
                worker = slots[position % len(slots)]
                if worker is None or not worker.up or worker.pausing_until > now:
                    continue
                if len(worker.assigned) <= depth and (worker.quick or not depth):
                    self._turn = worker.slot + 1
                    self._send_next(worker, waiting.popleft())
                    if not waiting:
                        return
        if pool.vacant:
            wanted = [slot for slot in pool.startable() if self._chosen in (None, slot)]
            for slot in wanted[: len(waiting)]:
                self._start(slot)

    def _send_next(self, worker: WorkerProcess, task: Task) -> None:
        prepared = self._prepare(worker, task)
        if prepared is not None:
            self._send(worker, *prepared)

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
        start = real_perf_counter()
        payload, failure = load(self._splitter, mini_batch, pack=True)
        loading = real_perf_counter() - start
        dispatched = DispatchedTask(task, fault, loading)
        not_loaded = judge_loading(failure, loading, self._limits)
        if not_loaded is not None:
            self._ended.append(dispatched.ended(not_loaded, worker=worker.number, began=self.elapsed(), running=0.0))
            return None
        return dispatched, payload

    def _send(self, worker: WorkerProcess, dispatched: DispatchedTask, payload: object) -> None:
        mini_batch, number = dispatched.task
        worker.assigned.append(dispatched if type(payload) is list else dispatched._replace(packed=True))
        if len(worker.assigned) == 1:
            self._begin(worker)
        message = messages.Run(
            mini_batch=mini_batch.id,
            attempt=number,
            first_item=mini_batch.first_item,
            partition=mini_batch.partition,
            payload=payload,
            drops=dispatched.drops,
            watch=is_watching(),
        )
        self._poller.send(worker, message)

    def _wait(self, until: float | None) -> None:
        """Waits until a worker sends something, ends, or takes too long; or until `until`."""
        now = real_monotonic()
        moments = [until, *(worker.deadline for worker in self._pool.workers())]
        if self._memory_limit is not None:
            moments.append(now + MEMORY_INTERVAL)
        if self._waiting:
            moments += [worker.pausing_until for worker in self._pool.workers() if worker.pausing_until > now]
        soonest = min((moment for moment in moments if moment is not None), default=None)
        for worker, received in self._poller.wait(soonest):
            if received is None:
                self._died(worker)
            else:
                self._receive(worker, received)
        now = real_monotonic()
        for worker in list(self._pool.workers()):
            if worker.deadline is not None and now >= worker.deadline:
                self._overdue(worker)
        if self._memory_limit is not None and now >= self._look_at_memory:
            self._look_at_memory = now + MEMORY_INTERVAL
            self._watch_memory(self._memory_limit)

    def _receive(self, worker: WorkerProcess, received: Sequence[messages.Message]) -> None:
        for message in received:
            # Further messages of a worker that was ended for an earlier one do not count.
            if self._pool.slots[worker.slot] is worker:
                self._take(worker, message)

    def _take(self, worker: WorkerProcess, message: messages.Message) -> None:
        match message:
            case messages.Returned():
                judgement = judge_returned(message, worker.assigned[0], self._limits)
                worker.quick = message.running < QUICK
                self._represented += message.represented
                self._answered(worker, message, judgement, message.written)
            case messages.Raised():
                self._answered(worker, message, judge_raised(message, worker.assigned[0], self._limits))
            case messages.RunBegun():
                # Sending and unpacking the mini-batch is not time of run().
                dispatched = worker.assigned[0]
                loading = dispatched.loading + real_monotonic() - worker.head_since
                worker.assigned[0] = dispatched._replace(packed=False, loading=loading)
                self._begin(worker)
            case messages.RunFinished():
                # Nor is sending its results.
                worker.run_finished = True
                worker.deadline = real_monotonic() + self._limits.overhead
            case messages.PhaseBegun():
                worker.phase = cast("Phase", message.phase)
                worker.deadline = real_monotonic() + self._limits.coming_up
            case messages.Up():
                self._observe(message)
                self._pool.came_up(worker, worker.files())
            case messages.StartupFailed():
                self._observe(message)
                self._poller.remove(worker)
                self._pool.failed(worker, Failure.from_plain(message.failure))
                self._left += left_behind(processes=worker.left)
            case messages.GapMet():
                self._pool.met(StandInGap(message.thing, message.advice))
            case messages.Called():
                worker.answer = message
            case _:
                assert isinstance(message, messages.Stopped)
                self._left += left_behind(threads=message.threads, files=message.files)
                failure = None if message.failure is None else Failure.from_plain(message.failure)
                self._poller.remove(worker)
                worker.reap(FINAL_WAIT)
                self._left += left_behind(processes=worker.left)
                self._pool.stopped(worker, "end of the job", failure)

    def _observe(self, message: messages.Up | messages.StartupFailed) -> None:
        record_files_of_worker(message.touched)
        if message.observed is not None:
            [result] = cast("list[object]", decode(message.observed))
            self.observed.append(result)

    def _answered(
        self,
        worker: WorkerProcess,
        message: messages.Returned | messages.Raised,
        judgement: Judgement,
        written: tuple[str, int, int, str] | None = None,
    ) -> None:
        record_files_of_worker(message.touched)
        attempt = worker.assigned.popleft().ended(
            judgement,
            worker=worker.number,
            began=worker.head_since - self._pool.born,
            running=message.running,
            written=None if written is None or judgement.returned is None else Written(*written),
        )
        self._ended.append(attempt)
        if attempt.outcome == "timeout":
            # It returned by itself, but the service would have killed it.
            self._end(worker, "timeout")
            return
        worker.deadline = None
        self._apply_retry_request(worker, attempt)
        if worker.assigned:
            self._begin(worker)

    def _begin(self, worker: WorkerProcess) -> None:
        """Starts the time of its first mini-batch, now or when its pause is over."""
        worker.run_finished = False
        worker.head_since = max(real_monotonic(), worker.pausing_until)
        worker.used_before = 0.0 if self.probe_limit is None else worker.processor_time()
        worker.deadline = worker.head_since + self._limit_of(worker)

    def _limit_of(self, worker: WorkerProcess) -> float:
        """Seconds for its first mini-batch, as far as is known now."""
        dispatched, limits = worker.assigned[0], self._limits
        if dispatched.packed:
            return limits.of_loading(dispatched.loading)
        limit = limits.of_run(dispatched.loading)
        if self.probe_limit is None:
            return limit
        passed = max(real_monotonic() - worker.head_since, 0.0)
        return min(limit, passed + probe_time_left(self.probe_limit, passed, self._used_by(worker)))

    def _used_by(self, worker: WorkerProcess) -> float:
        """Seconds of processor time of its first mini-batch; read only if it may matter."""
        if self.probe_limit is None:
            return 0.0
        return worker.processor_time() - worker.used_before

    def _apply_retry_request(self, worker: WorkerProcess, attempt: AttemptEnded) -> None:
        """Does what a ParallelRunException requests; the job handles Retry.NoRetry."""
        if attempt.failure is None or attempt.failure.retry_request is None:
            return
        code, delay = attempt.failure.retry_request
        if code in ("Retry.RestartProcess", "Retry.StopProcess"):
            self._end(worker, code, replace=code == "Retry.RestartProcess")
        elif code == "Retry.Sleep":
            worker.pausing_until = real_monotonic() + delay

    def _end(self, worker: WorkerProcess, reason: str, *, replace: bool = True) -> str:
        """Ends a worker; tasks that it has not begun return to the front of the queue."""
        self._poller.remove(worker)
        self._waiting.extendleft(dispatched.task for dispatched in reversed(worker.assigned))
        worker.assigned.clear()
        self._last_end = self._pool.stopped(worker, reason, replace=replace)
        return self._last_end

    def _died(self, worker: WorkerProcess) -> None:
        self._receive(worker, worker.receive_all())
        if self._pool.slots[worker.slot] is worker:
            self._lost(worker, "crashed")

    def _overdue(self, worker: WorkerProcess) -> None:
        """Its time is up: its current call has failed, and it is killed."""
        received, _ = worker.receive()
        if received:
            # It was in time; only this process noticed late.
            self._receive(worker, received)
            return
        if self.probe_limit is not None and worker.assigned and not worker.run_finished:
            # It may have worked all the time, on a busy machine.
            worker.deadline = worker.head_since + self._limit_of(worker)
            if real_monotonic() < worker.deadline:
                return
        if not worker.up or worker.stopping:
            worker.kill(self._limits.over_coming_up("shutdown" if worker.stopping else worker.phase))
        self._lost(worker, "timeout")

    def _watch_memory(self, limit: int) -> None:
        for worker in list(self._pool.workers()):
            used = worker.memory_taken(limit)
            if used > limit:
                received, _ = worker.receive()
                if received:
                    # Finished results count; if it stays this large, the next check shows it.
                    self._receive(worker, received)
                    continue
                worker.kill(f"the worker process took {used:,} bytes of memory, more than memory_limit = {limit:,}")
                self._lost(worker, "crashed")

    def _lost(self, worker: WorkerProcess, outcome: Outcome) -> None:
        """A process that is gone, or must end, with its current call."""
        pool = self._pool
        now = real_monotonic()
        if not worker.up or worker.stopping:
            self._poller.remove(worker)
            failure = crash_failure(
                "shutdown" if worker.stopping else worker.phase, worker.reap(), worker.last_errors()
            )
            if worker.stopping:
                pool.stopped(worker, "end of the job", failure)
            else:
                pool.failed(worker, failure)
        elif worker.assigned and worker.pausing_until <= now:
            dispatched = worker.assigned.popleft()
            running = now - worker.head_since
            used = self._used_by(worker)
            reason = self._end(worker, outcome)
            if outcome == "timeout":
                failure = self._too_late(worker, dispatched, running, used)
            else:
                failure = crash_failure("run", reason, worker.last_errors())
            if dispatched.packed:
                dispatched, running = dispatched._replace(loading=dispatched.loading + running), 0.0
            began = now - running - pool.born
            attempt = dispatched.ended(Judgement(outcome, failure), worker=worker.number, began=began, running=running)
            self._ended.append(attempt)
        else:
            self._end(worker, worker.killed_for or "it died while it had nothing to do")

    def _too_late(self, worker: WorkerProcess, dispatched: DispatchedTask, running: float, used: float) -> Failure:
        if dispatched.packed:
            return self._limits.over_loading()
        return self._limits.over_returning() if worker.run_finished else self._limits.killed_after(running, used)

    def is_up(self, slot: int) -> bool:
        worker = self._pool.slots[slot]
        if worker is not None and worker.is_dead:
            self._died(worker)
            return False
        return worker is not None

    def call_in_worker(self, slot: int, function: Callable[..., object], *arguments: object) -> object:
        worker = self._pool.slots[slot]
        assert worker is not None
        worker.answer = None
        name = function.__qualname__
        self._poller.send(
            worker, messages.Call(module=function.__module__, name=name, arguments=pickle.dumps(arguments, 5))
        )
        answer: messages.Called | None = None
        while answer is None and self._pool.slots[slot] is worker:
            self._wait(None)
            answer = worker.answer
        if answer is None:
            raise RuntimeError(f"{name}() has ended the worker process: {self._last_end}")
        if answer.failure is not None:
            failure = Failure.from_plain(answer.failure)
            raise RuntimeError(f"{name}() failed in the worker process: {failure.error}\n{failure.traceback}")
        return pickle.loads(answer.value)

"""The process engine: mini-batches go to whichever worker is free, and what does not come back in time is killed."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.outcome import (
    RetryRequest,
    ended,
    left_open,
    left_running,
    of_raised,
    of_returned,
)
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.process.process_tree import memory_taken
from pytest_parallelrun.emulator.engines.process.worker_process import (
    DispatchedTask,
    MessagePoller,
    WorkerProcess,
    crash_traceback,
)
from pytest_parallelrun.emulator.engines.protocol import Task
from pytest_parallelrun.emulator.engines.queue_engine import QueueEngine
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, Outcome, Phase
from pytest_parallelrun.emulator.worker.file_watch import is_watching, record_files_of_worker
from pytest_parallelrun.emulator.worker.messages import (
    BEGUN,
    CALL,
    CALLED,
    DOWN,
    OVER,
    PHASE,
    RAISED,
    RETURNED,
    RUN,
    SHUTDOWN,
    UP,
)
from pytest_parallelrun.emulator.worker.result_serializer import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_parallelrun.emulator.engines.protocol import Observer
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.sandbox.sandbox import WorkerPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter
    from pytest_parallelrun.emulator.worker.messages import Message


AHEAD = 2
"""Mini-batches that wait in the pipe of a worker, so that it need not wait for the next one."""
QUICK = 0.02
"""Seconds of run() up to which they do: with longer ones the next should go to whoever is free first."""
MEMORY_INTERVAL = 0.05
"""Seconds between two looks at the memory of the workers."""
FINAL_WAIT = 10.0
"""Seconds from shutdown() to the end of a process: atexit handlers, and threads that it waits for."""


class ProcessEngine(QueueEngine[WorkerProcess]):
    """`instance_count` times `max_concurrency_per_instance` processes on this machine."""

    _crew_type = ProcessPool

    def __init__(self, plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        self._crew: ProcessPool = self._crew_type(plan, settings)
        self.capacity = len(self._crew.slots) * (1 + AHEAD)
        self._board = MessagePoller()
        self._memory_limit = settings.memory_limit
        self._look_at_memory = 0.0
        self._last_end = ""
        super().__init__(splitter, settings, faults)

    def quiet(self) -> None:
        """Workers that start from now on show no warnings."""
        self._crew.quiet = True

    def stop(self, *, normal: bool) -> None:
        """Ends the workers; shutdown() is called at a normal end only, as on the service.

        At a normal end it waits for workers that are still on their way, so that every one has its init() and its
        shutdown(), however quick the others were.
        """
        crew = self._crew
        try:
            if normal:
                while any(not worker.up for worker in crew.workers()):
                    self._wait(None)
                self._shut_down()
        finally:
            for worker in list(crew.workers()):
                self._forget(worker)
                crew.stopped(worker, "the job was stopped")
            crew.tell_and_clear()

    def _start(self, slot: int, *, init: bool = True, observer: type[Observer] | None = None) -> WorkerProcess:
        watch = self._is_watching()
        worker = self._crew.start(slot, self._splitter.kind, self._faults, init=init, watch=watch, observer=observer)
        worker.deadline = worker.head_since + self._limits.coming_up
        self._board.add(worker)
        return worker

    def _forget(self, worker: WorkerProcess) -> None:
        self._board.remove(worker)

    def _hand_out(self) -> None:
        """Gives what waits to workers that are free, or nearly; starts workers where there is still more."""
        crew, waiting = self._crew, self._waiting
        slots = crew.slots if self._chosen is None else [crew.slots[self._chosen]]
        now = real_monotonic()
        # With faults no mini-batch is handed over for whose fault its worker may not live to see.
        for depth in range(1 if self._faults else 1 + AHEAD):
            for position in range(self._turn, self._turn + len(slots)):
                worker = slots[position % len(slots)]
                if worker is None or not worker.up or worker.pausing_until > now:
                    continue
                if len(worker.in_hand) <= depth and (worker.quick or not depth):
                    self._turn = worker.slot + 1
                    self._hand(worker, waiting.popleft())
                    if not waiting:
                        return
        self._start_wanted()

    def _hand(self, worker: WorkerProcess, delivery: Task) -> None:
        ready = self._prepare(worker, delivery)
        if ready is not None:
            self._give(worker, *ready)

    def _give(self, worker: WorkerProcess, handed: DispatchedTask, payload: object, drops: int) -> None:
        mini_batch = handed.delivery.mini_batch
        worker.in_hand.append(handed._replace(packed=True) if type(payload) is bytes else handed)
        if len(worker.in_hand) == 1:
            self._begin(worker)
        place = (mini_batch.id, mini_batch.first_item, mini_batch.partition)
        self._board.say(worker, RUN, *place, payload, drops, self._is_watching())

    def _wait(self, until: float | None) -> None:
        """Waits until a worker says something, ends, or has taken too long; or until `until`."""
        now = real_monotonic()
        memory = None if self._memory_limit is None else now + MEMORY_INTERVAL
        due = self._soonest(until, memory, *(worker.deadline for worker in self._crew.workers()))
        for worker, messages in self._board.wait(due):
            if messages is None:
                self._died(worker)
            else:
                self._take_all(worker, messages)
        now = real_monotonic()
        for worker in list(self._crew.workers()):
            if worker.deadline is not None and now >= worker.deadline:
                self._overdue(worker)
        if self._memory_limit is not None and now >= self._look_at_memory:
            self._look_at_memory = now + MEMORY_INTERVAL
            self._watch_memory(self._memory_limit)

    def _take_all(self, worker: WorkerProcess, messages: Sequence[Message]) -> None:
        for message in messages:
            # What one that was ended for the message before says then counts no more.
            if self._crew.slots[worker.slot] is worker:
                self._take(worker, message)

    def _take(self, worker: WorkerProcess, message: Message) -> None:
        kind = message[0]
        if kind == RETURNED:
            handed = worker.in_hand.popleft()
            running = cast("float", message[1])
            began = worker.head_since - self._crew.born
            attempt = of_returned(handed, worker.number, began, message, self._limits)
            worker.quick = running < QUICK
            self._represented += cast("int", message[6])
            self._attempt_ended(worker, attempt, message[9])
        elif kind == RAISED:
            handed = worker.in_hand.popleft()
            began = worker.head_since - self._crew.born
            attempt, retry_request = of_raised(handed, worker.number, began, message, self._limits)
            self._attempt_ended(worker, attempt, message[6])
            if retry_request is not None:
                self._heed(worker, retry_request)
        elif kind == BEGUN:
            # What it took to hand the mini-batch over and to unpack it is no time of run().
            handed = worker.in_hand[0]
            loading = handed.loading + real_monotonic() - worker.head_since
            worker.in_hand[0] = handed._replace(packed=False, loading=loading)
            self._begin(worker)
        elif kind == OVER:
            # So is what it takes to hand its results over.
            worker.over = True
            worker.deadline = real_monotonic() + self._limits.overhead
        elif kind == PHASE:
            worker.phase = "init"
            worker.deadline = real_monotonic() + self._limits.coming_up
        elif kind == UP:
            self._observe(message[1], message[2])
            self._crew.came_up(worker)
        elif kind == DOWN:
            phase, error, traceback = cast("tuple[Phase, str, str]", message[1:4])
            self._observe(message[4], message[5])
            self._forget(worker)
            self._crew.failed(worker, Failure(phase, error, traceback))
        elif kind == CALLED:
            worker.answer = message
        else:
            self._has_stopped(worker, message)

    def _observe(self, touched: object, told: object) -> None:
        self._tell_watchers(touched)
        if told is not None:
            [seen] = cast("list[object]", decode(cast("bytes", told)))
            self.observed.append(seen)

    def _is_watching(self) -> bool:
        """Whether somebody wants to know which files workers open."""
        return is_watching()

    def _tell_watchers(self, touched: object) -> None:
        if touched is not None:
            record_files_of_worker(cast("list[list[str]]", touched))

    def _attempt_ended(self, worker: WorkerProcess, attempt: AttemptEnded, touched: object) -> None:
        self._tell_watchers(touched)
        self._ended.append(attempt)
        if attempt.outcome == "timeout":
            # It came back by itself, but the service would have killed it.
            self._end(worker, "timeout")
            return
        worker.deadline = None
        if worker.in_hand:
            self._begin(worker)

    def _begin(self, worker: WorkerProcess) -> None:
        """The first mini-batch that it has in hand is what it works on from now on, or when its pause is over."""
        handed, limits = worker.in_hand[0], self._limits
        worker.over = False
        worker.head_since = max(real_monotonic(), worker.pausing_until)
        limit = limits.of_loading(handed.loading) if handed.packed else limits.of_run(handed.loading)
        worker.deadline = worker.head_since + limit

    def _end(self, worker: WorkerProcess, reason: str, *, replace: bool = True) -> str:
        """Ends a worker; what it has in hand and has not begun goes back to the front of the queue."""
        self._forget(worker)
        self._waiting.extendleft(handed.delivery for handed in reversed(worker.in_hand))
        worker.in_hand.clear()
        self._last_end = self._crew.stopped(worker, reason, replace=replace)
        return self._last_end

    def _heed(self, worker: WorkerProcess, retry_request: RetryRequest) -> None:
        super()._heed(worker, retry_request)
        if worker.in_hand:
            # It begins with that after its pause.
            self._begin(worker)

    def _died(self, worker: WorkerProcess) -> None:
        """The process has ended, by itself or by somebody else's signal."""
        self._take_all(worker, worker.receive_all())
        if self._crew.slots[worker.slot] is worker:
            self._lost(worker, "crashed")

    def _overdue(self, worker: WorkerProcess) -> None:
        """Its time is up: what it is busy with has failed, and it is killed."""
        messages, _ = worker.receive()
        if messages:
            # It was done in time; only this process was late to hear of it.
            self._take_all(worker, messages)
            return
        if not worker.up or worker.stopping:
            worker.kill(self._limits.over_coming_up("shutdown" if worker.stopping else worker.phase))
        self._lost(worker, "timeout")

    def _watch_memory(self, limit: int) -> None:
        for worker in list(self._crew.workers()):
            used = memory_taken(worker.process.pid, limit)
            if used > limit:
                messages, _ = worker.receive()
                if messages:
                    # What it has done before counts; if it stays so large, that shows at the next look.
                    self._take_all(worker, messages)
                    continue
                worker.kill(f"the worker process took {used:,} bytes of memory, more than memory_limit = {limit:,}")
                self._lost(worker, "crashed")

    def _lost(self, worker: WorkerProcess, outcome: Outcome) -> None:
        """A process that is gone, or must go, with what it was busy with."""
        crew = self._crew
        now = real_monotonic()
        if not worker.up or worker.stopping:
            self._forget(worker)
            how = worker.reap()
            failure = Failure("shutdown" if worker.stopping else worker.phase, how, crash_traceback(worker))
            if worker.stopping:
                crew.stopped(worker, "end of the job", failure)
            else:
                crew.failed(worker, failure)
        elif worker.in_hand and worker.pausing_until <= now:
            handed = worker.in_hand.popleft()
            running = now - worker.head_since
            how = self._end(worker, outcome)
            if outcome == "timeout":
                failure = self._too_late(worker, handed, running)
            else:
                failure = Failure("run", how, crash_traceback(worker))
            if handed.packed:
                handed, running = handed._replace(loading=handed.loading + running), 0.0
            began = now - running - crew.born
            self._ended.append(ended(handed, worker.number, began, running, outcome, failure))
        else:
            self._end(worker, worker.killed_for or "it died while it had nothing to do")

    def _too_late(self, worker: WorkerProcess, handed: DispatchedTask, running: float) -> Failure:
        if handed.packed:
            return self._limits.over_loading()
        return self._limits.over_returning() if worker.over else self._limits.killed_after(running)

    def _shut_down(self) -> None:
        crew = self._crew
        for worker in crew.workers():
            worker.stopping = True
            worker.deadline = max(real_monotonic(), worker.pausing_until) + self._limits.coming_up
            self._board.say(worker, SHUTDOWN)
        while any(crew.workers()):
            self._wait(None)

    def _has_stopped(self, worker: WorkerProcess, message: Message) -> None:
        told, threads, files = cast("tuple[tuple[str, str] | None, list[str], list[str]]", message[1:])
        if threads:
            self._left.append(left_running(threads))
        if files:
            self._left.append(left_open(files))
        failure = None if told is None else Failure("shutdown", *told)
        self._forget(worker)
        worker.reap(FINAL_WAIT)
        self._crew.stopped(worker, "end of the job", failure)


class PersistentProcessEngine(ProcessEngine):
    """The process engine with what questions about single workers need."""

    def is_up(self, slot: int) -> bool:
        """Whether there is a worker in the slot."""
        worker = self._crew.slots[slot]
        if worker is not None and worker.is_dead:
            self._died(worker)
            return False
        return worker is not None

    def ask(self, slot: int, function: Callable[..., object], *arguments: object) -> object:
        """What a function of a module gives in the process of a worker. RuntimeError where it fails there."""
        worker = self._crew.slots[slot]
        assert worker is not None
        worker.answer = None
        self._board.say(worker, CALL, function.__module__, function.__qualname__, pickle.dumps(arguments, 5))
        answered: Message | None = None
        while answered is None and self._crew.slots[slot] is worker:
            self._wait(None)
            answered = worker.answer
        if answered is None:
            raise RuntimeError(f"{function.__name__}() has ended the worker process: {self._last_end}")
        _, data, error = answered
        if error:
            raise RuntimeError(f"{function.__name__}() failed in the worker process: {error}")
        answer: object = pickle.loads(cast("bytes", data))
        return answer

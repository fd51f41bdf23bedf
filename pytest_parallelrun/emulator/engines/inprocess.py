"""Workers that take turns in this process: fast to start, and a debugger works.

`notes` says what it cannot do: stop native code, or a script that swallows every interrupt.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from pytest_parallelrun.emulator.clock import (
    AttemptTimeout,
    WorkerClock,
    attach,
    detach,
    patched_time,
    real_perf_counter,
    running_under,
)
from pytest_parallelrun.emulator.engines.outcome import (
    INJECTED,
    AttemptLimits,
    DispatchedTask,
    Judgement,
    ends_worker,
    judge_fault,
    judge_loading,
    judge_value,
    load,
    over_probe,
)
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft, Observer, Patience, Task
from pytest_parallelrun.emulator.engines.timeout_guard import ScriptThread, TimeoutGuard
from pytest_parallelrun.emulator.engines.tracebacks import failure_of
from pytest_parallelrun.emulator.events import (
    AttemptEnded,
    Event,
    Failure,
    Outcome,
    Phase,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.folders import sizes_of_files
from pytest_parallelrun.emulator.ledger import InitFailures
from pytest_parallelrun.emulator.output import count_returned
from pytest_parallelrun.emulator.sandbox.damage import Damage
from pytest_parallelrun.emulator.sandbox.process_exit import Leftovers, WorkerExit, call_handlers, end_forked_child
from pytest_parallelrun.emulator.sandbox.sandbox import Sandbox, Worker
from pytest_parallelrun.emulator.service.missing_api import GapWatch
from pytest_parallelrun.emulator.service.worker_info import mini_batch_context
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import Splitter, count_text
from pytest_parallelrun.emulator.worker.script import FileMiniBatch
from pytest_parallelrun.emulator.worker_plan import WorkerPlan


class InProcessEngine:
    """`instance_count` times `max_concurrency_per_instance` workers, one attempt after the other."""

    capacity = 1
    survives_faults = False
    probe_limit: float | None = None
    """For run(), see `probe_time_left`. Skipped sleep counts against the timeout only: waiting is not hanging."""

    observed: list[object]
    on_error: Callable[[BaseException], None] | None = None
    """Called with each exception of the script, for a debugger."""

    def __init__(self, plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        self._plan = plan
        self._settings = settings
        self.assign(splitter, settings, faults)
        self._clock = WorkerClock(skipping=settings.clock == "virtual")
        self._guard = TimeoutGuard(self._clock, allowed=settings.thread == "main")
        self._sandbox = Sandbox(plan)
        self._stack = ExitStack()
        self._slots: list[Worker | None] = []
        self._vacant: set[int] = set()
        self._turn = 0
        self._next_number = 0
        self._init_failures = InitFailures(settings)
        self._late_returns = 0
        self._events: list[Event] = []
        self.observed = []
        self._process = os.getpid()

    def assign(self, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        self._splitter = splitter
        self._faults = faults
        # A stopped job may have left one here.
        self._waiting: deque[Task] = deque()
        self._limits = AttemptLimits(settings)

    def start(self) -> None:
        """Starts all workers; NoWorkersLeft if init() fails too often."""
        self.acquire()
        for slot in range(len(self._slots)):
            self._fill(slot)
        self._require_workers()

    def acquire(self) -> None:
        self._leftovers = Leftovers(self._plan)
        self._gap_watch = self._stack.enter_context(GapWatch(lambda gap: self._events.append(gap)))
        self._call: Callable[..., object] = _call_here
        self._stack.enter_context(patched_time())
        if self._settings.thread == "worker":
            thread = ScriptThread(self._clock, self._guard.blame_outside)
            self._call = self._stack.enter_context(thread).call
        else:
            self._stack.enter_context(running_under(self._clock))
        self._stack.enter_context(self._sandbox)
        self._stack.enter_context(self._guard)
        self._call = self._stack.enter_context(Damage()).checked(self._call)
        self._born = self._clock.now()
        settings = self._settings
        self._slots = [None] * (settings.instance_count * settings.max_concurrency_per_instance)

    def release(self) -> None:
        self._sandbox.release()
        detach(self._clock)

    def discard_worker(self, slot: int, reason: str) -> None:
        worker = self._slots[slot]
        if worker is not None:
            self._events.append(WorkerStopped(worker.number, reason))
            self._slots[slot] = None

    @property
    def workers_made(self) -> int:
        return self._next_number

    def is_up(self, slot: int) -> bool:
        return self._slots[slot] is not None

    def select_worker(self, slot: int | None) -> None:
        self._turn = slot or 0

    def stop(self, *, normal: bool) -> None:
        try:
            self._shut_all_down(normal=normal)
            if normal:
                self._leftovers.look()
        finally:
            self._slots = [None] * len(self._slots)
            self._stack.close()
            self._leftovers.close(self._sandbox.processes.left)

    def elapsed(self) -> float:
        return self._clock.now() - self._born

    def worker_events(self) -> Sequence[Event]:
        events, self._events = self._events, []
        return events

    def notes(self) -> Sequence[str]:
        notes = []
        if not self._guard.interrupts:
            why = "thread=worker" if self._settings.thread == "worker" else "not on the main thread"
            notes.append(
                f"timeouts: judged when run() returned, since the script ran where nothing can stop it ({why})"
            )
        elif self._late_returns:
            notes.append(
                f"timeouts: {count_text(self._late_returns, 'attempt')} could not be interrupted (native code, or a "
                "script that catches BaseException), and the time was checked when run() returned"
            )
        if self._clock.skipped >= 1:
            notes.append(
                f"time.sleep() is skipped: the clock of the workers is {self._clock.skipped:.0f} s ahead "
                "(--parallelrun-set clock=real sleeps)"
            )
        return [*notes, *self._leftovers.notes()]

    def _fill(self, slot: int) -> None:
        """Starts a worker in the slot, retrying until it runs or too many have failed."""
        settings = self._settings
        instance = slot // settings.max_concurrency_per_instance
        self._slots[slot] = None
        while self._slots[slot] is None and not self._init_failures.given_up(instance, self.elapsed()):
            self._start_worker(slot)
        # Failures count while no worker runs: a slot abandoned next to a running one costs it nothing.
        first = instance * settings.max_concurrency_per_instance
        if any(self._slots[first : first + settings.max_concurrency_per_instance]):
            self._init_failures.forget(instance)
        if any(self._slots):
            self._init_failures.forget(None)

    def start_workers(
        self, slots: Sequence[int], *, init: bool = True, observer: type[Observer] | None = None
    ) -> Sequence[WorkerStarted | WorkerFailed]:
        return [self._start_worker(slot, init=init, observer=observer) for slot in slots]

    def _start_worker(
        self, slot: int, *, init: bool = True, observer: type[Observer] | None = None
    ) -> WorkerStarted | WorkerFailed:
        if observer is not None:
            # Its patches would be taken for those of the host, and stay.
            self._sandbox.acquire()
            with observer() as watching:
                result = self._start_worker(slot, init=init)
                if (worker_up := self._slots[slot]) is not None:
                    watching.inspect(worker_up.functions)
            self.observed.append(watching.result())
            return result
        event: WorkerStarted | WorkerFailed
        instance = slot // self._settings.max_concurrency_per_instance
        worker = Worker(self._next_number, instance, self._plan)
        self._next_number += 1
        started = self.elapsed()
        failure = self._come_up(worker, init=init)
        duration = self.elapsed() - started
        if failure is None:
            self._slots[slot] = worker
            event = WorkerStarted(
                worker=worker.number,
                instance=instance,
                started=started,
                duration=duration,
                files=sizes_of_files(worker.folder),
            )
        else:
            self._init_failures.add(instance, failure)
            event = WorkerFailed(
                worker=worker.number, instance=instance, started=started, duration=duration, failure=failure
            )
        self._events.append(event)
        return event

    def call_in_worker(self, slot: int, function: Callable[..., object], *arguments: object) -> object:
        return function(*arguments)

    def quiet(self) -> None:
        warnings.simplefilter("ignore")

    def _come_up(self, worker: Worker, *, init: bool) -> Failure | None:
        self._attach()
        failure = self._guarded("import", self._sandbox.start, worker)
        failure = failure or self._guarded("define", worker.find_functions)
        if failure is not None or not init:
            return failure
        fault = self._faults.for_init(worker.number)
        if fault is not None:
            return self._guarded("init", _raise, fault.exception())
        function = worker.functions.init
        return None if function is None else self._guarded("init", function)

    def _guarded(self, phase: Phase, function: Callable[..., object], *arguments: object) -> Failure | None:
        """Calls a function of the script outside an attempt; an exception is a failure of that phase."""
        deadline = self._clock.now() + self._limits.coming_up
        _, failure, _ = self._guarded_call(phase, deadline, self._call, function, *arguments)
        if self._clock.now() >= deadline and not self._guard.suspended:
            return Failure(phase=phase, error=self._limits.over_coming_up(phase))
        return failure

    def _guarded_call(
        self, phase: Phase, deadline: float, function: Callable[..., object], *arguments: object
    ) -> tuple[Outcome, Failure | None, object]:
        """How a call of the script ended, and what it returned."""
        clock, guard = self._clock, self._guard
        outcome: Outcome = "succeeded"
        failure: Failure | None = None
        value: object = None
        ending: BaseException | None = None
        try:
            # Inside, since the limit may be over already.
            guard.begin(deadline)
            value = function(*arguments)
            guard.end()
        except AttemptTimeout as interrupt:
            # Not guard.end(): an alarm may arrive on the way into a function.
            clock.deadline = None
            outcome, failure = "timeout", failure_of(phase, interrupt)._replace(chain=())
        except WorkerExit as death:
            clock.deadline = None
            outcome, failure = "crashed", Failure(phase=phase, error=str(death))
        except BaseException as error:
            clock.deadline = None
            ending = error
            outcome, failure = "exception", failure_of(phase, error)
            if self.on_error is not None:
                self.on_error(error)
        guard.end()
        if os.getpid() != self._process:
            end_forked_child(ending)
        # It refers to this frame, which would keep the payload alive.
        ending = None
        self._gap_watch.collect()
        clock.probe_limit = None
        if guard.outside is not None:
            raise guard.outside
        return outcome, failure, value

    def _require_workers(self) -> None:
        if self._vacant or any(worker is not None for worker in self._slots):
            return
        raise NoWorkersLeft(self._init_failures.reason())

    def _shut_all_down(self, *, normal: bool) -> None:
        # A separate function: a variable of stop() would keep the last worker alive.
        for worker in self._slots:
            if worker is not None:
                self._shut_down(worker, normal=normal)

    def _shut_down(self, worker: Worker, *, normal: bool) -> None:
        failure = None
        if normal and worker.functions.shutdown is not None:
            self._activate(worker)
            failure = self._guarded("shutdown", worker.functions.shutdown)
        if normal and worker.exit_handlers:
            self._activate(worker)
            # The outcome is not reported, as on the service.
            self._guarded("shutdown", call_handlers, worker.exit_handlers)
        reason = "end of the job" if normal else "the job was stopped"
        self._events.append(WorkerStopped(worker.number, reason, failure))

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def collect(self, patience: Patience | None = None) -> AttemptEnded:
        """Executes the next task on the next worker, without waiting, however long it takes."""
        task = self._waiting.popleft()
        slot, worker = self._next_worker()
        attempt = self._attempt(worker, task)
        if attempt.failure is not None:
            if ends_worker(attempt, survives_faults=self.survives_faults):
                self._restart(slot, worker, attempt.outcome)
            elif attempt.failure.retry_request is not None:
                self._apply_retry_request(slot, worker, *attempt.failure.retry_request)
        return attempt

    def _next_worker(self) -> tuple[int, Worker]:
        slots = self._slots
        if len(slots) == 1 and slots[0] is not None:
            self._activate(slots[0])
            return 0, slots[0]
        while True:
            slot = self._turn
            worker = slots[slot]
            if worker is None:
                if slot in self._vacant:
                    self._vacant.discard(slot)
                    self._fill(slot)
                self._require_workers()
                worker = slots[slot]
            self._turn = (slot + 1) % len(slots)
            if worker is not None:
                self._activate(worker)
                return slot, worker

    def _activate(self, worker: Worker) -> None:
        if worker is not self._sandbox.active:
            self._attach()
            self._sandbox.switch(worker)

    def _attach(self) -> None:
        if self._settings.thread == "main":
            attach(self._clock)

    def _restart(self, slot: int, worker: Worker, reason: str) -> None:
        self._events.append(WorkerStopped(worker.number, reason))
        self._slots[slot] = None
        # Filled when it is needed: after the last mini-batch no init() is wasted.
        self._vacant.add(slot)

    def _apply_retry_request(self, slot: int, worker: Worker, code: str, delay: float) -> None:
        if code == "Retry.RestartProcess":
            self._restart(slot, worker, code)
        elif code == "Retry.StopProcess":
            self._events.append(WorkerStopped(worker.number, code))
            self._slots[slot] = None
        elif code == "Retry.Sleep":
            self._clock.pause(delay)

    def _attempt(self, worker: Worker, task: Task) -> AttemptEnded:
        mini_batch = task.mini_batch
        clock, limits = self._clock, self._limits
        fault = self._faults.for_attempt(mini_batch.id, task.number, worker.number) if self._faults else None
        # Reads the clock without a call, once for each of a million attempts.
        began = real_perf_counter() + clock.skipped
        running = 0.0
        if fault is not None and fault.kind in INJECTED:
            dispatched = DispatchedTask(task, fault)
            judgement = judge_fault(fault, mini_batch.size, limits.over(late=False))
            if fault.kind == "times_out":
                running = limits.of_run(0.0)
                clock.skipped += running
        else:
            payload, failure = load(self._splitter, mini_batch)
            loaded = real_perf_counter() + clock.skipped
            dispatched = DispatchedTask(task, fault, loaded - began)
            not_loaded = judge_loading(failure, dispatched.loading, limits)
            if not_loaded is not None:
                judgement = not_loaded
            else:
                deadline = loaded + limits.of_run(dispatched.loading)
                judgement, ended = self._guarded_run(worker, dispatched, payload, deadline)
                running = ended - loaded
        began += dispatched.loading - self._born
        return dispatched.ended(judgement, worker=worker.number, began=began, running=running)

    def _guarded_run(
        self, worker: Worker, dispatched: DispatchedTask, payload: object, deadline: float
    ) -> tuple[Judgement, float]:
        """The outcome of run(), and when it ended."""
        worker.tail.clear()
        self._clock.probe_limit = self.probe_limit
        outcome, failure, value = self._guarded_call("run", deadline, self._run, worker, dispatched, payload)
        ended = real_perf_counter() + self._clock.skipped
        if failure is not None and outcome == "timeout":
            over = self._over_time(late=False, due=ended >= deadline)
            judgement = Judgement(outcome, failure._replace(error=over.error))
        elif outcome != "crashed" and ended >= deadline and not self._guard.suspended:
            self._late_returns += 1
            judgement = Judgement("timeout", self._over_time(late=True))
        elif failure is not None:
            judgement = Judgement(outcome, failure)
        else:
            judgement = judge_value(value, dispatched.task.mini_batch.size)
        return judgement.after_output(worker.tail.text), ended

    def _over_time(self, *, late: bool, due: bool = True) -> Failure:
        if not due and self.probe_limit is not None:
            return over_probe(self.probe_limit, *self._clock.spent())
        return self._limits.over(
            late=late, interruptions=self._guard.interruptions, slept_ahead=self._clock.slept_ahead
        )

    def _run(self, worker: Worker, dispatched: DispatchedTask, payload: object) -> object:
        functions, (it, number) = worker.functions, dispatched.task
        if self._splitter.kind == "files":
            payload = FileMiniBatch(payload, it.id)  # type: ignore[arg-type]
        if functions.takes_context:
            context = mini_batch_context(it.id, it.first_item, it.partition, number)
            value = self._call(functions.run, payload, context)
        else:
            value = self._call(functions.run, payload)
        drops = dispatched.drops
        return value[:-drops] if drops and count_returned(value) is not None else value  # type: ignore[index]


def _call_here(function: Callable[..., object], *arguments: object) -> object:
    return function(*arguments)


def _raise(error: BaseException) -> None:
    raise error

"""The Ray engine: workers on the nodes of a cluster, mini-batches in groups; a failure only costs attempts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.clock import real_monotonic, real_sleep
from pytest_parallelrun.emulator.engines.outcome import DispatchedTask, Judgement
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft
from pytest_parallelrun.emulator.engines.queue_engine import QueueEngine
from pytest_parallelrun.emulator.engines.ray import cluster
from pytest_parallelrun.emulator.engines.ray.actor import RemoteTask, Report, ShutdownReport, WorkerConfig
from pytest_parallelrun.emulator.engines.ray.cluster import (
    ARRIVAL,
    CONTROL,
    ActorHandle,
    NodePlacement,
    RemoteCall,
    in_short,
)
from pytest_parallelrun.emulator.engines.tracebacks import describe_exception, failure_of
from pytest_parallelrun.emulator.engines.worker_pool import WorkerPool
from pytest_parallelrun.emulator.events import Failure, Outcome, WorkerFailed, WorkerStarted, WorkerStopped
from pytest_parallelrun.emulator.policy import init_limit
from pytest_parallelrun.emulator.sandbox.streams import show
from pytest_parallelrun.emulator.service.missing_api import StandInGap
from pytest_parallelrun.emulator.worker.file_watch import is_watching, record_files_of_worker
from pytest_parallelrun.emulator.worker_plan import Host

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_parallelrun.emulator.engines.protocol import Observer
    from pytest_parallelrun.emulator.events import AttemptEnded, Event
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan


MAX_GROUP_SIZE = 128
GROUP_TARGET = 0.05
"""Seconds of work in a group: long compared with the millisecond of a call, short compared with a job."""
GRACE = 60.0
"""Seconds beyond all limits after which a silent actor counts as lost, and is killed."""
AT_ONCE = 3
"""Mini-batches that a worker process may have already when the time of a group is up."""
LAST_WAIT = 15.0
"""Seconds for workers to end when a job is stopped."""
SPARE_ACTORS = 2
"""Actors of a worker that may be lost before they have begun, at no cost."""
_MAX_RAY_LINES = 200
"""Characters of its messages that are shown."""


@dataclass(eq=False, kw_only=True)
class WorkerRecord:
    """The local view of a worker: number counts all workers of the job.

    startup: whether with init(), its injected failure, and its observer. actors_lost: actors that were lost before they
    had begun. pausing_until: end of an injected pause; other pauses are kept at the node. end: how it ended, as text.
    group: mini-batches that it gets at a time.
    """

    number: int
    slot: int
    instance: int
    started: float
    startup: tuple[bool, Failure | None, type[Observer] | None]
    up: bool = False
    actors_lost: int = 0
    pausing_until: float = 0.0
    end: str = ""
    group: int = 1

    def reap(self) -> str:
        """Its process is ended on its node."""
        return self.end


class RayEngine(QueueEngine[WorkerRecord]):
    """`instance_count` times `max_concurrency_per_instance` workers, each instance on one node of the cluster."""

    def __init__(self, plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        # First, because starting a cluster is not time of the job.
        self._cluster = cluster.join()
        self._plan = plan
        self._pool: WorkerPool[WorkerRecord] = WorkerPool(settings)
        # As many wait as are running, so that the next group is a full one.
        self.capacity = len(self._pool.slots) * MAX_GROUP_SIZE * 2
        self._handles: dict[int, ActorHandle] = {}
        self._quiet = False
        self._alone: set[tuple[int, int]] = set()
        """Mini-batch and attempt of those that were lost together, one of which may be the cause."""
        self._placement = NodePlacement(self._cluster, plan)
        super().__init__(splitter, settings, faults)

    def quiet(self) -> None:
        """Suppresses warnings of workers that start from now on."""
        self._quiet = True

    def start(self) -> None:
        # All actors first, since they take the time.
        for slot in self._pool.startable():
            self._handle_in(slot)
        super().start()

    def stop(self, *, normal: bool) -> None:
        """Ends the workers; shutdown() is called only at a normal end, as on the service.

        At a normal end it waits for workers that are still starting, like the process engine.
        """
        pool = self._pool
        try:
            if normal:
                while any(not worker.up for worker in pool.workers()):
                    self._wait(None)
            self._shut_down(normal=normal)
        finally:
            for worker in list(pool.workers()):
                pool.stopped(worker, "the job was stopped")
            for handle in self._handles.values():
                self._cluster.kill(handle.actor)
            self._handles.clear()
            cluster.leave()

    def notes(self) -> Sequence[str]:
        return [*super().notes(), *self._placement.notes()]

    def _handle_in(self, slot: int) -> ActorHandle:
        """The actor in the slot, on the node of its instance."""
        if slot not in self._handles:
            node = self._placement.node_of(self._pool.instance_of(slot))
            self._handles[slot] = ActorHandle(self._cluster, node, slot)
        return self._handles[slot]

    def _config(self) -> WorkerConfig:
        return WorkerConfig(self._settings, self._splitter.kind, self.probe_limit, is_watching())

    def _start(self, slot: int, *, init: bool = True, observer: type[Observer] | None = None) -> WorkerRecord:
        pool = self._pool
        fault = self._faults.for_init(pool.made) if init and self._faults else None
        init_failure = None if fault is None else failure_of("init", fault.exception())
        worker = WorkerRecord(
            number=pool.made,
            slot=slot,
            instance=pool.instance_of(slot),
            started=self.elapsed(),
            startup=(init, init_failure, observer),
        )
        pool.made += 1
        pool.vacant.discard(slot)
        pool.slots[slot] = worker
        self._bring_up(worker)
        return worker

    def _bring_up(self, worker: WorkerRecord) -> None:
        """Makes the actor in the slot of the worker start it."""
        handle = self._handle_in(worker.slot)
        if not handle.begun:
            # A cluster on this machine only starts processes in another way: they inherit the same.
            host = Host.here() if self._cluster.started else None
            try:
                bundle = self._placement.bundle_for(handle)
            except self._cluster.lost as error:
                self._lost(handle, error)
                return
            handle.begun = True
            handle.call("begin", self._plan, self._config(), worker.slot, host, bundle, self._quiet, limit=ARRIVAL)
        handle.workers.append(worker.number)
        limit = 2 * init_limit(self._limits.timeout) + ARRIVAL
        handle.call("ask", self._config(), "bring_up", worker.number, *worker.startup, limit=limit)

    def _dispatch(self) -> None:
        pool, waiting = self._pool, self._waiting
        slots = pool.slots if self._chosen is None else [pool.slots[self._chosen]]
        worker_count = max(1, sum(1 for _ in pool.workers()))
        now = real_monotonic()
        for position in range(self._turn, self._turn + len(slots)):
            worker = slots[position % len(slots)]
            if worker is None or not worker.up or worker.pausing_until > now or self._handles[worker.slot].calls:
                continue
            self._turn = worker.slot + 1
            share = -(-len(waiting) // worker_count)
            # With faults, no mini-batch is sent ahead, because its worker may not live to see it.
            self._send_next(worker, 1 if self._faults else min(worker.group, share))
            if not waiting:
                return
        self._start_needed()

    def _send_next(self, worker: WorkerRecord, count: int) -> None:
        """Sends the first waiting mini-batches."""
        handle = self._handles[worker.slot]
        group: list[DispatchedTask] = []
        remote_tasks = []
        while self._waiting and len(group) < count:
            task = self._waiting[0]
            if (task.mini_batch.id, task.number) in self._alone:
                if group:
                    break
                count = 1
            prepared = self._prepare(worker, self._waiting.popleft())
            if prepared is None:
                break
            payload = prepared.payload
            group.append(prepared.dispatched)
            if self._splitter.kind == "files":
                try:
                    payload = self._placement.payload_for(handle, task.mini_batch.id, cast("list[str]", payload))
                except self._cluster.lost as error:
                    self._return(group)
                    self._lost(handle, error)
                    return
            # The position in the splitter is of no use there.
            task = task._replace(mini_batch=task.mini_batch._replace(position=None))
            remote_tasks.append(RemoteTask(task, payload, prepared.drops, prepared.dispatched.loading))
        if remote_tasks:
            limit = AT_ONCE * (self._limits.of_run(0.0) + self._limits.overhead) + GRACE
            handle.call("ask", self._config(), "work_off", remote_tasks, limit=limit, group=tuple(group))

    def _wait(self, until: float | None) -> None:
        """Waits until an actor answers, is lost, or takes too long; or until `until`."""
        first = {handle.calls[0].reference: handle for handle in self._handles.values() if handle.calls}
        due = self._soonest(until, *(handle.deadline for handle in self._handles.values()))
        timeout = None if due is None else max(0.0, due - real_monotonic())
        if not first:
            real_sleep(timeout or 0.0)
            return
        done, _ = self._cluster.ray.wait(list(first), num_returns=1, timeout=timeout)
        for reference in done:
            self._take(first[reference])
        now = real_monotonic()
        for handle in list(self._handles.values()):
            if handle.deadline is not None and now >= handle.deadline:
                # It hangs, or its node does.
                self._lost(handle, TimeoutError(f"no answer in {handle.calls[0].limit:g} s"), outcome="timeout")

    def _take(self, handle: ActorHandle) -> None:
        """The answer to the first call of the actor."""
        try:
            answer = self._cluster.ray.get(handle.calls[0].reference)
        except self._cluster.lost as error:
            self._lost(handle, error)
            return
        call = handle.answered()
        if isinstance(answer, ShutdownReport):
            self._shutdown_reported(handle, answer)
        elif isinstance(answer, Report) and not handle.leaving:
            self._reported(handle, call, answer)

    def _reported(self, handle: ActorHandle, call: RemoteCall, report: Report) -> None:
        worker = self._pool.slots[handle.slot]
        handle.answer = report.answer
        offset = self.elapsed() - report.elapsed
        for touched in report.touched:
            record_files_of_worker(touched)
        self.observed += report.observed
        self._represented += report.represented
        self._meet(report.events)
        if worker is None:
            # Ended from here meanwhile; a group that it had not begun came back unchanged.
            self._return(call.group)
            return
        attempts = cast("list[AttemptEnded]", report.answer) if call.group else []
        for dispatched, attempt in zip(call.group, attempts, strict=False):
            # With the parts that stayed here, and on the clock of the job.
            started = attempt.started + offset
            completed = attempt._replace(mini_batch=dispatched.task.mini_batch, fault=dispatched.fault, started=started)
            self._ended.append(completed)
        self._return(call.group[len(attempts) :])
        if attempts:
            mean = report.seconds / len(attempts)
            worker.group = max(1, min(MAX_GROUP_SIZE, 4 * worker.group, int(GROUP_TARGET / max(mean, 1e-6))))
        for event in report.events:
            if isinstance(event, WorkerStarted):
                self._pool.came_up(worker, event.files)
            elif isinstance(event, WorkerFailed):
                self._pool.failed(worker, event.failure)
            elif isinstance(event, WorkerStopped) and event.worker == worker.number:
                worker.end = event.failure.error if event.failure is not None else event.reason
                self._pool.stopped(worker, event.reason, event.failure, replace=event.reason != "Retry.StopProcess")

    def _meet(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, StandInGap):
                self._pool.met(event)

    def _return(self, group: Sequence[DispatchedTask]) -> None:
        self._waiting.extendleft(dispatched.task for dispatched in reversed(group))

    def _end(self, worker: WorkerRecord, reason: str, *, replace: bool = True) -> None:
        handle = self._handles[worker.slot]
        handle.call("ask", self._config(), "discard_worker", worker.slot, reason, limit=ARRIVAL)
        worker.end = reason
        self._pool.stopped(worker, reason, replace=replace)

    def _lost(self, handle: ActorHandle, error: BaseException, *, outcome: Outcome = "crashed") -> None:
        """The actor is gone, with its process or its node, and with its current work."""
        worker, calls = self._pool.slots[handle.slot], list(handle.calls)
        handle.calls.clear()
        self._cluster.kill(handle.actor)
        del self._handles[handle.slot]
        self._placement.lost_with(handle)
        if not isinstance(error, self._cluster.died):
            self._cluster.quarantine(handle.node.id)
        if handle.leaving:
            return
        cause = getattr(error, "cause", None)
        reason = in_short(error, _MAX_RAY_LINES) if cause is None else describe_exception(cause)
        end = f"the worker was lost with its actor on node {handle.node.address}: {reason}"
        under_way = [dispatched for call in calls for dispatched in call.group]
        handle.answer = RuntimeError(end)
        if worker is None:
            self._return(under_way)
            return
        worker.end = end
        if not worker.up:
            self._return(under_way)
            if calls and calls[0].method == "begin" and worker.actors_lost < SPARE_ACTORS:
                # Nothing of the script was executed: the actor was gone, or never started.
                worker.actors_lost += 1
                try:
                    self._bring_up(worker)
                except NoWorkersLeft as nobody:
                    self._pool.failed(worker, Failure(phase="init", error=str(nobody)))
            else:
                self._pool.failed(worker, Failure(phase="init", error=end))
            return
        if len(under_way) == 1:
            running = real_monotonic() - handle.since
            attempt = under_way[0].ended(
                Judgement(outcome, Failure(phase="run", error=end)),
                worker=worker.number,
                began=self.elapsed() - running,
                running=running,
            )
            self._ended.append(attempt)
        else:
            # With several, the cause is unknown: they are repeated, one at a time.
            self._alone.update((each.task.mini_batch.id, each.task.number) for each in under_way)
            self._return(under_way)
        self._pool.stopped(worker, end, replace=True)

    def _shut_down(self, *, normal: bool) -> None:
        """Ends the workers, and collects what they leave; their actors stay for the next job."""
        limit = init_limit(self._limits.timeout) + ARRIVAL if normal else LAST_WAIT
        for handle in self._handles.values():
            if handle.calls:
                # Makes the actor return from any wait.
                handle.actor.abandon.options(concurrency_group=CONTROL).remote()
            handle.leaving = True
            handle.call("end", normal, limit=limit)
        until = real_monotonic() + limit
        while self._handles and real_monotonic() < until:
            self._wait(until)
        for handle in self._handles.values():
            self._placement.lost_with(handle)

    def _shutdown_reported(self, handle: ActorHandle, report: ShutdownReport) -> None:
        workers = {worker.number: worker for worker in self._pool.workers()}
        for event in report.events:
            if isinstance(event, WorkerStopped) and event.worker in workers:
                self._pool.stopped(workers.pop(event.worker), event.reason, event.failure)
        self._left += report.left
        self._meet(report.events)
        for text, stream in ((report.stdout, sys.stdout), (report.stderr, sys.stderr)):
            show(text, stream)
        self._placement.copy_back(handle, report)
        self._cluster.idle[handle.node.id].append(handle.actor)
        del self._handles[handle.slot]

    def acquire(self) -> None:
        self._placement.on_this_node = True

    def is_up(self, slot: int) -> bool:
        """Whether there is a worker in the slot."""
        if slot in self._handles and self._pool.slots[slot] is not None:
            self._ask(slot, "is_up", limit=ARRIVAL)
        return self._pool.slots[slot] is not None

    def call_in_worker(self, slot: int, function: Callable[..., object], *arguments: object) -> object:
        """The result of a function of a module in the process of a worker. RuntimeError if it fails there."""
        answer = self._ask(slot, "call_in_worker", function, *arguments, limit=self._limits.timeout + ARRIVAL)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    def _ask(self, slot: int, method: str, *arguments: object, limit: float) -> object:
        handle = self._handles[slot]
        handle.call("ask", self._config(), method, slot, *arguments, limit=limit)
        while handle.calls:
            self._wait(None)
        return handle.answer

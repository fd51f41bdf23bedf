"""The Ray engine: the process engine, with workers that actors hold on the nodes of a cluster.

A failure of Ray, for any reason, is the end of a worker: it costs attempts, and no result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from pytest_parallelrun.emulator.clock import real_monotonic, real_sleep
from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.process.worker_process import MessagePoller, WorkerProcess
from pytest_parallelrun.emulator.engines.protocol import Task
from pytest_parallelrun.emulator.engines.ray import cluster
from pytest_parallelrun.emulator.engines.ray.actor import Delivery, Ending
from pytest_parallelrun.emulator.engines.ray.cluster import POSTS, ActorHandle, NodePlacement, in_short
from pytest_parallelrun.emulator.engines.tracebacks import describe_exception
from pytest_parallelrun.emulator.events import Outcome
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import InputKind
from pytest_parallelrun.emulator.worker.messages import Message
from pytest_parallelrun.emulator.worker_plan import Host, WorkerPlan

GRACE = 60.0
"""Seconds for an actor to end a worker or to clean up. A silent one counts as lost, and is killed."""
SPARE_ACTORS = 2
"""Actors of a worker that may be lost before they have begun, at no cost."""
_MAX_RAY_LINES = 200
"""Characters of its messages that are shown."""


class RemoteWorker(WorkerProcess):
    """A worker process that an actor holds. lost: why there is no answer from the actor any more."""

    handle: ActorHandle
    delivery: Any = None
    """Reference to what it sends next."""
    lost: BaseException | None = None
    ended = False
    _memory = 0
    _ending: Ending | None = None

    def __init__(self, pool: RayPool, slot: int, plan: WorkerPlan) -> None:
        super().__init__(pool.made, slot, pool.instance_of(slot), plan.folder)
        self.stdout, self.stderr = plan.log_of(self, "stdout"), plan.log_of(self, "stderr")
        self._pool = pool
        self._outbox: list[Message] = []

    def send(self, message: Message) -> bool:
        self._outbox.append(message)
        return True

    def push(self) -> bool:
        """Posts what was sent since the last time, and has the actor wait for an answer."""
        if self._outbox:
            self.handle.call("post", self.number, self._outbox, group=POSTS)
            self._outbox = []
        if self.delivery is None and not self.is_gone:
            self.delivery = self.handle.call("receive")
        return True

    @property
    def is_gone(self) -> bool:
        """Whether it, or its actor, sends nothing any more."""
        return self.ended or self.lost is not None

    def receive(self) -> tuple[list[Message], bool]:
        ray = self._pool.cluster.ray
        if self.delivery is None or not ray.wait([self.delivery], timeout=0)[0]:
            return [], self.is_gone
        try:
            delivery: Delivery = ray.get(self.delivery)
        except self._pool.cluster.lost as error:
            self.lost = error
            return [], True
        self.delivery = None
        self.ended, self._memory = delivery.ended, delivery.memory
        return list(delivery.messages), self.ended

    def receive_all(self) -> list[Message]:
        return []

    def _ask(self, name: str, otherwise: object) -> Any:
        if self.lost is None:
            try:
                return self.handle.ask("ask", self.number, name)
            except self._pool.cluster.lost as error:
                self.lost = error
        return otherwise

    @property
    def is_dead(self) -> bool:
        return bool(self._ask("is_dead", True))

    def processor_time(self) -> float:
        return float(self._ask("processor_time", 0.0))

    def memory_taken(self, limit: int) -> int:
        return self._memory

    def files(self) -> dict[str, int]:
        return cast("dict[str, int]", self._ask("files", {}))

    def last_errors(self) -> str:
        return "" if self._ending is None else self._ending.errors

    def kill(self, why: str = "") -> None:
        self.killed_for = self.killed_for or why

    def reap(self, patience: float = 0.0) -> str:
        if self._ending is None:
            self._ending = self._end(patience)
            self.left += self._ending.left
        return self.killed_for or self._ending.how

    def _end(self, patience: float) -> Ending:
        handle = self.handle
        if self.lost is None:
            try:
                if not (patience or self.ended):
                    # It makes `receive` return, and `end` wait for nothing.
                    handle.ask("kill", self.number, limit=GRACE)
                return cast("Ending", handle.ask("end", patience, limit=patience + GRACE, group=None))
            except self._pool.cluster.lost as error:
                self.lost = error
        self._pool.lose(handle, self.lost)
        cause = getattr(self.lost, "cause", None)
        reason = in_short(self.lost, _MAX_RAY_LINES) if cause is None else describe_exception(cause)
        return Ending(f"the worker was lost with its actor on node {handle.node.address}: {reason}")


class RayPool(ProcessPool):
    """The workers of a job, and their actors by slot, which stay for the next job."""

    def __init__(self, plan: WorkerPlan, settings: JobSettings) -> None:
        # First, because starting a cluster is not time of the job.
        self.cluster = cluster.join()
        # Results are not appended by workers: they come with each attempt.
        super().__init__(replace(plan, appended=None), settings)
        self.placement = NodePlacement(self.cluster, plan)
        self._handles: dict[int, ActorHandle] = {}

    def poller(self) -> MessagePoller:
        return RayPoller(self.cluster.ray)

    def handle_in(self, slot: int) -> ActorHandle:
        if slot not in self._handles:
            self._handles[slot] = ActorHandle(self.cluster, self.placement.node_of(self.instance_of(slot)))
        return self._handles[slot]

    def start(self, slot: int, kind: InputKind, **options: Any) -> RemoteWorker:
        worker = RemoteWorker(self, slot, self._plan)
        for _ in range(1 + SPARE_ACTORS):
            worker.handle = self.handle_in(slot)
            try:
                self._begin(worker.handle)
                worker.lost = None
                break
            except self.cluster.lost as error:
                # Nothing of the script was executed: the actor was gone, or never started.
                worker.lost = error
                self.lose(worker.handle, error)
        self.made += 1
        self.vacant.discard(slot)
        self.slots[slot] = worker
        worker.handle.workers.append(worker.number)
        worker.started, worker.head_since = self.elapsed(), real_monotonic()
        if worker.lost is None:
            worker.delivery = worker.handle.call("start", worker.number, slot, kind, self.quiet, options)
        return worker

    def _begin(self, handle: ActorHandle) -> None:
        if not handle.begun:
            # A cluster on this machine only starts processes in another way: they inherit the same.
            host = Host.here() if self.cluster.started else None
            bundle = self.placement.bundle_for(handle)
            handle.ask("begin", self._plan, self._settings, host, bundle, group=None)
            handle.begun = True

    def lose(self, handle: ActorHandle, error: BaseException | None) -> None:
        """The actor is gone, with its process or its node."""
        self._handles = {slot: other for slot, other in self._handles.items() if other is not handle}
        self.cluster.kill(handle.actor)
        self.placement.lost_with(handle)
        if not isinstance(error, self.cluster.died):
            self.cluster.quarantine(handle.node.id)

    def tell_and_clear(self) -> None:
        """Collects what the workers leave, too."""
        try:
            for slot, handle in list(self._handles.items()):
                try:
                    self.placement.take_leave(handle, GRACE)
                    del self._handles[slot]
                except self.cluster.lost as error:
                    self.lose(handle, error)
            super().tell_and_clear()
        finally:
            for handle in self._handles.values():
                self.cluster.kill(handle.actor)
            self._handles.clear()
            cluster.leave()


class RayPoller(MessagePoller):
    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._workers: list[RemoteWorker] = []

    def add(self, worker: WorkerProcess) -> None:
        self._workers.append(cast("RemoteWorker", worker))

    def remove(self, worker: WorkerProcess) -> None:
        with suppress(ValueError):
            self._workers.remove(cast("RemoteWorker", worker))

    def wait(self, until: float | None) -> Iterator[tuple[WorkerProcess, list[Message] | None]]:
        for worker in self._workers:
            worker.push()
        if not any(worker.is_gone for worker in self._workers):
            waiting = {worker.delivery: worker for worker in self._workers}
            timeout = None if until is None else max(0.0, until - real_monotonic())
            if not waiting:
                real_sleep(timeout or 0.0)
                return
            done, _ = self._ray.wait(list(waiting), num_returns=1, timeout=timeout)
            for reference in done:
                yield waiting[reference], waiting[reference].receive()[0]
        for worker in [worker for worker in self._workers if worker.is_gone]:
            yield worker, None


class RayEngine(ProcessEngine):
    """`instance_count` times `max_concurrency_per_instance` workers, each instance on one node of the cluster."""

    _pool_type = RayPool
    _pool: RayPool
    _ahead = 16

    def start(self) -> None:
        # All actors first, since they take the time.
        for slot in self._pool.startable():
            self._pool.handle_in(slot)
        super().start()

    def notes(self) -> Sequence[str]:
        return [*super().notes(), *self._pool.placement.notes()]

    def acquire(self) -> None:
        self._pool.placement.on_this_node = True

    def _send_next(self, worker: WorkerProcess, task: Task) -> None:
        prepared = self._prepare(worker, task)
        if prepared is None:
            return
        dispatched, payload = prepared
        if self._splitter.kind == "files":
            remote = cast("RemoteWorker", worker)
            try:
                paths = cast("list[str]", payload)
                payload = self._pool.placement.payload_for(remote.handle, task.mini_batch.id, paths)
            except self._pool.cluster.lost as error:
                remote.lost = error
                self._waiting.appendleft(task)
                self._died(worker)
                return
        self._send(worker, dispatched, payload)

    def _lost(self, worker: WorkerProcess, outcome: Outcome) -> None:
        running = worker.up and not worker.stopping
        if running and cast("RemoteWorker", worker).lost is not None and len(worker.assigned) != 1:
            if worker.assigned:
                # Any of them may be the cause, or have been finished: from now on, workers get one at a time.
                self._ahead = 0
            self._end(worker, worker.reap())
            return
        super()._lost(worker, outcome)

"""The Ray engine: the process engine, with workers that actors hold on the nodes of a cluster.

A failure of Ray, for any reason, is the end of a worker: it costs attempts, and no result.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.outcome import DispatchedTask
from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.process.worker_process import MessagePoller, WorkerProcess
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft
from pytest_parallelrun.emulator.engines.ray import cluster, files
from pytest_parallelrun.emulator.events import Outcome
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import InputKind, count_text
from pytest_parallelrun.emulator.worker.messages import Message
from pytest_parallelrun.emulator.worker_plan import Host, WorkerPlan

GRACE = 60.0
"""Seconds for an actor to end a worker or to clean up. A silent one counts as lost, and is killed."""
SPARE_ACTORS = 2
"""Actors of a worker that may be lost before they have begun, at no cost."""


class RemoteWorker(WorkerProcess):
    """A worker process that an actor holds. delivery: reference to what it sends next. ended: whether it is gone."""

    delivery: Any = None
    ended = False
    _memory = 0
    _how = _errors = ""

    def __init__(self, pool: RayPool, slot: int, plan: WorkerPlan, handle: cluster.ActorHandle) -> None:
        super().__init__(pool.made, slot, pool.instance_of(slot), plan.folder)
        self.stdout, self.stderr = plan.log_of(self, "stdout"), plan.log_of(self, "stderr")
        self._pool = pool
        self.handle = handle
        self._outbox: list[Message] = []

    def send(self, message: Message) -> bool:
        self._outbox.append(message)
        return True

    def push(self) -> bool:
        """Posts what was sent since the last time, and has the actor wait for an answer."""
        if self._outbox:
            self.handle.call("post", self.number, self._outbox)
            self._outbox = []
        if self.delivery is None and not self.is_gone:
            self.delivery = self.handle.call("receive")
        return True

    @property
    def is_gone(self) -> bool:
        """Whether it, or its actor, sends nothing any more."""
        return self.ended or self.handle.lost is not None

    def receive(self) -> tuple[list[Message], bool]:
        if self.delivery is None or not self._pool.cluster.ray.wait([self.delivery], timeout=0)[0]:
            return [], self.is_gone
        messages, self.ended, self._memory = self.handle.get(self.delivery, ([], False, 0))
        self.delivery = None
        return messages, self.is_gone

    def receive_all(self) -> list[Message]:
        return []

    @property
    def is_dead(self) -> bool:
        return bool(self.handle.ask("ask", "is_dead", otherwise=True))

    def processor_time(self) -> float:
        return float(self.handle.ask("ask", "processor_time", otherwise=0.0))

    def memory_taken(self, limit: int) -> int:
        return self._memory

    def files(self) -> dict[str, int]:
        return cast("dict[str, int]", self.handle.ask("ask", "files", otherwise={}))

    def last_errors(self) -> str:
        return self._errors

    def kill(self, why: str = "") -> None:
        self.killed_for = self.killed_for or why

    def reap(self, patience: float = 0.0) -> str:
        handle = self.handle
        if not self._how:
            if not (patience or self.ended):
                # It makes `receive` return, and `end` wait for nothing.
                handle.ask("ask", "kill", limit=GRACE)
            limit = patience + GRACE
            self._how, left, self._errors = handle.ask("end", patience, otherwise=("", (), ""), limit=limit)
            self.left += left
        if handle.lost is not None:
            self._pool.lose(handle)
            self._how = f"the worker was lost with its actor on node {handle.address}: {cluster.in_short(handle.lost)}"
        return self.killed_for or self._how


class RayPool(ProcessPool):
    """The workers of a job, and their actors by slot, which stay for the next job.

    An instance stays on its node while that answers. on_this_node: whether all are on that of this process.
    """

    on_this_node = False

    def __init__(self, plan: WorkerPlan, settings: JobSettings) -> None:
        # First, because starting a cluster is not time of the job.
        self.cluster = cluster.join()
        # A cluster on this machine only starts processes in another way: they inherit the same.
        host = Host.here() if self.cluster.started else None
        # Results are not appended by workers: they come with each attempt.
        super().__init__(replace(plan, appended=None, host=host), settings)
        self._handles: dict[int, cluster.ActorHandle] = {}
        self._node_of: dict[int, str] = {}
        """The node of each instance."""
        self.used: dict[str, str] = {}
        """The address of each node that was used."""
        self._distrusted: set[str] = set()
        """Nodes on which an actor was lost: a node may be dead for a minute before the cluster says so."""
        self._blind: set[cluster.ActorHandle] = set()
        """Actors whose node does not see the folders of the job."""
        self._sees: dict[tuple[cluster.ActorHandle, str], bool] = {}
        """Whether an actor sees a folder of inputs."""
        self._bundle: object = None
        self.notes: list[str] = []

    def poller(self) -> MessagePoller:
        return RayPoller(self.cluster.ray)

    def handle_in(self, slot: int) -> cluster.ActorHandle:
        """The actor of the slot, on the node of its instance: round robin, the least loaded one if one was lost."""
        if slot in self._handles:
            return self._handles[slot]
        alive = self.cluster.nodes()
        if not alive:
            raise NoWorkersLeft("the Ray cluster has no node that is alive")
        chosen = {self.cluster.home} if self.on_this_node else alive.keys() - self._distrusted
        able = [node for node in alive if node in chosen] or list(alive)
        instance = self.instance_of(slot)
        if self._node_of.get(instance) not in able:
            load = Counter(self._node_of.values())
            self._node_of[instance] = min(able, key=lambda node: load[node])
        node = self._node_of[instance]
        self.used[node] = alive[node]
        idle = self.cluster.idle[node]
        self._handles[slot] = idle.pop() if idle else cluster.ActorHandle(self.cluster, node, alive[node])
        return self._handles[slot]

    def start(self, slot: int, kind: InputKind, **options: Any) -> RemoteWorker:
        plan, moved, beside = self._plan, files.moved(self._plan), files.side_inputs(self._plan)
        for _ in range(1 + SPARE_ACTORS):
            handle = self.handle_in(slot)
            unseen = handle.unseen([*moved, *beside])
            if handle.lost is None:
                break
            # Nothing of the script was executed: the actor was gone, or never started.
            self.lose(handle)
        bundle = None if unseen.isdisjoint(moved) else self._bundle_for(handle, unseen.intersection(beside))
        worker = RemoteWorker(self, slot, plan, handle)
        self.made += 1
        self.vacant.discard(slot)
        self.slots[slot] = worker
        worker.started, worker.head_since = self.elapsed(), real_monotonic()
        if handle.lost is None:
            arguments = worker.number, plan, self._settings, bundle, self.quiet
            worker.delivery = handle.call("start", *arguments, slot=slot, kind=kind, **options)
        return worker

    def _bundle_for(self, handle: cluster.ActorHandle, unseen: set[str]) -> object:
        """Code and models for an actor whose node does not see them. unseen: side inputs that are not sent."""
        self._blind.add(handle)
        if self._bundle is None:
            # Once into the object store, from which each node gets it once.
            self._bundle = self.cluster.ray.put(files.bundle_of(self._plan))
        address = handle.address
        self.notes.append(f"node {address} does not see the folders of this machine: code and models were sent to it")
        self.notes += [
            f"'{path}', which arguments or the environment of the script name, was not sent to node {address}, which "
            "does not see it: put it below the code root, or where all nodes see it at the same path"
            for path in sorted(unseen)
        ]
        return self._bundle

    def payload_for(self, handle: cluster.ActorHandle, mini_batch: int, paths: list[str]) -> object:
        """The paths, or copies of the files of a mini-batch for a node. InputError if they are too large to be sent."""
        if handle not in self._blind:
            return paths
        places = {(handle, os.path.dirname(path)): path for path in paths}
        for place in places.keys() - self._sees.keys():
            # One file of a folder decides.
            self._sees[place] = not handle.unseen([places[place]])
        if all(self._sees[place] for place in places):
            return paths
        self.notes.append(f"node {handle.address} does not see the input, or a part of it: files were sent to it")
        return files.pack(map(os.path.abspath, paths), files.PARCEL_LIMIT, f"mini-batch {mini_batch}: its files have")

    def lose(self, handle: cluster.ActorHandle) -> None:
        """The actor is gone, with its process or its node, and with the files that only that has."""
        handle.kill()
        self._handles = {slot: other for slot, other in self._handles.items() if other is not handle}
        assert handle.lost is not None
        if not isinstance(handle.lost, self.cluster.ray.exceptions.ActorDiedError):
            self._distrusted.add(handle.node)
        if handle in self._blind:
            reason = cluster.in_short(handle.lost)
            self.notes.append(f"what workers of an actor on node {handle.address} wrote and printed is lost: {reason}")

    def tell_and_clear(self) -> None:
        """Collects what the workers leave, too."""
        try:
            for slot, handle in list(self._handles.items()):
                if handle in self._blind:
                    # On shared storage the last writer wins too.
                    replaced = files.unpack(handle.ask("leave", otherwise=(), limit=GRACE))
                    if replaced:
                        self.notes.append(
                            f"{count_text(len(replaced), 'file')} replaced by a file of the same name from node "
                            f"{handle.address}, the first is '{replaced[0]}'"
                        )
                if handle.lost is None:
                    self.cluster.idle[handle.node].append(self._handles.pop(slot))
                else:
                    self.lose(handle)
            super().tell_and_clear()
        finally:
            for handle in self._handles.values():
                handle.kill()
            cluster.leave()


class RayPoller(MessagePoller):
    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._workers: dict[Any, None] = {}

    def add(self, worker: WorkerProcess) -> None:
        self._workers[worker] = None

    def remove(self, worker: WorkerProcess) -> None:
        self._workers.pop(worker, None)

    def wait(self, until: float | None) -> Iterator[tuple[WorkerProcess, list[Message] | None]]:
        for worker in self._workers:
            worker.push()
        if not any(worker.is_gone for worker in self._workers):
            waiting = {worker.delivery: worker for worker in self._workers}
            timeout = None if until is None else max(0.0, until - real_monotonic())
            for reference in self._ray.wait(list(waiting), timeout=timeout)[0]:
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
        used = self._pool.used
        where = f"{count_text(len(used), 'node')} of a Ray cluster: {', '.join(dict.fromkeys(used.values()))}"
        return [*super().notes(), f"workers ran on {where}", *dict.fromkeys(self._pool.notes)]

    def acquire(self) -> None:
        self._pool.on_this_node = True

    def _send(self, worker: WorkerProcess, dispatched: DispatchedTask, payload: object) -> None:
        handle = cast("RemoteWorker", worker).handle
        if self._splitter.kind == "files":
            payload = self._pool.payload_for(handle, dispatched.task.mini_batch.id, cast("list[str]", payload))
            if handle.lost is not None:
                self._waiting.appendleft(dispatched.task)
                self._died(worker)
                return
        super()._send(worker, dispatched, payload)

    def _lost(self, worker: WorkerProcess, outcome: Outcome) -> None:
        lost = cast("RemoteWorker", worker).handle.lost is not None
        if lost and worker.up and not worker.stopping and len(worker.assigned) != 1:
            if worker.assigned:
                # Any of them may be the cause, or have been finished: from now on, workers get one at a time.
                self._ahead = 0
            self._end(worker, worker.reap())
            return
        super()._lost(worker, outcome)

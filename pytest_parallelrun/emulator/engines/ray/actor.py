"""An actor that holds one worker process after another on its node, for one job after another.

It passes the messages of the process engine on, and does what only a process of the same machine can: kill, measure,
write files. It is a plain class, turned into an actor where it is used: this module is imported without Ray.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.process.engine import MEMORY_INTERVAL
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
from pytest_parallelrun.emulator.engines.ray.files import FileCopy, FilePayload, NodeWorkspace, signature
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import InputKind
from pytest_parallelrun.emulator.worker.messages import Message, Raised, Returned, Run
from pytest_parallelrun.emulator.worker_plan import Host, WorkerPlan

GATHERING = 0.02
"""Seconds that a message may wait for further ones."""
_OF_RAY = ("OMP_NUM_THREADS", "PYTHONBREAKPOINT", "SPT_NOENV", "LD_PRELOAD")
"""What Ray adds to the environment of an actor, in addition to names that start with RAY_."""


class Delivery(NamedTuple):
    """What has happened to a worker process. ended: whether it is gone. memory: bytes, if it takes too much."""

    messages: Sequence[Message]
    ended: bool = False
    memory: int = 0


class Ending(NamedTuple):
    """How a worker process ended. left: names of processes that it left; errors: the end of its standard error."""

    how: str
    left: Sequence[str] = ()
    errors: str = ""


class WorkerActor:
    """Lives in an actor. `start`, `receive`, `end` and what is for jobs take turns; the rest may be called any time.

    number: of the worker that is meant, because such a call may come late.
    """

    _pool: ProcessPool
    _worker: WorkerProcess | None = None
    _workspace: NodeWorkspace | None = None
    _look_at_memory = 0.0

    def __init__(self) -> None:
        self._writing = Lock()
        self._running: deque[int] = deque()
        """Mini-batches that the worker has, and has not answered."""

    def unseen(self, signatures: Mapping[str, tuple[int, ...]]) -> list[str]:
        """The files that this node does not have, unchanged, at the same path."""
        return [path for path, known in signatures.items() if signature(path) != known]

    def begin(self, plan: WorkerPlan, settings: JobSettings, host: Host | None, bundle: list[FileCopy] | None) -> None:
        """Prepares for the workers of a job. host: what they inherit, None for that of this node.

        bundle: content of code root and models, None if the node sees the folders of the job.
        """
        self.leave()
        self._memory_limit = settings.memory_limit
        if bundle is not None:
            self._workspace = NodeWorkspace(plan, bundle)
            plan = self._workspace.on_this_node()
        self._pool = ProcessPool(replace(plan, host=host or host_of_node()), settings)

    def start(self, number: int, slot: int, kind: InputKind, quiet: bool, options: dict[str, Any]) -> Delivery:
        """Starts a worker process; what it first sends. NoWorkersLeft if the system refuses."""
        self.end()
        self._pool.made, self._pool.quiet = number, quiet
        worker = self._pool.start(slot, kind, **options)
        # There is a thread that may wait.
        os.set_blocking(worker.writing, True)
        worker.push()
        self._poller = self._pool.poller()
        self._poller.add(worker)
        self._worker = worker
        return self.receive()

    def receive(self) -> Delivery:
        """Waits until the worker sends something, ends, or takes too much memory."""
        worker, limit = self._worker, self._memory_limit
        assert worker is not None
        messages: list[Message] = []
        memory = 0
        ended = False
        until = None
        # Several short mini-batches are answered together.
        while not (ended or memory or (messages and len(self._running) < 2)):
            now = real_monotonic()
            if messages:
                until = until or now + GATHERING
                if now >= until:
                    break
            for _, received in self._poller.wait(until if limit is None else min(until or inf, now + MEMORY_INTERVAL)):
                ended = received is None
                for message in worker.receive_all() if received is None else received:
                    messages.append(message)
                    if isinstance(message, (Returned, Raised)):
                        self._answered()
            if limit is not None and now >= self._look_at_memory:
                self._look_at_memory = now + MEMORY_INTERVAL
                taken = worker.memory_taken(limit)
                memory = taken if taken > limit else 0
        return Delivery(messages, ended, memory)

    def _answered(self) -> None:
        mini_batch = self._running.popleft()
        if self._workspace is not None:
            self._workspace.sweep(mini_batch)

    def post(self, number: int, messages: Sequence[Message]) -> None:
        with self._writing:
            worker = self._worker
            if worker is None or worker.number != number:
                return
            for message in messages:
                if isinstance(message, Run):
                    self._running.append(message.mini_batch)
                    if isinstance(message.payload, FilePayload):
                        assert self._workspace is not None
                        try:
                            paths = self._workspace.unpack(message.mini_batch, message.payload)
                        except OSError as error:
                            worker.kill(f"the files of its mini-batch could not be written: {error}")
                            return
                        # As bytes, whose arrival is told: the time until now is not that of run().
                        message.payload = pickle.dumps(paths, 5)
                worker.send(message)

    def ask(self, number: int, name: str) -> object:
        """Something that the worker process tells about itself."""
        if self._worker is None or self._worker.number != number:
            raise RuntimeError(f"worker {number} has ended")
        value = getattr(self._worker, name)
        return value() if callable(value) else value

    def kill(self, number: int) -> None:
        """Kills the worker process, so that calls that wait for it return."""
        worker = self._worker
        if worker is not None and worker.number == number:
            worker.kill()

    def end(self, patience: float = 0.0) -> Ending:
        """Ends the worker; patience: seconds for it to end by itself."""
        worker, self._worker = self._worker, None
        if worker is None:
            return Ending("")
        with self._writing:
            self._poller.remove(worker)
            how = worker.reap(patience)
            self._running.clear()
        return Ending(how, worker.left, worker.last_errors())

    def leave(self) -> tuple[list[FileCopy], str]:
        """Cleans up after a job. What workers wrote, if the job does not see it, and a note on what was too large."""
        self.end()
        workspace, self._workspace = self._workspace, None
        return ([], "") if workspace is None else workspace.clear()


def host_of_node() -> Host:
    """The environment of this node, without Ray's additions for its own processes."""
    environment = {
        name: value for name, value in os.environ.items() if name not in _OF_RAY and not name.startswith("RAY_")
    }
    installed = tuple(path for path in Host.here().installed if Path(path).name != "thirdparty_files")
    return Host(environment, installed)

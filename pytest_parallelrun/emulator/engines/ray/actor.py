"""An actor that holds one worker process after another on its node, for one job after another.

It passes the messages of the process engine on, and does what only a process of the same machine can: kill, measure,
write files. It is a plain class, turned into an actor where it is used: this module is imported without Ray.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.process.engine import MEMORY_INTERVAL
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
from pytest_parallelrun.emulator.engines.ray.files import Copies, NodeWorkspace, signature
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.worker.messages import Message, Raised, Returned, Run
from pytest_parallelrun.emulator.worker_plan import Host, WorkerPlan

GATHERING = 0.02
"""Seconds that a message may wait for further ones."""
_OF_RAY = ("RAY_", "OMP_NUM_THREADS", "PYTHONBREAKPOINT", "SPT_NOENV", "LD_PRELOAD")
"""What Ray adds to the environment of an actor: how the names start."""


class WorkerActor:
    """Lives in an actor. `start`, `receive` and `end` take turns; the rest may be called any time."""

    _worker: WorkerProcess | None = None
    _workspace: NodeWorkspace | None = None
    _look_at_memory = 0.0

    def __init__(self) -> None:
        self._writing = Lock()
        self._running: deque[int] = deque()
        """Mini-batches that the worker has, and has not answered."""

    def unseen(self, signatures: Mapping[str, tuple[int, ...]]) -> set[str]:
        """The files that this node does not have, unchanged, at the same path."""
        return {path for path, known in signatures.items() if signature(path) != known}

    def start(
        self, number: int, plan: WorkerPlan, settings: JobSettings, bundle: Copies | None, quiet: bool, **how: Any
    ) -> tuple[list[Message], bool, int]:
        """Starts a worker process, and `receive`. NoWorkersLeft if the system refuses.

        bundle: code and models, None if the node sees the folders of the job. how: for `ProcessPool.start`.
        """
        if bundle is not None:
            self._workspace = self._workspace or NodeWorkspace(plan, bundle)
            plan = self._workspace.plan
        self._memory_limit = settings.memory_limit or sys.maxsize
        pool = ProcessPool(replace(plan, host=plan.host or host_of_node()), settings)
        pool.made, pool.quiet = number, quiet
        worker = pool.start(**how)
        # There is a thread that may wait.
        os.set_blocking(worker.writing, True)
        worker.push()
        self._poller = pool.poller()
        self._poller.add(worker)
        self._worker = worker
        return self.receive()

    def receive(self) -> tuple[list[Message], bool, int]:
        """Waits until the worker sends something, ends, or takes too much memory.

        What it sent, whether it is gone, and how many bytes of memory it took at the last look.
        """
        worker, limit = self._worker, self._memory_limit
        assert worker is not None
        messages: list[Message] = []
        ended, memory = False, 0
        now, until = real_monotonic(), inf
        # Several short mini-batches are answered together.
        while not (ended or memory > limit or (messages and (len(self._running) < 2 or now >= until))):
            for _, received in self._poller.wait(min(until, now + MEMORY_INTERVAL)):
                ended = ended or received is None
                for message in worker.receive_all() if received is None else received:
                    messages.append(message)
                    if isinstance(message, (Returned, Raised)):
                        self._answered()
            now = real_monotonic()
            if messages:
                until = min(until, now + GATHERING)
            if limit < sys.maxsize and now >= self._look_at_memory:
                self._look_at_memory = now + MEMORY_INTERVAL
                memory = worker.memory_taken(limit)
        return messages, ended, memory

    def _answered(self) -> None:
        mini_batch = self._running.popleft()
        if self._workspace is not None:
            self._workspace.sweep(mini_batch)

    def post(self, number: int, messages: Sequence[Message]) -> None:
        """Sends messages to the worker of that number: if it has ended, they come late."""
        with self._writing:
            worker = self._worker
            if worker is None or worker.number != number:
                return
            for message in messages:
                if isinstance(message, Run):
                    self._running.append(message.mini_batch)
                    if isinstance(message.payload, tuple):
                        assert self._workspace is not None
                        try:
                            paths = self._workspace.unpack(message.mini_batch, message.payload)
                        except OSError as error:
                            worker.kill(f"the files of its mini-batch could not be written: {error}")
                            return
                        # As bytes, whose arrival is told: the time until now is not that of run().
                        message.payload = pickle.dumps(paths, 5)
                worker.send(message)

    def ask(self, name: str) -> object:
        """An attribute of the worker process, or the result of a method, such as kill. None if there is no process."""
        value = getattr(self._worker, name, None)
        return value() if callable(value) else value

    def end(self, patience: float) -> tuple[str, Sequence[str], str]:
        """Ends the worker; patience: seconds for it to end by itself.

        How it ended, the names of processes that it left, and the end of its standard error.
        """
        worker, self._worker = self._worker, None
        assert worker is not None
        with self._writing:
            self._poller.remove(worker)
            how = worker.reap(patience)
            self._running.clear()
        return how, worker.left, worker.last_errors()

    def leave(self) -> Copies:
        """Cleans up after a job. What workers wrote where the job does not see it. InputError: that is too large."""
        workspace, self._workspace = self._workspace, None
        return () if workspace is None else workspace.clear()


def host_of_node() -> Host:
    """The environment of this node, without Ray's additions for its own processes."""
    host = Host.here()
    environment = {name: value for name, value in host.environment.items() if not name.startswith(_OF_RAY)}
    return Host(environment, tuple(path for path in host.installed if Path(path).name != "thirdparty_files"))

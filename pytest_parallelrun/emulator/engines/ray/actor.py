"""The actor that carries a worker: it holds one worker process of the process engine on its node.

Limits, crashes and memory are watched there, beside the process, by the code that does so on one machine. The actor
adds what is between machines: mini-batches come and attempts go in groups, with all that they hold. It keeps nothing
of a script's in its own process, so it carries one worker after the other, for one job after the other.

It is a plain class, and made an actor where it is used: this module is imported without Ray.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.outcome import DispatchedTask
from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft, Task
from pytest_parallelrun.emulator.engines.ray.file_transfer import FilePayload, NodeWorkspace
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, WorkerFailed
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.worker_plan import Host

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
    from pytest_parallelrun.emulator.engines.protocol import Observer
    from pytest_parallelrun.emulator.engines.ray.file_transfer import Signature
    from pytest_parallelrun.emulator.events import Event
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind, MiniBatch
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

GROUP_SECONDS = 0.1
"""After so long the actor reports, and gives back what it has not begun."""
_OF_RAY = ("OMP_NUM_THREADS", "PYTHONBREAKPOINT", "SPT_NOENV", "LD_PRELOAD")
"""What Ray adds to the environment of an actor, beside all that begins with RAY_."""


class WorkerConfig(NamedTuple):
    """What a worker works under; changes with the job, or the question. probe_limit: seconds that run() may take."""

    settings: JobSettings
    kind: InputKind
    probe_limit: float | None


class RemoteTask(NamedTuple):
    """A task on its way to an actor. payload: paths or dicts, the pickle of a DataFrame, or files by value."""

    task: Task
    payload: object
    drops: int
    loading: float


class Report(NamedTuple):
    """What came of a group, or of bringing up.

    attempts: of the first ones of the group, without their mini-batches. events: what happened to the worker. elapsed:
    the time of the actor now, on the clock of the attempts. seconds: that the group took. touched: files that were
    opened, as lists. observed: what observers told. represented: objects that stayed in the worker.
    """

    attempts: list[AttemptEnded]
    events: list[Event]
    elapsed: float
    seconds: float
    touched: list[list[list[str]]]
    observed: list[object]
    represented: int


class ShutdownReport(NamedTuple):
    """What there is to tell when a worker has ended. left: what it left behind; stdout, stderr: what it printed.

    files: what it wrote, as a zip file, from a node that does not see the folders of the job. lost: what is to be said
    of files that were too large for that.
    """

    events: Sequence[Event] = ()
    left: Sequence[str] = ()
    stdout: str = ""
    stderr: str = ""
    files: bytes = b""
    lost: str = ""


class OutOfOrder(NamedTuple):
    """The answer to a call before which another one is missing: both will come again."""


class WorkerActor:
    """Lives in an actor. Its methods are called by `do`, one after the other, but for `abandon` and `sees`."""

    def __init__(self) -> None:
        self._engine: _NodeEngine | None = None
        self._workspace: NodeWorkspace | None = None
        self._line = -1
        self._next = 0
        self._answers: dict[int, object] = {}

    def do(self, line: int, number: int, first: int, method: str, *arguments: object) -> object:
        """Calls a method once, and in the order of the numbers, however often it is asked for.

        When a connection fails, Ray does not know whether a call has arrived, and goes on with the next one. line:
        tells the handle, whose calls are counted from 0. first: the first one that it has no answer to.
        """
        if line != self._line:
            if number:
                return OutOfOrder()
            self._line, self._next = line, 0
            self._answers.clear()
        for known in [known for known in self._answers if known < first]:
            del self._answers[known]
        if number < self._next:
            return self._answers[number]
        if number > self._next:
            return OutOfOrder()
        answer = self._answers[number] = getattr(self, method)(*arguments)
        self._next += 1
        return answer

    def sees(self, signatures: Sequence[Signature]) -> list[bool]:
        """Which of the files this node has, unchanged, at the same path."""
        return [signature.is_here() for signature in signatures]

    def begin(
        self, plan: WorkerPlan, config: WorkerConfig, slot: int, host: Host | None, bundle: bytes | None, quiet: bool
    ) -> None:
        """Gets ready for a worker of a job. host: what it inherits, None for what this node has.

        bundle: code root and models by value, None where the node sees the folders of the job.
        """
        self.end()
        self._workspace = None if bundle is None else NodeWorkspace(bundle)
        if self._workspace is not None:
            plan = self._workspace.on_this_node(plan)
        plan = replace(plan, host=host or host_of_node(), appended=None)
        self._engine = _NodeEngine(plan, config, slot, self._workspace)
        if quiet:
            self._engine.quiet()

    def assign(self, config: WorkerConfig) -> None:
        """Other settings, for the worker that is up."""
        assert self._engine is not None
        self._engine.under(config)

    def start_worker(
        self, number: int, init: bool, init_failure: Failure | None, watch: bool, observer: type[Observer] | None
    ) -> Report:
        """Starts a worker process, once; number: of the worker among all of the job."""
        engine = self._engine
        assert engine is not None
        engine.watched = watch
        engine.pool.made = number
        engine.pool.init_failure = init_failure
        began = real_monotonic()
        try:
            engine.start_worker(engine.slot, init=init, observer=observer)
        except NoWorkersLeft as error:
            instance = engine.pool.instance_of(engine.slot)
            started = engine.elapsed()
            failure = Failure(phase="import", error=str(error))
            event = WorkerFailed(worker=number, instance=instance, started=started, duration=0.0, failure=failure)
            engine.pool.events.append(event)
        return engine.report([], began)

    def work(self, remote_tasks: Sequence[RemoteTask], watch: bool) -> Report:
        """Attempts at the mini-batches, until one ends the worker, or the group has taken long enough."""
        engine = self._engine
        assert engine is not None
        engine.watched = watch
        began = real_monotonic()
        attempts = engine.work_off(remote_tasks, began + GROUP_SECONDS)
        return engine.report(attempts, began)

    def discard_worker(self, reason: str) -> Report:
        """Ends the worker, without its shutdown()."""
        engine = self._engine
        assert engine is not None
        engine.discard_worker(engine.slot, reason)
        return engine.report([], real_monotonic())

    def is_up(self) -> Report:
        """Looks whether the worker is there; its end is among the events."""
        engine = self._engine
        assert engine is not None
        engine.is_up(engine.slot)
        return engine.report([], real_monotonic())

    def call_in_worker(self, module: str, name: str, arguments: Sequence[object]) -> object:
        """What a function gives in the process of the worker; the RuntimeError where it fails there."""
        engine = self._engine
        assert engine is not None
        function: Callable[..., object] = getattr(import_module(module), name)
        try:
            return engine.call_in_worker(engine.slot, function, *arguments)
        except RuntimeError as error:
            return error

    def abandon(self) -> None:
        """Kills the worker process, so that a call that waits for it comes back. May be called at any time."""
        engine = self._engine
        worker = None if engine is None else engine.pool.slots[engine.slot]
        if worker is not None:
            worker.kill("the job was stopped")

    def end(self, normal: bool = False) -> ShutdownReport:
        """Ends the worker, with its shutdown() at a normal end, and clears up."""
        engine, self._engine = self._engine, None
        workspace, self._workspace = self._workspace, None
        if engine is None:
            return ShutdownReport()
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            engine.stop(normal=normal)
        files, lost = (b"", "") if workspace is None else workspace.clear()
        return ShutdownReport(
            events=list(engine.worker_events()),
            left=engine.left,
            stdout=out.getvalue(),
            stderr=err.getvalue(),
            files=files,
            lost=lost,
        )


def host_of_node() -> Host:
    """What this node has, without what Ray adds for its own processes."""
    environment = {
        name: value for name, value in os.environ.items() if name not in _OF_RAY and not name.startswith("RAY_")
    }
    installed = tuple(path for path in Host.here().installed if Path(path).name != "thirdparty_files")
    return Host(environment, installed)


class _NodePool(ProcessPool):
    """One worker in its slot of the job; that another one comes up is decided elsewhere."""

    init_failure: Failure | None = None

    def startable(self) -> list[int]:
        return []

    def _init_failure(self, worker: WorkerProcess, faults: FaultPlan) -> Failure | None:
        return self.init_failure


class _Sent:
    """Stands for a splitter: mini-batches come with what they hold."""

    def __init__(self, kind: InputKind) -> None:
        self.kind: InputKind = kind

    def load(self, mini_batch: MiniBatch) -> list[str]:
        raise NotImplementedError


class _NodeEngine(ProcessEngine):
    """The process engine for one worker, with what is asked of it from another machine."""

    _pool_type = _NodePool

    def __init__(self, plan: WorkerPlan, config: WorkerConfig, slot: int, workspace: NodeWorkspace | None) -> None:
        self.watched = False
        self.slot = slot
        self._workspace = workspace
        self._touched: list[list[list[str]]] = []
        self.probe_limit = config.probe_limit
        super().__init__(plan, _Sent(config.kind), config.settings, FaultPlan(()))  # type: ignore[arg-type]
        self.select_worker(slot)

    @property
    def pool(self) -> _NodePool:
        return cast("_NodePool", self._pool)

    @property
    def left(self) -> list[str]:
        return self._left

    def under(self, config: WorkerConfig) -> None:
        self.probe_limit = config.probe_limit
        self.assign(_Sent(config.kind), config.settings, FaultPlan(()))  # type: ignore[arg-type]

    def work_off(self, remote_tasks: Sequence[RemoteTask], until: float) -> list[AttemptEnded]:
        """The attempts at the first of them, as many as went on until then, or until the worker ended."""
        for remote_task in remote_tasks:
            task = remote_task.task
            self._waiting.append(task._replace(mini_batch=task.mini_batch._replace(position=remote_task)))
        attempts: list[AttemptEnded] = []
        late = False
        while len(attempts) < len(remote_tasks):
            worker = self._pool.slots[self.slot]
            # Several may have ended at once: those belong to this group, whatever became of the worker.
            if not self._ended and (worker is None or (late and not worker.assigned)):
                break
            try:
                attempt = self.collect()
            except NoWorkersLeft:
                break
            if attempt is None:
                break
            attempts.append(attempt._replace(mini_batch=None))  # type: ignore[arg-type]
            if self._workspace is not None:
                self._workspace.sweep(attempt.mini_batch.id)
            if not late and real_monotonic() >= until:
                late = True
                self._waiting.clear()
        self._waiting.clear()
        return attempts

    def report(self, attempts: list[AttemptEnded], began: float) -> Report:
        touched, self._touched = self._touched, []
        observed, self.observed = self.observed, []
        represented, self._represented = self._represented, 0
        seconds = real_monotonic() - began
        return Report(
            attempts=attempts,
            events=list(self.worker_events()),
            elapsed=self.elapsed(),
            seconds=seconds,
            touched=touched,
            observed=observed,
            represented=represented,
        )

    def _is_watching(self) -> bool:
        return self.watched

    def _report_files(self, touched: list[list[str]] | None) -> None:
        if touched is not None:
            self._touched.append(touched)

    def _send_next(self, worker: WorkerProcess, task: Task) -> None:
        remote_task = cast("RemoteTask", task.mini_batch.position)
        payload = remote_task.payload
        if isinstance(payload, FilePayload):
            assert self._workspace is not None
            payload = self._workspace.unpack(task.mini_batch.id, payload)
        self._send(worker, DispatchedTask(task, None, remote_task.loading), payload, remote_task.drops)

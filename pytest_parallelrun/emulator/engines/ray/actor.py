"""An actor that holds one worker process of the process engine on its node.

Limits, crashes and memory are watched there, by the same code as on one machine. The actor adds what is needed between
machines: mini-batches and attempts are sent in groups, with their content. It keeps nothing of a script in its own
process, so it holds one worker after another, for one job after another.

It is a plain class, turned into an actor where it is used: this module is imported without Ray.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.outcome import DispatchedTask
from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine
from pytest_parallelrun.emulator.engines.process.pool import ProcessPool
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft, Task
from pytest_parallelrun.emulator.engines.ray.files import FileCopy, FilePayload, NodeWorkspace, signature
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, WorkerFailed
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.worker_plan import Host

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
    from pytest_parallelrun.emulator.engines.protocol import Observer
    from pytest_parallelrun.emulator.events import Event
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind, Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

GROUP_SECONDS = 0.1
"""Seconds after which the actor reports, and returns tasks that it has not begun."""
_OF_RAY = ("OMP_NUM_THREADS", "PYTHONBREAKPOINT", "SPT_NOENV", "LD_PRELOAD")
"""What Ray adds to the environment of an actor, in addition to names that start with RAY_."""


class WorkerConfig(NamedTuple):
    """The limits of a worker, which change with the job or the question.

    probe_limit: seconds for run(). watch: whether anybody needs the files that it opens.
    """

    settings: JobSettings
    kind: InputKind
    probe_limit: float | None
    watch: bool


class RemoteTask(NamedTuple):
    """A task for an actor. payload: paths or dicts, a pickled DataFrame, or the content of files."""

    task: Task
    payload: object
    drops: int
    loading: float


class Report(NamedTuple):
    """The result of a call, and events of the worker meanwhile.

    answer: for a group, the attempts at its first mini-batches, without those. events: of the worker. elapsed: the
    current time of the actor, on the clock of the attempts. seconds: the time of the call. touched: files that were
    opened, as lists. observed: results of observers. represented: objects that stayed in the worker.
    """

    answer: object
    events: Sequence[Event]
    elapsed: float
    seconds: float
    touched: list[list[list[str]]]
    observed: list[object]
    represented: int


class ShutdownReport(NamedTuple):
    """The report at the end of a worker. left: what it left behind; stdout, stderr: its output.

    files: what it wrote on a node that does not see the folders of the job. lost: a note on files that were too large.
    """

    events: Sequence[Event] = ()
    left: Sequence[str] = ()
    stdout: str = ""
    stderr: str = ""
    files: Sequence[FileCopy] = ()
    lost: str = ""


class WorkerActor:
    """Lives in an actor. Its methods run one after the other, except `abandon` and `unseen`."""

    _engine: _NodeEngine
    _busy = False

    def unseen(self, signatures: Mapping[str, tuple[int, ...]]) -> list[str]:
        """The files that this node does not have, unchanged, at the same path."""
        return [path for path, known in signatures.items() if signature(path) != known]

    def begin(
        self,
        plan: WorkerPlan,
        config: WorkerConfig,
        slot: int,
        host: Host | None,
        bundle: list[FileCopy] | None,
        quiet: bool,
    ) -> None:
        """Prepares for a worker of a job. host: what it inherits, None for that of this node.

        bundle: content of code root and models, None if the node sees the folders of the job.
        """
        self.end()
        workspace = None if bundle is None else NodeWorkspace(plan, bundle)
        if workspace is not None:
            plan = workspace.on_this_node()
        plan = replace(plan, host=host or host_of_node(), appended=None)
        self._engine = _NodeEngine(plan, config, slot, workspace)
        self._busy = True
        if quiet:
            self._engine.quiet()

    def ask(self, config: WorkerConfig, method: str, *arguments: object) -> Report:
        """The result of a method of the engine for its worker."""
        engine = self._engine
        engine.work_under(config)
        began = real_monotonic()
        answer = getattr(engine, method)(*arguments)
        return engine.report(answer, real_monotonic() - began)

    def abandon(self) -> None:
        """Kills the worker process, so that a call that waits for it returns. May be called at any time."""
        worker = self._engine.pool.slots[self._engine.slot] if self._busy else None
        if worker is not None:
            worker.kill("the job was stopped")

    def end(self, normal: bool = False) -> ShutdownReport:
        """Ends the worker, with its shutdown() at a normal end, and cleans up."""
        if not self._busy:
            return ShutdownReport()
        self._busy = False
        engine = self._engine
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            engine.stop(normal=normal)
        files, lost = ([], "") if engine.workspace is None else engine.workspace.clear()
        return ShutdownReport(
            events=engine.worker_events(),
            left=engine.left,
            stdout=out.getvalue(),
            stderr=err.getvalue(),
            files=files,
            lost=lost,
        )


def host_of_node() -> Host:
    """The environment of this node, without Ray's additions for its own processes."""
    environment = {
        name: value for name, value in os.environ.items() if name not in _OF_RAY and not name.startswith("RAY_")
    }
    installed = tuple(path for path in Host.here().installed if Path(path).name != "thirdparty_files")
    return Host(environment, installed)


class _NodePool(ProcessPool):
    """One worker in its slot of the job; others decide whether another one starts."""

    init_failure: Failure | None = None

    def startable(self) -> list[int]:
        return []

    def _init_failure(self, worker: WorkerProcess, faults: FaultPlan) -> Failure | None:
        return self.init_failure


def _splitter_of(kind: InputKind) -> Splitter:
    """Replaces a splitter: mini-batches come with their content."""
    return cast("Splitter", SimpleNamespace(kind=kind))


class _NodeEngine(ProcessEngine):
    """The process engine for one worker, controlled from another machine."""

    _pool_type = _NodePool

    def __init__(self, plan: WorkerPlan, config: WorkerConfig, slot: int, workspace: NodeWorkspace | None) -> None:
        self.slot = slot
        self.workspace = workspace
        self._config = config
        self._touched: list[list[list[str]]] = []
        self.probe_limit = config.probe_limit
        super().__init__(plan, _splitter_of(config.kind), config.settings, FaultPlan(()))
        self.select_worker(slot)

    @property
    def pool(self) -> _NodePool:
        return cast("_NodePool", self._pool)

    @property
    def left(self) -> list[str]:
        return self._left

    def work_under(self, config: WorkerConfig) -> None:
        if config != self._config:
            self._config = config
            self.probe_limit = config.probe_limit
            self.assign(_splitter_of(config.kind), config.settings, FaultPlan(()))

    def bring_up(self, number: int, init: bool, init_failure: Failure | None, observer: type[Observer] | None) -> None:
        """Starts a worker process, once; number: of the worker among all of the job."""
        self.pool.made = number
        self.pool.init_failure = init_failure
        try:
            self.start_worker(self.slot, init=init, observer=observer)
        except NoWorkersLeft as error:
            event = WorkerFailed(
                worker=number,
                instance=self.pool.instance_of(self.slot),
                started=self.elapsed(),
                duration=0.0,
                failure=Failure(phase="import", error=str(error)),
            )
            self.pool.events.append(event)

    def call_in_worker(self, slot: int, function: Callable[..., object], *arguments: object) -> object:
        try:
            return super().call_in_worker(slot, function, *arguments)
        except RuntimeError as error:
            return error

    def work_off(self, remote_tasks: Sequence[RemoteTask]) -> list[AttemptEnded]:
        """Attempts at the first of them, until one ends the worker, or the time of the group is up."""
        until = real_monotonic() + GROUP_SECONDS
        for remote_task in remote_tasks:
            task = remote_task.task
            self._waiting.append(task._replace(mini_batch=task.mini_batch._replace(position=remote_task)))
        attempts: list[AttemptEnded] = []
        late = False
        while len(attempts) < len(remote_tasks):
            worker = self._pool.slots[self.slot]
            # Several may have ended at once: they belong to this group, whatever happened to the worker.
            if not self._ended and (worker is None or (late and not worker.assigned)):
                break
            try:
                attempt = self.collect()
            except NoWorkersLeft:
                break
            if attempt is None:
                break
            attempts.append(attempt._replace(mini_batch=None))  # type: ignore[arg-type]
            if self.workspace is not None:
                self.workspace.sweep(attempt.mini_batch.id)
            if not late and real_monotonic() >= until:
                late = True
                self._waiting.clear()
        self._waiting.clear()
        return attempts

    def report(self, answer: object, seconds: float) -> Report:
        report = Report(
            answer=answer,
            events=self.worker_events(),
            elapsed=self.elapsed(),
            seconds=seconds,
            touched=self._touched,
            observed=self.observed,
            represented=self._represented,
        )
        self._touched, self.observed, self._represented = [], [], 0
        return report

    def _is_watching(self) -> bool:
        return self._config.watch

    def _report_files(self, touched: list[list[str]] | None) -> None:
        if touched is not None:
            self._touched.append(touched)

    def _send_next(self, worker: WorkerProcess, task: Task) -> None:
        remote_task = cast("RemoteTask", task.mini_batch.position)
        payload = remote_task.payload
        if isinstance(payload, FilePayload):
            assert self.workspace is not None
            payload = self.workspace.unpack(task.mini_batch.id, payload)
        self._send(worker, DispatchedTask(task, None, remote_task.loading), payload, remote_task.drops)

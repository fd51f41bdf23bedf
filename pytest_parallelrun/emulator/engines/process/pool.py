"""The worker processes of a job on this machine: when and how they start, and what they leave."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.process.worker_process import ROOT, MessagePoller, WorkerProcess, tell_output
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft, Observer
from pytest_parallelrun.emulator.entry import EntryFile, EntryObject
from pytest_parallelrun.emulator.errors import EntryScriptError, SettingsError
from pytest_parallelrun.emulator.events import Event, Failure, WorkerFailed, WorkerStarted, WorkerStopped
from pytest_parallelrun.emulator.ledger import InitFailures
from pytest_parallelrun.emulator.service.missing_api import StandInGap
from pytest_parallelrun.emulator.service.mlflow_tracking import tracking_environment
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import InputKind
from pytest_parallelrun.emulator.worker.file_watch import unwatched
from pytest_parallelrun.emulator.worker.messages import Start
from pytest_parallelrun.emulator.worker_plan import Host, WorkerPlan

ON_POSIX = os.name == "posix"


class ProcessPool:
    """A slot for each worker; decides when a worker is replaced and when a slot is abandoned.

    vacant: slots that need a worker when there is work. events: since they were last taken. made: number of worker
    starts, including failed ones. quiet: whether warnings of workers are suppressed.
    """

    def __init__(self, plan: WorkerPlan, settings: JobSettings) -> None:
        self._plan = plan
        self._settings = settings
        self._per_instance = settings.max_concurrency_per_instance
        self.slots: list[WorkerProcess | None] = [None] * (settings.instance_count * self._per_instance)
        self.vacant = set(range(len(self.slots)))
        self.events: list[Event] = []
        self._gaps: set[StandInGap] = set()
        self.made = 0
        self.ended: list[WorkerProcess] = []
        """Those whose output has not been shown yet."""
        self._failures = InitFailures(settings)
        self.born = real_monotonic()
        self.quiet = False

    def poller(self) -> MessagePoller:
        return MessagePoller()

    def elapsed(self) -> float:
        return real_monotonic() - self.born

    def workers(self) -> Iterator[WorkerProcess]:
        return (worker for worker in self.slots if worker is not None)

    def instance_of(self, slot: int) -> int:
        return slot // self._per_instance

    def met(self, gap: StandInGap) -> None:
        """A worker met a gap; reported once for all."""
        if gap not in self._gaps:
            self._gaps.add(gap)
            self.events.append(gap)

    def start(
        self,
        slot: int,
        kind: InputKind,
        *,
        init: bool,
        init_failure: Failure | None,
        watch: bool,
        observer: type[Observer] | None,
    ) -> WorkerProcess:
        """Starts a process for the slot. NoWorkersLeft if the system refuses."""
        self.vacant.discard(slot)
        plan = self._plan
        worker = WorkerProcess(self.made, slot, self.instance_of(slot), plan.folder / f"process{self.made:03d}")
        self.made += 1
        host = plan.host or Host.here()
        entry = plan.entry
        assert isinstance(entry, EntryFile)
        stand_ins = {
            "worker_info": plan.worker_info(worker.name, worker.instance),
            "code_root": plan.code_root,
            "azureml": plan.azureml,
            "python_path": plan.python_path,
        }
        message = Start(
            name=worker.name,
            script=entry.script,
            argv=[str(entry.path), *plan.arguments],
            code_path=[str(entry.code_root), *plan.python_path],
            # This package too, however it was found.
            installed=list(dict.fromkeys([*host.installed, ROOT])),
            preloaded=["pandas"] if kind == "tabular" else [],
            stand_ins=pickle.dumps(stand_ins, 5),
            logging_level=plan.logging_level,
            appended=None if plan.appended is None else str(own_file(plan.appended, worker.instance, "<pid>")),
            thread=self._settings.thread,
            init=init,
            init_failure=None if init_failure is None else init_failure.to_plain(),
            watch=watch,
            quiet=self.quiet,
            observer=None if observer is None else (observer.__module__, observer.__qualname__),
        )
        try:
            worker.folder.mkdir(parents=True, exist_ok=True)
            with unwatched():
                worker.spawn(
                    {
                        **host.environment,
                        # Another order of sets in each, as on the service; the same ones in every run.
                        "PYTHONHASHSEED": str(worker.number + 1),
                        **tracking_environment(plan, worker.name),
                        **plan.environment_of(worker.instance),
                    },
                    message,
                    plan.log_of(worker, "stdout"),
                    plan.log_of(worker, "stderr"),
                )
        except OSError as error:
            raise NoWorkersLeft(f"a worker process could not be started: {error}") from error
        worker.started = self.elapsed()
        self.slots[slot] = worker
        return worker

    def came_up(self, worker: WorkerProcess, files: Mapping[str, int]) -> None:
        """Its init() returned. files: see WorkerStarted."""
        worker.up = True
        worker.deadline = None
        self._failures.forget(worker.instance)
        self._failures.forget(None)
        event = WorkerStarted(
            worker=worker.number,
            instance=worker.instance,
            started=worker.started,
            duration=self.elapsed() - worker.started,
            files=files,
        )
        self.events.append(event)

    def failed(self, worker: WorkerProcess, failure: Failure) -> None:
        """It did not start; another one may follow."""
        self._failures.add(worker.instance, failure)
        event = WorkerFailed(
            worker=worker.number,
            instance=worker.instance,
            started=worker.started,
            duration=self.elapsed() - worker.started,
            failure=failure,
        )
        self.events.append(event)
        self._remove(worker)
        if not self._given_up(worker.instance, starting=0):
            self.vacant.add(worker.slot)
            return
        # Failures count while no worker runs: a slot abandoned next to a running one costs it nothing.
        if any(other.up for other in self.workers() if other.instance == worker.instance):
            self._failures.forget(worker.instance)
        if any(other.up for other in self.workers()):
            self._failures.forget(None)

    def stopped(
        self, worker: WorkerProcess, reason: str, failure: Failure | None = None, *, replace: bool = False
    ) -> str:
        """Ends it if necessary; returns how it ended, as text."""
        self.events.append(WorkerStopped(worker.number, reason, failure))
        if replace:
            self.vacant.add(worker.slot)
        return self._remove(worker)

    def _remove(self, worker: WorkerProcess) -> str:
        description = worker.reap()
        self.slots[worker.slot] = None
        self.ended.append(worker)
        return description

    def startable(self) -> list[int]:
        """Vacant slots in which a worker may be started now."""
        slots = []
        starting = Counter(other.instance for other in self.workers() if not other.up)
        for slot in sorted(self.vacant):
            instance = self.instance_of(slot)
            if not self._given_up(instance, starting=starting[instance]):
                starting[instance] += 1
                slots.append(slot)
        return slots

    def _given_up(self, instance: int, *, starting: int) -> bool:
        return self._failures.given_up(instance, self.elapsed(), starting=starting)

    def require(self) -> None:
        """NoWorkersLeft if there is no worker and none will start."""
        if not any(self.workers()) and not self.startable():
            raise NoWorkersLeft(self._failures.reason())

    def tell_and_clear(self) -> None:
        """Shows the output of the ended workers, and removes their own result files."""
        appended = self._plan.appended
        for worker in self.ended:
            with unwatched():
                tell_output(worker)
            if appended is not None:
                with suppress(OSError):
                    own_file(appended, worker.instance, worker.process.pid).unlink()
        self.ended.clear()


def check_processes_possible(engine: str, entry: EntryFile | EntryObject, settings: JobSettings) -> None:
    """Refuses what the worker processes of an engine cannot run. EntryScriptError, SettingsError."""
    if not ON_POSIX:
        raise SettingsError(
            f"engine='{engine}' needs Linux or macOS: it kills the process group of a worker, which Windows has not. "
            "Use engine='inprocess'."
        )
    if not isinstance(entry, EntryFile):
        raise EntryScriptError(
            f"engine='{engine}' takes the path of a script: {entry.label} lives in this process, and "
            "a worker process cannot get it. Give the .py file, or use engine='inprocess'."
        )


def own_file(appended: Path, instance: int, pid: int | str) -> Path:
    """The worker's own file of results, joined to `appended` at the end; named as on the service."""
    return appended.parent / f"temp_{instance}_{pid}_{appended.name}"

"""The worker processes of a job on this machine: how they start, and what they leave."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.engines.process.worker_process import MessagePoller, WorkerProcess, tell_output
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft
from pytest_parallelrun.emulator.engines.worker_pool import WorkerPool
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import EntryScriptError, SettingsError
from pytest_parallelrun.emulator.service.mlflow_tracking import tracking_environment
from pytest_parallelrun.emulator.worker.file_watch import unwatched
from pytest_parallelrun.emulator.worker.messages import Start
from pytest_parallelrun.emulator.worker_plan import Host

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_parallelrun.emulator.engines.protocol import Observer
    from pytest_parallelrun.emulator.entry import EntryObject
    from pytest_parallelrun.emulator.events import Failure
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan


class ProcessPool(WorkerPool):
    """The processes in the slots."""

    def __init__(self, plan: WorkerPlan, settings: JobSettings) -> None:
        super().__init__(settings)
        self._plan = plan
        self._settings = settings
        self.quiet = False

    def poller(self) -> MessagePoller:
        """What listens to the workers."""
        return MessagePoller()

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
        message = start_message(
            plan,
            host,
            worker,
            self._settings,
            kind,
            init=init,
            init_failure=init_failure,
            watch=watch,
            quiet=self.quiet,
            observer=observer,
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
        worker.deadline = None
        super().came_up(worker, files)

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


ROOT = str(Path(__file__).parents[4])
"""The folder of this package."""
ON_POSIX = os.name == "posix"


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


def start_message(
    plan: WorkerPlan,
    host: Host,
    worker: WorkerProcess,
    settings: JobSettings,
    kind: InputKind,
    *,
    init: bool,
    init_failure: Failure | None,
    watch: bool,
    quiet: bool,
    observer: type[Observer] | None,
) -> Start:
    """How a worker process starts."""
    entry = plan.entry
    assert isinstance(entry, EntryFile)
    appended = plan.appended
    stand_ins = {
        "worker_info": plan.worker_info(worker.name, worker.instance),
        "code_root": plan.code_root,
        "azureml": plan.azureml,
        "python_path": plan.python_path,
    }
    return Start(
        name=worker.name,
        script=(entry.module_name, str(entry.path), entry.label),
        argv=[str(entry.path), *plan.arguments],
        code_path=[str(entry.code_root), *plan.python_path],
        installed=_with_this_package(host.installed),
        preloaded=["pandas"] if kind == "tabular" else [],
        stand_ins=pickle.dumps(stand_ins, 5),
        logging_level=plan.logging_level,
        appended=None if appended is None else str(own_file(appended, worker.instance, "<pid>")),
        thread=settings.thread,
        init=init,
        init_failure=None if init_failure is None else init_failure.to_plain(),
        watch=watch,
        quiet=quiet,
        observer=None if observer is None else (observer.__module__, observer.__qualname__),
    )


def _with_this_package(installed: Sequence[str]) -> list[str]:
    """Installed packages, and the folder of this package, however it was found."""
    return list(installed) if ROOT in installed else [*installed, ROOT]

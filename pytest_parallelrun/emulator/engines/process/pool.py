"""The worker processes of a job on this machine: how they are started, and what they leave."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.engines import NoWorkersLeft
from pytest_parallelrun.emulator.engines.process.launch import own_file, start_message
from pytest_parallelrun.emulator.engines.process.told import tell_output
from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
from pytest_parallelrun.emulator.engines.tracebacks import describe_exception
from pytest_parallelrun.emulator.engines.worker_pool import Slots
from pytest_parallelrun.emulator.sandbox.sandbox import Host
from pytest_parallelrun.emulator.worker.file_watch import unwatched

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines import Observer
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.sandbox.sandbox import WorkerPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind


class Crew(Slots[WorkerProcess]):
    """The processes in the slots."""

    def __init__(self, plan: WorkerPlan, settings: JobSettings) -> None:
        super().__init__(settings)
        self._plan = plan
        self._settings = settings
        self.quiet = False

    def start(
        self, slot: int, kind: InputKind, faults: FaultPlan, *, init: bool, watch: bool, observer: type[Observer] | None
    ) -> WorkerProcess:
        """Starts a process for the slot. NoWorkersLeft where the system does not let us."""
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
            init_fails=self._init_fails(worker, faults) if init else None,
            watch=watch,
            quiet=self.quiet,
            observer=observer,
        )
        try:
            worker.folder.mkdir(parents=True, exist_ok=True)
            with unwatched():
                worker.spawn(
                    {**host.environment, **plan.environment},
                    message,
                    plan.log_of(worker, "stdout"),
                    plan.log_of(worker, "stderr"),
                )
        except OSError as error:
            raise NoWorkersLeft(f"a worker process could not be started: {error}") from error
        worker.started = self.elapsed()
        self.slots[slot] = worker
        return worker

    def _init_fails(self, worker: WorkerProcess, faults: FaultPlan) -> tuple[str, str] | None:
        """Error and traceback of a fault that is put into the init() of the worker."""
        fault = faults.for_init(worker.number) if faults else None
        return None if fault is None else (describe_exception(fault.exception()), "")

    def came_up(self, worker: WorkerProcess) -> None:
        worker.deadline = None
        super().came_up(worker)

    def tell_and_clear(self) -> None:
        """Shows what the ended workers have printed, and removes the files that they alone appended to."""
        appended = self._plan.appended
        for worker in self.ended:
            with unwatched():
                tell_output(worker)
            if appended is not None:
                with suppress(OSError):
                    own_file(appended, worker.instance, worker.process.pid).unlink()
        self.ended.clear()

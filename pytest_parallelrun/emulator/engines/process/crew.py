"""The worker processes of a job: started, replaced, given up, ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines import NoWorkersLeft
from pytest_parallelrun.emulator.engines.failures import describe_exception
from pytest_parallelrun.emulator.engines.init_failures import InitFailures
from pytest_parallelrun.emulator.engines.process.start import environment_of, own_file, start_message
from pytest_parallelrun.emulator.engines.process.told import tell_output
from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
from pytest_parallelrun.emulator.events import Event, Failure, WorkerFailed, WorkerStarted, WorkerStopped
from pytest_parallelrun.emulator.policy import init_limit
from pytest_parallelrun.emulator.worker.file_watch import is_watching, unwatched

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines import Observer
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.base import InputKind
    from pytest_parallelrun.emulator.worker.stage import WorkerPlan


class Crew:
    """One slot for each worker that may run at a time, and who is in it.

    vacant: slots that want a worker, when there is something to do. events: what happened since they were taken.
    made: workers that were started, or tried to.
    """

    def __init__(self, plan: WorkerPlan, settings: JobSettings) -> None:
        self._plan = plan
        self._settings = settings
        self.slots: list[WorkerProcess | None] = [None] * (
            settings.instance_count * settings.max_concurrency_per_instance
        )
        self.vacant = set(range(len(self.slots)))
        self.events: list[Event] = []
        self.made = 0
        self.quiet = False
        self.ended: list[WorkerProcess] = []
        """Those whose output has not been told yet."""
        self._failures = InitFailures(settings)
        self.born = real_monotonic()

    def elapsed(self) -> float:
        """Seconds since the crew was there."""
        return real_monotonic() - self.born

    def workers(self) -> Iterator[WorkerProcess]:
        """All that are there, up or on their way."""
        return (worker for worker in self.slots if worker is not None)

    def start(
        self, slot: int, kind: InputKind, faults: FaultPlan, *, init: bool, observer: type[Observer] | None
    ) -> WorkerProcess:
        """Starts a process for the slot. NoWorkersLeft where the system does not let us."""
        self.vacant.discard(slot)
        plan = self._plan
        instance = slot // self._settings.max_concurrency_per_instance
        worker = WorkerProcess(self.made, slot, instance, plan.folder / f"process{self.made:03d}")
        self.made += 1
        fault = faults.for_init(worker.number) if init and faults else None
        message = start_message(
            plan,
            worker,
            self._settings,
            kind,
            init=init,
            init_fails=None if fault is None else (describe_exception(fault.exception()), ""),
            watch=is_watching(),
            quiet=self.quiet,
            observer=observer,
        )
        try:
            worker.folder.mkdir(parents=True, exist_ok=True)
            with unwatched():
                worker.spawn(
                    environment_of(plan), message, plan.log_of(worker, "stdout"), plan.log_of(worker, "stderr")
                )
        except OSError as error:
            raise NoWorkersLeft(f"a worker process could not be started: {error}") from error
        worker.started = self.elapsed()
        worker.deadline = worker.head_since + init_limit(float(self._settings.timeout))
        self.slots[slot] = worker
        return worker

    def came_up(self, worker: WorkerProcess) -> None:
        """Its init() has returned."""
        worker.up = True
        worker.deadline = None
        self._failures.forget(worker.instance)
        self._failures.forget(None)
        self.events.append(
            WorkerStarted(worker.number, worker.instance, worker.started, self.elapsed() - worker.started)
        )

    def failed(self, worker: WorkerProcess, failure: Failure) -> None:
        """It did not come up; another one may follow."""
        self._failures.add(worker.instance, failure)
        self.events.append(
            WorkerFailed(worker.number, worker.instance, worker.started, self.elapsed() - worker.started, failure)
        )
        self._remove(worker)
        if not self._given_up(worker.instance, starting=0):
            self.vacant.add(worker.slot)
            return
        # Failures count while no worker comes up: a slot that is given up beside one that is up costs it nothing.
        if any(other.up for other in self.workers() if other.instance == worker.instance):
            self._failures.forget(worker.instance)
        if any(other.up for other in self.workers()):
            self._failures.forget(None)

    def stopped(
        self, worker: WorkerProcess, reason: str, failure: Failure | None = None, *, replace: bool = False
    ) -> str:
        """It is ended, if it has not ended by itself; how, in words."""
        self.events.append(WorkerStopped(worker.number, reason, failure))
        if replace:
            self.vacant.add(worker.slot)
        return self._remove(worker)

    def _remove(self, worker: WorkerProcess) -> str:
        how = worker.bury()
        self.slots[worker.slot] = None
        self.ended.append(worker)
        return how

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

    def startable(self) -> list[int]:
        """Vacant slots in which a worker may be started now."""
        found = []
        starting = Counter(other.instance for other in self.workers() if not other.up)
        for slot in sorted(self.vacant):
            instance = slot // self._settings.max_concurrency_per_instance
            if not self._given_up(instance, starting=starting[instance]):
                starting[instance] += 1
                found.append(slot)
        return found

    def _given_up(self, instance: int, *, starting: int) -> bool:
        return self._failures.given_up(instance, self.elapsed(), starting=starting)

    def require(self) -> None:
        """NoWorkersLeft where there is nobody, and nobody will come."""
        if not any(self.workers()) and not self.startable():
            raise NoWorkersLeft(self._failures.reason())

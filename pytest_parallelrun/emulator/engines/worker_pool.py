"""A pool with a slot for each worker; decides when a worker is replaced and when a slot is abandoned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft
from pytest_parallelrun.emulator.events import Event, Failure, WorkerFailed, WorkerStarted, WorkerStopped
from pytest_parallelrun.emulator.policy import INIT_GRACE, init_failures_allowed, job_init_failures_allowed
from pytest_parallelrun.emulator.service.missing_api import StandInGap
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
    from pytest_parallelrun.emulator.settings import JobSettings


class WorkerPool:
    """The slots and their workers.

    vacant: slots that need a worker when there is work. events: since they were last taken. made: number of worker
    starts, including failed ones.
    """

    def __init__(self, settings: JobSettings) -> None:
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

    def elapsed(self) -> float:
        """Seconds since the pool was made."""
        return real_monotonic() - self.born

    def workers(self) -> Iterator[WorkerProcess]:
        """All workers, running or starting."""
        return (worker for worker in self.slots if worker is not None)

    def instance_of(self, slot: int) -> int:
        return slot // self._per_instance

    def met(self, gap: StandInGap) -> None:
        """A worker met a gap; reported once for all."""
        if gap not in self._gaps:
            self._gaps.add(gap)
            self.events.append(gap)

    def came_up(self, worker: WorkerProcess, files: Mapping[str, int]) -> None:
        """Its init() returned. files: see WorkerStarted."""
        worker.up = True
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


class InitFailures:
    """The failures of each instance, and of the job, since a worker of it last ran."""

    def __init__(self, settings: JobSettings) -> None:
        self._instances = settings.instance_count
        self._workers = settings.max_concurrency_per_instance
        self._of_instance = [0] * settings.instance_count
        self._of_job = 0
        self._last: Failure | None = None

    def add(self, instance: int, failure: Failure) -> None:
        """A worker of that instance did not start."""
        self._of_instance[instance] += 1
        self._of_job += 1
        self._last = failure

    def forget(self, instance: int | None) -> None:
        """A worker of the instance runs; None: one of the job."""
        if instance is None:
            self._of_job = 0
        else:
            self._of_instance[instance] = 0

    def given_up(self, instance: int, elapsed: float, *, starting: int = 0) -> bool:
        """Whether no further worker is started there; elapsed: seconds since the start of the job.

        starting: workers of the instance that are still starting, and may be the last ones.
        """
        if self._of_instance[instance] + starting >= init_failures_allowed(self._workers):
            return True
        allowed = job_init_failures_allowed(self._instances, self._workers)
        return elapsed > INIT_GRACE and self._of_job >= allowed

    def reason(self) -> str:
        """Why no worker is left."""
        if self._last is None or not self._of_job:
            return "the script stopped all workers (ParallelRunException with Retry.StopProcess)"
        cause = "init()" if self._last.phase == "init" else "loading the entry script"
        return (
            f"{cause} failed {count_text(self._of_job, 'time')}, so no worker is left (limit: 3 x "
            f"max_concurrency_per_instance = {init_failures_allowed(self._workers)} failures for each instance). "
            f"Last error: {self._last.error}"
        )

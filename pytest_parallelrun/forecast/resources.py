"""Memory and processor time of a worker, measured in a real worker process while it works off the sample."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft
from pytest_parallelrun.emulator.errors import ParallelRunError
from pytest_parallelrun.emulator.events import WorkerStarted
from pytest_parallelrun.emulator.process_tree import memory_taken, processor_time
from pytest_parallelrun.emulator.worker import messages

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
    from pytest_parallelrun.emulator.engines.protocol import Patience
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.job import ParallelJob
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

MAX_SECONDS = 20.0
"""After which no further mini-batch of the sample is run."""
MIN_SECONDS = 0.1
"""Of run() in all: less says nothing about its share of a core, as the system counts in hundredths of a second."""
MARGIN = 0.9
"""Share of a node's memory that workers may take; the system needs the rest."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """init_memory, run_memory: peaks in bytes, with child processes. cores: used by run(), None if it was too short.

    init: seconds from the start of the process to the end of init(). problem: why nothing was measured, or "".
    """

    init_memory: int = 0
    run_memory: int = 0
    cores: float | None = None
    init: Sequence[float] = ()
    mini_batches: int = 0
    problem: str = ""

    @property
    def peak(self) -> int:
        return max(self.init_memory, self.run_memory)

    def largest_concurrency(self, memory: float | None, cores: float | None) -> tuple[int, str] | None:
        """Workers that fit on a node, and what limits them; None if neither is known."""
        limits = []
        if memory is not None and self.peak:
            limits.append((int(MARGIN * memory / self.peak), "memory"))
        if cores is not None:
            # In tenths: a worker with one thread is often measured with 1.02 cores.
            used = max(round(1.0 if self.cores is None else self.cores, 1), 0.05)
            limits.append((max(1, int(cores / used + 0.05)), "cores"))
        return min(limits) if limits else None


class MeasuringEngine(ProcessEngine):
    """One worker process, looked at while it starts and works."""

    def __init__(self, plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        super().__init__(plan, splitter, settings, faults)
        self._allowed = settings.memory_limit
        # Makes the engine look at the memory of its workers regularly.
        self._memory_limit = settings.memory_limit or sys.maxsize
        self.peaks = {"init": 0, "run": 0}
        self.used = self.running = 0.0
        self._used_at_start = 0.0

    def collect(self, patience: Patience | None = None) -> AttemptEnded | None:
        if self.running > MAX_SECONDS:
            raise NoWorkersLeft("enough was measured")
        return super().collect(patience)

    def _watch_memory(self, limit: int) -> None:
        for worker in self._pool.workers():
            self._look(worker)
        if self._allowed is not None:
            super()._watch_memory(limit)

    def _look(self, worker: WorkerProcess) -> None:
        phase = "run" if worker.up else "init"
        self.peaks[phase] = max(self.peaks[phase], memory_taken(worker.process.pid, sys.maxsize))

    def _receive(self, worker: WorkerProcess, received: Sequence[messages.Message]) -> None:
        for message in received:
            self._look(worker)
            if isinstance(message, messages.Up):
                self._used_at_start = processor_time(worker.process.pid)
            elif isinstance(message, (messages.Returned, messages.Raised)):
                self.running += message.running
                self.used = processor_time(worker.process.pid) - self._used_at_start
        super()._receive(worker, received)


def measure(job: ParallelJob) -> Resources:
    """What a worker of the job takes. The job has one worker, allows all failures, and is on the process engine."""
    engines: list[MeasuringEngine] = []

    def make(plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> MeasuringEngine:
        engines.append(MeasuringEngine(plan, splitter, settings, faults))
        return engines[-1]

    try:
        result = job.run_on(make)
    except ParallelRunError as error:
        return Resources(problem=str(error))
    starts = [event.duration for event in result.events.others if isinstance(event, WorkerStarted)]
    if not engines or not starts:
        return Resources(problem=f"no worker process started: {result.reason}")
    (engine,) = engines
    return Resources(
        init_memory=engine.peaks["init"],
        run_memory=engine.peaks["run"],
        cores=engine.used / engine.running if engine.running >= MIN_SECONDS else None,
        init=starts[:1],
        mini_batches=result.processed_mini_batches,
    )

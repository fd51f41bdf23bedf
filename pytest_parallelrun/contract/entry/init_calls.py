"""How often a gate may call init(), and how its jobs keep to that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.protocol import Patience, PersistentEngine
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

    PersistentEngineMaker = Callable[[WorkerPlan, Splitter, JobSettings, FaultPlan], PersistentEngine]

MAX_INIT_CALLS = 30
"""Calls of init() for one entry: a real one loads models for 5 to 60 seconds."""

RESERVED_INIT_CALLS = 6
"""Reserved for the last checks: others must not use them up to explain a finding."""


class TooManyInitCalls(Exception):
    """The budget of init() calls of this entry is used up; the text says so."""


@dataclass
class InitCalls:
    """Counts calls of init(), in all and since the last `take()`.

    seconds: what they took, with the import, in real time. Worker processes count too.
    """

    total: int = 0
    seconds: float = 0.0
    _since: tuple[int, float] = (0, 0.0)

    def add(self, calls: int, seconds: float = 0.0) -> None:
        """Adds calls."""
        self.total += calls
        self.seconds += seconds
        self._since = self._since[0] + calls, self._since[1] + seconds

    def require(self, calls: int, *, reserved: bool = False) -> None:
        """TooManyInitCalls if the limit would be exceeded."""
        limit = MAX_INIT_CALLS if reserved else MAX_INIT_CALLS - RESERVED_INIT_CALLS
        if self.total + calls > limit:
            raise TooManyInitCalls(
                f"init() budget used up: {self.total} of {MAX_INIT_CALLS} calls made"
                + ("" if reserved else f", {RESERVED_INIT_CALLS} reserved for generated mini-batches and jobs")
            )

    def take(self) -> tuple[int, float]:
        """The calls, and what they took, since the last call of this."""
        since, self._since = self._since, (0, 0.0)
        return since

    @contextmanager
    def one(self, *, reserved: bool) -> Iterator[None]:
        """Around a start of a worker, which counts. TooManyInitCalls if it would be one too many."""
        self.require(1, reserved=reserved)
        began = real_monotonic()
        try:
            yield
        finally:
            self.add(1, real_monotonic() - began)


MAX_WORKERS = 2
"""Processes for a job of the gate. In one process, where workers take turns, one worker is enough: `screening` shows
with two that init() and run() work beside others.
"""


def sparing(make_engine: PersistentEngineMaker, calls: InitCalls, most: int) -> PersistentEngineMaker:
    """Makes engines with at most that many workers, which end a job that calls init() too often."""

    def made(plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> PersistentEngine:
        instances = min(settings.instance_count, most)
        each = min(settings.max_concurrency_per_instance, most // instances)
        calls.require(instances * each)
        few = settings.replace(instance_count=instances, max_concurrency_per_instance=each)
        engine = make_engine(plan, splitter, few, faults)
        collect = engine.collect

        def collect_within_limit(patience: Patience | None = None) -> AttemptEnded | None:
            if calls.total + engine.workers_made > MAX_INIT_CALLS - RESERVED_INIT_CALLS:
                raise NoWorkersLeft(
                    f"the script ended its workers, and {engine.workers_made} were started: a gate calls init() at "
                    f"most {MAX_INIT_CALLS} times, {RESERVED_INIT_CALLS} of them for generated mini-batches"
                )
            return collect(patience)

        engine.collect = collect_within_limit  # type: ignore[method-assign]
        return engine

    return made

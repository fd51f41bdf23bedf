"""Executes attempts: an engine takes tasks and returns outcomes.

It knows nothing of retries or thresholds, which the job decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_parallelrun.emulator.events import AttemptEnded, Event, WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import MiniBatch, Splitter
from pytest_parallelrun.emulator.worker.script import EntryFunctions
from pytest_parallelrun.emulator.worker_plan import WorkerPlan

if TYPE_CHECKING:
    from typing_extensions import Self

Patience = Callable[[], float]
EngineMaker = Callable[[WorkerPlan, Splitter, JobSettings, FaultPlan], "Engine"]


class Task(NamedTuple):
    """A mini-batch for a worker, with the number of the attempt (from 1)."""

    mini_batch: MiniBatch
    number: int


class NoWorkersLeft(Exception):
    """The job cannot continue: init() failed too often, or all workers were stopped. The text is the reason."""


class Engine(Protocol):
    """Executes tasks on workers that it starts, replaces and stops.

    capacity: tasks it holds at once. collect: the next attempt that ends, None if none does within `patience` seconds;
    an engine that executes it immediately need not ask. worker_events: since the last call. elapsed: seconds since the
    start of the job, on the clock of the workers. stop: shutdown() is called only at a normal end, as on the service.
    notes: how limits were enforced and what was not emulated.
    """

    capacity: int

    def start(self) -> None: ...
    def submit(self, task: Task) -> None: ...
    def collect(self, patience: Patience | None = None) -> AttemptEnded | None: ...
    def worker_events(self) -> Sequence[Event]: ...
    def elapsed(self) -> float: ...
    def stop(self, *, normal: bool) -> None: ...
    def notes(self) -> Sequence[str]: ...


class Observer(Protocol):
    """Watches a worker while it starts, in its process: entered before the import of the script, left after init().

    inspect: gets the functions of an imported script. result: observations that can be sent between processes.
    """

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def inspect(self, functions: EntryFunctions) -> None: ...
    def result(self) -> object: ...


class PersistentEngine(Engine, Protocol):
    """An engine with persistent workers, for a ProbeSession and probe_startup.

    survives_faults: whether a worker survives an injected fault that would have ended it: another init() could take a
    minute. probe_limit: seconds of real time for run(). workers_made: starts of workers, including failed ones.
    acquire, release: start using this process, and restore it for the host between two questions; workers stay alive.
    quiet: suppresses warnings of workers that start from now on. assign: gives the workers another job or question.
    start_workers: tries once, at the same time in processes: import, run() found, init(). observer: an importable
    class; `observed` has its result for each worker that was started. select_worker: the slot for the next task, None
    for round robin. discard_worker: ends it, without shutdown(). call_in_worker: the result of an importable function
    in its process; RuntimeError if that fails.
    """

    survives_faults: bool
    probe_limit: float | None
    observed: list[object]

    @property
    def workers_made(self) -> int: ...
    def acquire(self) -> None: ...
    def release(self) -> None: ...
    def quiet(self) -> None: ...
    def assign(self, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None: ...
    def start_workers(
        self, slots: Sequence[int], *, init: bool = True, observer: type[Observer] | None = None
    ) -> Sequence[WorkerStarted | WorkerFailed]: ...
    def is_up(self, slot: int) -> bool: ...
    def select_worker(self, slot: int | None) -> None: ...
    def discard_worker(self, slot: int, reason: str) -> None: ...
    def call_in_worker(self, slot: int, function: Callable[..., object], *arguments: object) -> object: ...

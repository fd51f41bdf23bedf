"""Workers that persist between attempts, for questions about run() alone.

A job starts its workers, processes a whole input and ends. To try a single mini-batch, two in a row, or a hundred
generated ones, a session keeps its workers, and restores the state of the process after every attempt.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.emulator.engines import engine_maker
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft, Task
from pytest_parallelrun.emulator.events import AttemptEnded, Event, Failure, WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.folders import new_job_folder, remove_job_folder
from pytest_parallelrun.emulator.models import original_path
from pytest_parallelrun.emulator.service.missing_api import StandInGap
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.emulator.splitting.model import MiniBatch, PrebuiltInput
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched, files_watched

if TYPE_CHECKING:
    from typing_extensions import Self

    from pytest_parallelrun.emulator.engines.protocol import Observer, Patience, PersistentEngine
    from pytest_parallelrun.emulator.job import ParallelJob
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind, Partition, Payload, Splitter
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan


class WorkerStartError(Exception):
    """A worker does not start: its import or init() failed."""

    def __init__(self, failure: Failure, worker: int = 0) -> None:
        super().__init__(failure.error)
        self.failure = failure
        self.worker = worker


class ProbeResult(NamedTuple):
    """An attempt, and the files opened in it."""

    ended: AttemptEnded
    files: FilesTouched


class ProbeSession:
    """A context manager; inside it, `attempt` runs the caller's mini-batches on persistent workers.

    job: defines entry, arguments, models and settings; its input is not used. kind: of the mini-batches. workers: how
    many, numbered from 0 by `worker`. probe_limit: seconds for run(), see `probe_time_left`, in addition to the setting
    `timeout`, which alone limits skipped sleep, and init(). starting: entered around each start of a worker; may
    raise to prevent it. A worker that a job has replaced is started already.
    """

    def __init__(
        self,
        job: ParallelJob,
        kind: InputKind,
        *,
        workers: int = 1,
        probe_limit: float | None = None,
        starting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._job = job
        self._settings = job.settings.replace(instance_count=1, max_concurrency_per_instance=workers)
        self._probe_limit = probe_limit
        self._kind = kind
        self._is_held = False
        self._workers = workers
        self._starting, self._announced = starting, 0
        self.setting_up = FilesTouched()
        """What import and init() of the workers opened."""
        self.written: dict[str, None] = {}
        """Paths that any attempt wrote to."""
        self.gaps: dict[StandInGap, None] = {}
        """Calls that the stand-ins do not cover; complete when the session is over."""

    def __enter__(self) -> Self:
        self._folder = new_job_folder()
        self.output = self._folder / "output"
        self.output.mkdir()
        plan = self._job.worker_plan(self._kind, self._folder, self.output)
        self._splitter = PrebuiltInput((), kind=self._kind)
        self._engine = engine_maker(self._job.engine)(plan, self._splitter, self._settings, FaultPlan(()))
        self._engine.survives_faults = True
        self._engine.probe_limit = self._probe_limit
        try:
            self._engine.acquire()
            # Warnings of a script are known from a job; hundreds of generated mini-batches only repeat them.
            self._engine.quiet()
            self._engine.release()
        except BaseException:
            remove_job_folder(self._folder)
            raise
        return self

    @property
    def probe_limit(self) -> float | None:
        """Seconds for run() in the next attempts, in addition to the setting `timeout`."""
        return self._engine.probe_limit

    @probe_limit.setter
    def probe_limit(self, seconds: float | None) -> None:
        self._engine.probe_limit = seconds

    @property
    def init_calls(self) -> int:
        """Number of worker starts, including failed ones."""
        return self._engine.workers_made

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._engine.stop(normal=False)
        finally:
            self.note_gaps()
            remove_job_folder(self._folder)

    @property
    def observed(self) -> Sequence[object]:
        """The results of observers, in the order in which the workers came up."""
        return tuple(self._engine.observed)

    def note_gaps(self) -> None:
        """Receives events of the workers, of which only the gaps matter here."""
        self.gaps.update(dict.fromkeys(gaps_in(self._engine.worker_events())))

    def is_up(self, worker: int = 0) -> bool:
        """Whether the worker is running."""
        return self._engine.is_up(worker)

    def start(self, worker: int = 0, observer: type[Observer] | None = None) -> None:
        """Starts the worker if necessary. WorkerStartError if it does not start.

        observer: a class, created and entered in the process of the worker; see `observed`.
        """
        if self._engine.is_up(worker):
            return
        self.announce_replaced()
        with self._starting():
            self._start((worker,), observer)

    def start_two(self, observer: type[Observer] | None = None) -> None:
        """Starts the first two workers of a new session, at the same time if they are processes; see `start`."""
        with self._starting(), self._starting():
            self._start((0, 1), observer)

    def _start(self, workers: Sequence[int], observer: type[Observer] | None) -> None:
        with self.held(), files_watched(self.setting_up):
            self._announced += len(workers)
            events = self._engine.start_workers(workers, observer=observer)
        self._name_models(self.setting_up)
        for worker, event in zip(workers, events, strict=True):
            if isinstance(event, WorkerFailed):
                raise WorkerStartError(event.failure, worker)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Around attempts in a row: the workers keep the process, since each change takes longer than a fast run().

        What is done in between sees what the script has replaced, so do little.
        """
        outer, self._is_held = self._is_held, True
        try:
            yield
        finally:
            self._is_held = outer
            if not outer:
                self._engine.release()

    def announce_replaced(self) -> None:
        """Announces workers that a job has started in place of others."""
        while self._announced < self._engine.workers_made:
            with self._starting():
                self._announced += 1

    def renew(self, worker: int = 0) -> None:
        """Makes the next attempt of that worker the first one of a new worker."""
        self._engine.discard_worker(worker, "renewed")

    def folder_of(self, path: str) -> str | None:
        """A path below the working folder of a worker, relative to it; None for another path."""
        relative = os.path.relpath(path, self._folder)
        first, _, rest = relative.partition(os.sep)
        return rest if first.startswith("process") and rest else None

    def attempt(
        self,
        payload: Payload,
        *,
        id: int = 0,
        first_item: int = 0,
        partition: Partition = (),
        number: int = 1,
        worker: int = 0,
    ) -> ProbeResult:
        """One attempt of run() at a copy of `payload`.

        id, first_item, partition: for the context of the mini-batch. WorkerStartError if the worker does not start.
        """
        engine, touched = self._engine, FilesTouched()
        mini_batch = MiniBatch(id=id, size=len(payload), first_item=first_item, position=payload, partition=partition)
        with self.held():
            self.start(worker)
            engine.assign(self._splitter, self._settings, FaultPlan(()))
            engine.select_worker(worker)
            engine.submit(Task(mini_batch, number))
            with files_watched(touched):
                ended = engine.collect()
                assert ended is not None
        self._name_models(touched)
        self.written.update(touched.written)
        return ProbeResult(ended, touched)

    def _name_models(self, touched: FilesTouched) -> None:
        """Files of models, by their original paths."""
        models = self._job.models
        touched.read = {original_path(path, models): None for path in touched.read} if models else touched.read

    def call_in_worker(self, function: Callable[..., object], *arguments: object, worker: int = 0) -> object:
        """The result of an importable function in the process of a worker, which is started if necessary."""
        self.start(worker)
        return self._engine.call_in_worker(worker, function, *arguments)

    def run(self, job: ParallelJob) -> JobResult:
        """Runs a job of the same entry on the workers of the session; faults do not end them.

        The session decides the number of workers, and shutdown() is not called.
        """
        result = job.run_on(self._warm)
        self.announce_replaced()
        self.gaps.update(dict.fromkeys(result.gaps))
        return result

    def _warm(self, plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> _WarmEngine:
        self._engine.assign(splitter, settings, faults)
        return _WarmEngine(self, self._engine, self._workers)


class _WarmEngine:
    """The engine of a session during one job."""

    capacity = 1

    def __init__(self, session: ProbeSession, engine: PersistentEngine, workers: int) -> None:
        self._session = session
        self._engine = engine
        self._workers = workers
        self._started = engine.elapsed()

    def start(self) -> None:
        try:
            for worker in range(self._workers):
                self._session.start(worker)
        except WorkerStartError as error:
            raise NoWorkersLeft(str(error)) from error
        self._session.note_gaps()
        self._engine.select_worker(None)

    def submit(self, task: Task) -> None:
        self._engine.submit(task)

    def collect(self, patience: Patience | None = None) -> AttemptEnded | None:
        self._session.announce_replaced()
        return self._engine.collect(patience)

    def worker_events(self) -> Sequence[Event]:
        return self._engine.worker_events()

    def elapsed(self) -> float:
        return self._engine.elapsed() - self._started

    def stop(self, *, normal: bool) -> None:
        self._engine.release()

    def notes(self) -> Sequence[str]:
        return ()


@dataclass(frozen=True)
class StartupResult:
    """How each worker started, and the first attempt of worker 0 afterwards, if requested.

    observed: the result of the observer of each worker. gaps: calls that the stand-ins do not cover.
    """

    workers: tuple[WorkerStarted | WorkerFailed, ...]
    attempt: AttemptEnded | None = None
    observed: tuple[object, ...] = ()
    gaps: tuple[StandInGap, ...] = ()


def gaps_in(events: Iterable[Event]) -> Iterator[StandInGap]:
    return (event for event in events if isinstance(event, StandInGap))


def probe_startup(
    job: ParallelJob,
    *,
    workers: int = 1,
    runtime_arguments: bool = True,
    init: bool = True,
    first_attempt: bool = False,
    observer: type[Observer] | None = None,
) -> StartupResult:
    """Starts `workers` workers on one instance: their import and, if `init`, their init().

    runtime_arguments off: sys.argv contains only the user's program arguments. first_attempt: worker 0 then runs the
    first mini-batch of the job's input. observer: a class, created and entered in the process of each worker.
    """
    settings = job.settings
    settings = settings.replace(instance_count=1, max_concurrency_per_instance=workers)
    folder = new_job_folder()
    try:
        splitter = open_input(job.input, settings) if first_attempt else FileSplitter("", [], 1, label="no input")
        kind = splitter.kind if first_attempt else settings.kind_without_input
        plan = job.worker_plan(kind, folder, folder / "output", runtime=runtime_arguments)
        engine = engine_maker(job.engine)(plan, splitter, settings, FaultPlan(()))
        attempt = None
        try:
            engine.acquire()
            # In turn, so that what one does to another is the same in every run.
            starts = [engine.start_workers([slot], init=init, observer=observer) for slot in range(workers)]
            workers_started = tuple(event for (event,) in starts)
            if first_attempt and engine.is_up(0):
                engine.select_worker(0)
                engine.submit(Task(next(splitter.mini_batches()), 1))
                attempt = engine.collect()
        finally:
            engine.stop(normal=False)
    finally:
        remove_job_folder(folder)
    gaps = tuple(gaps_in(engine.worker_events()))
    return StartupResult(workers_started, attempt, tuple(engine.observed), gaps)

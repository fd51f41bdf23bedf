"""The entry under test: immutable, and can be used with @given, since every job creates what it needs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.bounds import MAX_COPIED_BYTES, MAX_COPIED_FILES
from pytest_parallelrun.contract.entry.init_calls import MAX_WORKERS, InitCalls, sparing
from pytest_parallelrun.contract.entry.redirected_outputs import Outputs, Redirected, paths_in
from pytest_parallelrun.contract.entry.sample_copy import SampleCopy, copy_of, table_itself
from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines import engine_maker
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.events import WorkerFailed, WorkerStarted
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.probe import ProbeSession, StartupResult, WorkerStartError, probe_startup
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import LoadError, PrebuiltInput
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.protocol import Observer
    from pytest_parallelrun.emulator.entry import EntryFile
    from pytest_parallelrun.emulator.events import Failure, Progress
    from pytest_parallelrun.emulator.job_environment import JobEnvironment
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.service.missing_api import StandInGap
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind, MiniBatch, Payload, Source, Splitter


_PHASES = ("import", "define", "init")
"""Phases of a starting worker, in order."""


@dataclass
class Starts:
    """How far the workers of an entry came. differ: whether a phase failed that an earlier worker had completed."""

    differ: bool = False
    _done: int = 0

    def note(self, failure: Failure | None, *, init: bool = True) -> None:
        """A worker started (None), without or with init(), or failed."""
        if failure is None:
            self._done = max(self._done, len(_PHASES) if init else _PHASES.index("init"))
        elif failure.phase in _PHASES:
            self.differ = self.differ or _PHASES.index(failure.phase) < self._done


@dataclass(frozen=True, kw_only=True)
class EntryUnderTest:
    """An entry script with its settings, arguments, models and sample.

    folder: for copies of the sample. `sample` is None without an input. budget: seconds for everything that Hypothesis
    generates, None without a limit. gaps: calls so far that the stand-ins do not cover. environment: of the job, if
    known. splits_mltable: whether the job file declares the input as an MLTable.
    """

    entry: EntryFile
    settings: JobSettings
    arguments: tuple[str, ...]
    models: Mapping[str, Path]
    sample: str | tuple[str, ...] | None
    folder: Path
    environment: JobEnvironment | None = None
    splits_mltable: bool = False
    engine: str = "inprocess"
    budget: float | None = None
    init_calls: InitCalls = field(default_factory=InitCalls, compare=False)
    outputs: Outputs = field(default_factory=Outputs, compare=False)
    gaps: dict[StandInGap, None] = field(default_factory=dict, compare=False)
    starts: Starts = field(default_factory=Starts, compare=False)
    _numbers: dict[str, Iterator[int]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def job(
        self,
        input: Source | None = None,
        *,
        faults: Sequence[Fault] = (),
        output: Path | None = None,
        logs: Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        beyond_threshold: bool = False,
        kept_bytes: int | None = None,
        of_gate: bool = False,
        **settings: object,
    ) -> JobResult:
        """Runs a job with this entry; `settings` are fields of JobSettings and override those of the options.

        Without an input it uses a fresh copy of the sample. output, logs, on_progress: those of ParallelJob;
        beyond_threshold, kept_bytes: those of its `run_on`. of_gate: with few calls of init(), see `sparing`.
        """
        if input is None:
            input = self.copy_sample().input
        chosen = self.settings.replace(**settings)  # type: ignore[arg-type]
        job = self.job_of(input, chosen, faults, output=output, logs=logs, on_progress=on_progress)
        return self._run(job, beyond_threshold=beyond_threshold, kept_bytes=kept_bytes, of_gate=of_gate)

    def probe_startup(
        self,
        *,
        workers: int = 1,
        runtime_arguments: bool = True,
        init: bool = True,
        first_attempt: bool = False,
        observer: type[Observer] | None = None,
    ) -> StartupResult:
        """Starts workers without a job; `first_attempt` then runs the first mini-batch of the sample.

        TooManyInitCalls if there would be too many.
        """
        self.init_calls.require(workers if init else 0)
        input: Source = self._first_mini_batch() if first_attempt else []
        began = real_monotonic()
        startup = probe_startup(
            self.job_of(input, self.settings),
            workers=workers,
            runtime_arguments=runtime_arguments,
            init=init,
            first_attempt=first_attempt,
            observer=observer,
        )
        spent = min(real_monotonic() - began, sum(event.duration for event in startup.workers))
        self.init_calls.add(workers if init else 0, spent if init else 0.0)
        self.gaps.update(dict.fromkeys(startup.gaps))
        for event in startup.workers:
            self.starts.note(event.failure if isinstance(event, WorkerFailed) else None, init=init)
        return startup

    @contextmanager
    def session(
        self,
        *,
        workers: int = 1,
        probe_limit: float | None = None,
        models: Mapping[str, Path] | None = None,
        arguments: tuple[str, ...] | None = None,
        entry: EntryFile | None = None,
        reserved: bool = False,
        **settings: object,
    ) -> Iterator[ProbeSession]:
        """Fresh workers that live inside the context, for attempts at the caller's mini-batches.

        probe_limit: seconds of real time for run(), in addition to the setting `timeout`. models, arguments, entry:
        instead of those of the entry. Folders named in its arguments or variables are replaced by fresh ones. reserved:
        may use the calls reserved for the last checks. TooManyInitCalls, also later, if there would be too many
        workers.
        """
        self.init_calls.require(workers, reserved=reserved)
        if arguments is None and self.outputs.folders:
            redirected = self.redirected()
            arguments = redirected.arguments
            settings.setdefault("environment_variables", redirected.environment)
        chosen = self.settings.replace(**settings)  # type: ignore[arg-type]
        job = self.job_of([], chosen, models=models, arguments=arguments, entry=entry)
        starting = partial(self.init_calls.one, reserved=reserved)
        session = ProbeSession(job, self.kind, workers=workers, probe_limit=probe_limit, starting=starting)
        with self.outputs.kept():
            try:
                with session:
                    yield session
            except WorkerStartError as error:
                self.starts.note(error.failure)
                raise
            finally:
                self.outputs.note(session.setting_up)
                self.outputs.note(FilesTouched(written=session.written))
                self.gaps.update(session.gaps)

    def redirected(self) -> Redirected:
        """Arguments and variables for workers that must not write to the user's results."""
        variables = self.settings.environment_variables
        # The name marks it as the folder of a single worker.
        return self.outputs.redirected(self.arguments, variables, self.new_folder("parallelrun-output"))

    @cached_property
    def kind(self) -> InputKind:
        """The argument of run(): files or a table."""
        if self.sample is None:
            return "files"
        return self.opened.kind

    @cached_property
    def opened(self) -> Splitter:
        """The sample itself, opened to be read."""
        assert self.sample is not None
        return open_input(self.sample if isinstance(self.sample, str) else list(self.sample), self.settings)

    @property
    def reads_tables(self) -> bool:
        """Whether the service reads tables for the job, according to sample and job file."""
        return self.splits_mltable if self.sample is None else self.kind == "tabular"

    def _first_mini_batch(self) -> Source:
        first = next(self.opened.mini_batches())
        payload = self.load(self.copy_sample(lazily=True), first)
        return PrebuiltInput([payload], kind=self.kind, partitions=[first.partition])

    def load(self, copy: SampleCopy, mini_batch: MiniBatch) -> Payload:
        """A mini-batch of the sample: rows, or paths in a copy, which gets the files. LoadError if it cannot be."""
        if self.kind != "files":
            return self.opened.load(mini_batch)
        if copy.original_root is None:
            return open_input(copy.input, self.settings).load(mini_batch)
        return copy.with_files(cast("list[str]", self.opened.load(mini_batch)))

    def _run(
        self,
        job: ParallelJob,
        *,
        beyond_threshold: bool = False,
        kept_bytes: int | None = None,
        of_gate: bool = False,
    ) -> JobResult:
        make_engine = engine_maker(job.engine)
        if of_gate:
            most = 1 if self.engine == "inprocess" else MAX_WORKERS
            make_engine = sparing(make_engine, self.init_calls, most)
        paths = paths_in(self.arguments, job.settings.environment_variables)
        began = real_monotonic()
        with self.outputs.watched(paths, ignoring=(self.folder, job.output, job.logs), code=self.entry.code_root):
            result = job.run_on(make_engine, beyond_threshold=beyond_threshold, kept_bytes=kept_bytes)
        wanted = job.settings.instance_count * job.settings.max_concurrency_per_instance
        if of_gate and most < wanted:
            result.notes += (f"the gate used {most} of {wanted} workers, because each of them calls init()",)
        # The clock of a job runs on where a script sleeps.
        self.init_calls.add(result.init_calls, min(real_monotonic() - began, result.seconds_to_start))
        self.gaps.update(dict.fromkeys(result.gaps))
        for event in result.events.others:
            if isinstance(event, (WorkerStarted, WorkerFailed)):
                self.starts.note(event.failure if isinstance(event, WorkerFailed) else None)
        return result

    def job_of(
        self,
        input: Source,
        settings: JobSettings,
        faults: Sequence[Fault] = (),
        *,
        output: Path | None = None,
        logs: Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        models: Mapping[str, Path] | None = None,
        arguments: tuple[str, ...] | None = None,
        entry: EntryFile | None = None,
    ) -> ParallelJob:
        """A job with this entry, not yet run; `settings` are all of its settings."""
        entry = entry or self.entry
        return ParallelJob(
            entry.path,
            input,
            settings=settings,
            program_arguments=self.arguments if arguments is None else arguments,
            faults=faults,
            engine=self.engine,
            code=entry.code_root,
            models=self.models if models is None else models,
            output=output,
            logs=logs,
            on_progress=on_progress,
        )

    def copy_sample(self, *, lazily: bool = False) -> SampleCopy:
        """A fresh copy of the sample, because no check may change the user's files; relative paths stay the same.

        lazily: `load` adds the files that are needed, if the sample is large.
        """
        if self.sample is None:
            raise InputError("there is no input: give --parallelrun-input=PATH.")
        if self.kind != "files":
            return table_itself(self.sample)
        with_files = not lazily or not self._is_large
        return copy_of(self.sample, self.new_folder("sample"), self.settings, with_files=with_files)

    @cached_property
    def _is_large(self) -> bool:
        if (self.opened.total_items or 0) > MAX_COPIED_FILES:
            return True
        size = 0
        for mini_batch in self.opened.mini_batches():
            with suppress(OSError, LoadError):
                size += sum(map(os.path.getsize, cast("list[str]", self.opened.load(mini_batch))))
        return size > MAX_COPIED_BYTES

    def new_folder(self, name: str) -> Path:
        """An empty folder, deleted some time after the run."""
        # Numbered: scripts return paths, and a random name changes the form of a row or contains a word for an error.
        # Numbers are not reused: a script that skips what it has seen would skip these files.
        for number in self._numbers.setdefault(name, itertools.count(1)):
            folder = self.folder / f"{name}-{number}"
            with suppress(FileExistsError):
                folder.mkdir()
                break
        return folder

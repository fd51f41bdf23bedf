"""A parallel job: the queue of mini-batches and the only place with state.

It asks `policy`, through its ledger, what an attempt means, drives an engine, and records events.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.arguments import (
    apply_program_arguments,
    parse_program_arguments,
    runtime_arguments,
    with_outputs,
)
from pytest_parallelrun.emulator.clock import real_time
from pytest_parallelrun.emulator.engines import ENGINES, check_possible, engine_maker
from pytest_parallelrun.emulator.engines.protocol import Engine, NoWorkersLeft, Task
from pytest_parallelrun.emulator.entry import find_entry, find_models, model_directory
from pytest_parallelrun.emulator.errors import EmptyInputError, FaultError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import (
    AttemptEnded,
    Failure,
    JobEnded,
    JobStatus,
    MiniBatchEnded,
    MiniBatchStatus,
    Progress,
    WorkerStopped,
)
from pytest_parallelrun.emulator.faults import Fault, FaultPlan
from pytest_parallelrun.emulator.folders import keep_files, usable_output
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.logs import usable_logs, write_logs
from pytest_parallelrun.emulator.output import AppendedFile, OutputError
from pytest_parallelrun.emulator.policy import Exceeded, Ruling
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.rule_comparison import read_under_presets
from pytest_parallelrun.emulator.rules import PRESETS
from pytest_parallelrun.emulator.settings import JobSettings, setting_table
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.effective_settings import without_effect
from pytest_parallelrun.emulator.worker_plan import WorkerPlan

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.protocol import EngineMaker
    from pytest_parallelrun.emulator.splitting.model import InputKind, MiniBatch, Source


TICK = 1.0
"""Seconds after which somebody who looks on is told how far the job is, though no attempt has ended."""

NO_RESULT = (
    "no item succeeded, so there is no row to append: with output_action append_row the service fails such a "
    "job whatever the thresholds (NoResultToAppendError)"
)


class ParallelJob:
    """A job that runs here as it would on the service.

    entry: path of a script, a module, or any object with run() and optionally init() and shutdown().
    input: path of a folder, glob or file, a list of paths, or a DataFrame.
    settings: JobSettings; a field that is not set takes the documented default of its profile.
    program_arguments: what follows the runtime's own arguments in sys.argv; those that the service reads
        itself (--error_threshold and others) change the settings too, unless a field of `settings` was set.
    faults: Fault objects. engine: "inprocess", "process" for worker processes that can be killed, or "ray"
        for those on the nodes of a Ray cluster.
    code: the code root, default the folder of the script. models: paths on disk, as "PATH" or "NAME=PATH".
    output: folder that keeps what the job wrote; without it that lives as long as the result. logs: folder that gets
        the logs, laid out as on the service. on_progress: told after each attempt how far the job is, and
        every second where attempts are elsewhere than in this process.

    Raises a ParallelRunError for a wrong set-up, here or in run(). A failed job is a result.
    """

    def __init__(
        self,
        entry: object,
        input: Source,
        settings: JobSettings | None = None,
        program_arguments: str | Sequence[str] = (),
        faults: Iterable[Fault] = (),
        engine: str = "inprocess",
        *,
        code: str | os.PathLike[str] | None = None,
        models: Iterable[str | os.PathLike[str]] = (),
        output: str | os.PathLike[str] | None = None,
        logs: str | os.PathLike[str] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        if engine not in ENGINES:
            raise SettingsError(f"engine={engine!r} is not an engine. {did_you_mean(str(engine), ENGINES)}")
        settings = JobSettings() if settings is None else settings
        if not isinstance(settings, JobSettings):
            raise SettingsError(f"settings={settings!r}: give a JobSettings object.")
        self.entry = find_entry(entry, code)
        self.input = input
        self.arguments = parse_program_arguments(program_arguments, profile=settings.profile)
        self.settings = apply_program_arguments(settings, self.arguments)
        check_possible(engine, self.entry, self.settings)
        self.faults = tuple(faults)
        FaultPlan(self.faults)
        self.engine = engine
        self.models = find_models(models)
        self.output = None if output is None else Path(os.path.abspath(output))
        self.logs = None if logs is None else Path(os.path.abspath(logs))
        self.on_progress = on_progress

    def run(self) -> JobResult:
        """Runs the job from the start; every call is a run of its own."""
        return _Run(self, engine_maker(self.engine)).result()

    def run_on(self, make_engine: EngineMaker) -> JobResult:
        """The same on an engine of the caller's, such as the workers of a Bench."""
        return _Run(self, make_engine).result()

    def worker_plan(
        self,
        kind: InputKind,
        folder: Path,
        output_dir: Path | None,
        *,
        runtime: bool = True,
        appended: Path | None = None,
        logs: Path | None = None,
    ) -> WorkerPlan:
        """What the workers of this job start from; `runtime` off leaves the runtime's own arguments out.

        output_dir: AZUREML_BI_OUTPUT_PATH, None where nothing is appended. appended: the file of a job for it.
        logs: the folder that keeps the logs.
        """
        settings = self.settings
        environment = dict(settings.environment_variables)
        model_dir = model_directory(self.models)
        if model_dir is not None:
            environment.setdefault("AZUREML_MODEL_DIR", str(model_dir))
        if output_dir is not None:
            environment["AZUREML_BI_OUTPUT_PATH"] = str(output_dir)
        own: tuple[str, ...] = ()
        if runtime:
            output = None if output_dir is None else str(output_dir)
            own = runtime_arguments(settings, scoring_module_name=self.entry.label, output=output, kind=kind)
        arguments, folders = with_outputs(self.arguments.argv, self.output or folder / "output")
        for output_folder in folders:
            output_folder.mkdir(parents=True, exist_ok=True)
        return WorkerPlan(
            entry=self.entry,
            arguments=(*own, *arguments),
            environment=environment,
            folder=folder,
            output_dir=output_dir,
            models=self.models,
            logging_level=settings.logging_level,
            azureml=settings.azureml,
            appended=appended,
            logs=logs,
        )


class _Run:
    """One run of a job."""

    def __init__(self, job: ParallelJob, make_engine: EngineMaker) -> None:
        self._job = job
        self._make_engine = make_engine
        self._settings = job.settings
        self._faults = FaultPlan(job.faults)
        self._events = EventLog()
        self._retries: deque[Task] = deque()
        self._redelivered: set[tuple[int, int]] = set()
        self._latest: dict[int, AttemptEnded] = {}
        self._exceeded: Exceeded | None = None
        self._cut_short = False
        self._appended: AppendedFile | None = None
        self._lost_rows: str | None = None
        # When how many mini-batches had been processed for the first time.
        self._processed = 0
        self._progress = 0.0
        self._every_attempt = job.settings.rules.appended_rows == "every_attempt"
        # Of a table alone: the list of files can be split again at any time.
        self._queued: list[MiniBatch] = []

    def result(self) -> JobResult:
        job, settings = self._job, self._settings
        try:
            self._splitter = open_input(job.input, settings)
        except EmptyInputError as error:
            return self._without_items(str(error))
        folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="parallelrun-")))
        try:
            return self._result_in(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _result_in(self, folder: Path) -> JobResult:
        job, settings = self._job, self._settings
        self._ledger = Ledger(settings, self._splitter.kind, self._splitter.total_mini_batches)
        output_dir = folder / "output" if job.output is None else usable_output(job.output)
        appended = output_dir / settings.append_row_file_name if settings.output_action == "append_row" else None
        if appended is not None:
            output_dir.mkdir(exist_ok=True)
        logs = None if job.logs is None else usable_logs(job.logs)
        began = real_time()
        plan = job.worker_plan(
            self._splitter.kind, folder, output_dir if appended else None, appended=appended, logs=logs
        )
        engine = self._make_engine(plan, self._splitter, settings, self._faults)
        with ExitStack() as stack:
            if appended is not None:
                file = AppendedFile(appended, header=settings.append_row_dataframe_header)
                self._appended = stack.enter_context(file)
            ended = self._drive(engine)
        not_kept = [] if job.output is None else list(keep_files(folder, job.output))
        if not self._cut_short and (unused := self._faults.never_fired()):
            raise FaultError(
                f"{', '.join(map(str, unused))} never fired: no attempt of the job had that address, or an earlier "
                "fault had it. Mini-batches and workers count from 0, attempts from 1."
            )
        readings: dict[str, JobStatus | None]
        if self._cut_short and self._exceeded is None:
            # No reading of the rules helps a job without workers.
            readings = dict.fromkeys(PRESETS, ended.status)
        else:
            total = self._ledger.total_mini_batches
            readings = read_under_presets(job.input, settings, self._splitter, total, self._events, ended.status)
        result = JobResult(
            entry=job.entry.label,
            settings=settings,
            splitter=self._splitter,
            ledger=self._ledger,
            queued=self._queued,
            events=self._events,
            notes=[*self._notes(readings), *engine.notes(), *not_kept],
            readings=readings,
            output_path=appended,
            folder=folder,
        )
        if logs is not None:
            result.notes += write_logs(logs, result, began)
        return result

    def _without_items(self, what: str) -> JobResult:
        settings = self._settings
        logs = None if self._job.logs is None else usable_logs(self._job.logs)
        reason = (
            f"{what} On the service no task would be created: FirstTaskCreationTimeout, "
            f"unable to create any task within {settings.first_task_creation_timeout:g} seconds."
        )
        events = EventLog()
        events.append(JobEnded("Failed", reason, None, 0.0))
        result = JobResult(
            entry=self._job.entry.label,
            settings=settings,
            splitter=None,
            ledger=Ledger(settings, "files", 0),
            queued=(),
            events=events,
            notes=(),
            readings=dict.fromkeys(PRESETS, "Failed"),
            output_path=None,
            folder=None,
        )
        if logs is not None:
            result.notes += write_logs(logs, result, real_time())
        return result

    def _drive(self, engine: Engine) -> JobEnded:
        """Runs the job to its end: all mini-batches ended, a threshold exceeded, or no worker left."""
        reason: str | None = None
        completed = False
        try:
            try:
                engine.start()
                self._work_off(engine)
                completed = self._exceeded is None
            except NoWorkersLeft as error:
                reason = str(error)
        finally:
            engine.stop(normal=completed)
        try:
            if self._appended is not None:
                self._appended.close()
        except OutputError as error:
            if reason is None and self._exceeded is None:
                reason = str(error)
            else:
                self._lost_rows = f"the results are lost as well: {error}"
            completed = False
        self._events.extend(engine.worker_events())
        self._cut_short = not completed
        if self._exceeded is not None:
            reason = self._exceeded.arithmetic
        elif completed and self._appended is not None and not self._ledger.succeeded_items:
            reason = NO_RESULT
        ended = JobEnded(
            "Completed" if reason is None else "Failed",
            reason,
            None if self._exceeded is None else self._exceeded.setting,
            engine.elapsed(),
        )
        self._events.append(ended)
        return ended

    def _work_off(self, engine: Engine) -> None:
        """Hands out mini-batches until none is left or a threshold is exceeded."""
        deliveries = self._deliveries()
        held = 0
        while True:
            while self._exceeded is None and held < engine.capacity and (delivery := next(deliveries)) is not None:
                engine.submit(delivery)
                held += 1
            if self._exceeded is not None or not held:
                return
            attempt = self._next_attempt(engine)
            held -= 1
            self._record(attempt)
            self._tell_progress(engine)
            if events := engine.worker_events():
                self._events.extend(events)

    def _next_attempt(self, engine: Engine) -> AttemptEnded:
        """The next one that ends. NoWorkersLeft where none does for too long."""
        while True:
            patience = self._patience(engine)
            attempt = engine.collect(patience if self._job.on_progress is None else min(patience, TICK))
            if attempt is not None:
                return attempt
            if self._patience(engine) <= 0:
                limit = f"{self._settings.progress_update_timeout:g}"
                raise NoWorkersLeft(
                    f"no mini-batch was processed for {limit} s (progress_update_timeout): the service stops such a "
                    f'job, "No progress update in {limit} seconds."'
                )
            self._tell_progress(engine)

    def _tell_progress(self, engine: Engine) -> None:
        if self._job.on_progress is not None:
            ledger = self._ledger
            self._job.on_progress(Progress(ledger.processed, ledger.total_mini_batches, engine.elapsed()))

    def _patience(self, engine: Engine) -> float:
        """Seconds that may pass until the next mini-batch is processed."""
        if self._ledger.processed != self._processed:
            self._processed = self._ledger.processed
            self._progress = engine.elapsed()
        return float(self._settings.progress_update_timeout) - (engine.elapsed() - self._progress)

    def _deliveries(self) -> Iterator[Task | None]:
        """Fresh mini-batches first, then retries in the order of their failures; None while there are none."""
        known = self._ledger.total_mini_batches is not None
        for mini_batch in self._splitter.mini_batches():
            if not known:
                self._queued.append(mini_batch)
            if mini_batch.size:
                yield Task(mini_batch, 1)
            else:
                # The service does not call run() on a table without rows.
                self._end(mini_batch, self._ledger.record(mini_batch.id, 0, "succeeded", number=1, returned=0))
        if not known:
            self._ledger.total_mini_batches = len(self._queued)
            # From here on the percentage has its denominator.
            self._exceeded = self._ledger.exceeded()
        while True:
            yield self._retries.popleft() if self._retries else None

    def _record(self, attempt: AttemptEnded) -> None:
        if attempt.returned is not None and self._appended is not None:
            attempt = _if_it_can_be_appended(attempt, self._appended)
        self._events.append(attempt)
        mini_batch, number, _, outcome, returned, _, _, _, _, failure, fault, _ = attempt
        if returned is not None and self._appended is not None:
            if self._every_attempt:
                self._append(attempt)
            else:
                self._latest[mini_batch.id] = attempt
        if fault is not None and fault.kind == "delivers_twice":
            delivery = (mini_batch.id, number)
            if delivery not in self._redelivered:
                self._redelivered.add(delivery)
                self._retries.append(Task(mini_batch, number))
                return
        ruling = self._ledger.record(
            mini_batch.id,
            mini_batch.size,
            outcome,
            number=number,
            returned=returned,
            retry_allowed=failure is None or failure.retry,
        )
        if not ruling.retry:
            self._end(mini_batch, ruling)
            if mini_batch.id in self._latest:
                self._append(self._latest.pop(mini_batch.id))
            return
        self._retries.append(Task(mini_batch, number + 1))
        self._exceeded = self._ledger.exceeded()

    def _end(self, mini_batch: MiniBatch, ruling: Ruling) -> None:
        status: MiniBatchStatus = "failed" if ruling.failed else "succeeded"
        self._events.append(MiniBatchEnded(mini_batch, status, ruling.succeeded, ruling.failed_items))
        if ruling.failed_items or ruling.failed:
            self._exceeded = self._ledger.exceeded()

    def _append(self, attempt: AttemptEnded) -> None:
        assert self._appended is not None
        number = attempt.mini_batch.id
        try:
            self._appended.append(attempt.value, attempt.written)
        except OutputError as error:
            raise NoWorkersLeft(f"the results of mini-batch {number} cannot be appended: {error}") from error

    def _notes(self, readings: Mapping[str, JobStatus | None]) -> Iterator[str]:
        job = self._job
        yield from job.arguments.notes
        yield from without_effect(self._splitter.form, self._settings)
        if self._lost_rows is not None:
            yield self._lost_rows
        if job.arguments.not_emulated:
            yield f"not emulated, only handed to the script: {', '.join(job.arguments.not_emulated)}"
        for name in sorted(self._settings.explicit):
            if not setting_table()[name].emulated and job.engine == "inprocess":
                yield f"not emulated in-process: {name}; it has an effect in worker processes (engine process)"
        if job.engine != "inprocess" and self._settings.clock == "virtual" and "clock" in self._settings.explicit:
            yield "clock=virtual has no effect in worker processes, where time is real"
        for event in self._events.others:
            if isinstance(event, WorkerStopped) and event.failure is not None:
                yield f"shutdown() of worker {event.worker} failed, which the service only logs: {event.failure.error}"
        if self._appended is not None and "AZUREML_BI_OUTPUT_PATH" in self._settings.environment_variables:
            yield "AZUREML_BI_OUTPUT_PATH was set in vain: with output_action=append_row the runtime sets it"
        capped = self._events.capped + sum(
            event.returned is not None and event.returned > event.mini_batch.size
            for event in self._events.others
            if isinstance(event, AttemptEnded)
        )
        if capped:
            yield (
                f"{capped} attempt(s) returned more results than items: the service caps the count and keeps all rows"
            )
        told = {name: status for name, status in readings.items() if status is not None}
        if len(set(told.values())) > 1:
            verdicts = ", ".join(f"{status} under rules={name}" for name, status in told.items())
            yield f"the sources on the service disagree, and it matters here: {verdicts}"
        for name in readings.keys() - told.keys():
            yield f"what rules={name} would make of this job cannot be told from these attempts"


def _if_it_can_be_appended(attempt: AttemptEnded, appended: AppendedFile) -> AttemptEnded:
    """The attempt; one that has failed where the file is gone to which its results belong."""
    try:
        appended.require()
        written = attempt.written
        if written is not None and not written.error and not os.path.exists(written.path):
            raise OutputError(f"'{written.path}', to which the worker wrote them, is gone")
    except OutputError as error:
        failure = Failure("return", f"the results cannot be appended: {error}")
        return attempt._replace(outcome="exception", returned=None, value=None, failure=failure, written=None)
    return attempt

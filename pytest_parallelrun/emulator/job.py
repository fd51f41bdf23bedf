"""A parallel job: its setup, its folders, its run by the scheduler, and the result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path

from pytest_parallelrun.emulator.arguments import (
    apply_program_arguments,
    parse_program_arguments,
    runtime_arguments,
    with_outputs,
)
from pytest_parallelrun.emulator.clock import real_time
from pytest_parallelrun.emulator.engines import ENGINES, check_possible, engine_maker
from pytest_parallelrun.emulator.engines.protocol import EngineMaker
from pytest_parallelrun.emulator.entry import EntryFile, StrPath, find_entry
from pytest_parallelrun.emulator.errors import EmptyInputError, FaultError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import AttemptEnded, JobEnded, Progress, WorkerStopped
from pytest_parallelrun.emulator.faults import Fault, FaultPlan
from pytest_parallelrun.emulator.folders import keep_files, new_job_folder, remove_job_folder, usable_output
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.logs import usable_logs, write_logs
from pytest_parallelrun.emulator.models import (
    MODEL_DIR,
    Models,
    find_models,
    reads_model_dir,
    shadowed_models,
    stage_models,
)
from pytest_parallelrun.emulator.output import AppendedFile
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.rule_comparison import RuleComparison, compare_presets, more_would_tell
from pytest_parallelrun.emulator.sandbox.process_exit import terminations_as_interrupts
from pytest_parallelrun.emulator.scheduler import Scheduler
from pytest_parallelrun.emulator.service.missing_api import StandInGap
from pytest_parallelrun.emulator.setting_table import setting_table
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import InputKind, Source, Splitter, count_text, split_notes
from pytest_parallelrun.emulator.worker_plan import PYTHON_PATH, WorkerPlan

MAX_GAPS_NOTED = 5


class ParallelJob:
    """A job that runs here as it would on the service.

    entry: path of a script, a module, or any object with run() and optionally init() and shutdown().
    input: path of a folder, glob or file, a list of paths, or a DataFrame.
    settings: JobSettings; a field that is not set has the default of its profile.
    program_arguments: follow the runtime's own arguments in sys.argv; those that the service reads itself
    (--error_threshold and others) also change the settings, unless a field of `settings` was set.
    faults: Fault objects. engine: "inprocess", "process" for worker processes that can be killed, or "ray" for those on
    a Ray cluster.
    code: the code root, by default the folder of the script. models: local paths, as "PATH" or "NAME=PATH", or by name.
    output: folder that keeps what the job wrote; by default it is deleted with the result. logs: folder for the logs,
    laid out as on the service. on_progress: called after each attempt, and every second if attempts run outside this
    process.

    Raises a ParallelRunError for a wrong setup, here or in run(). A failed job is a result.
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
        code: StrPath | None = None,
        models: Models = (),
        output: StrPath | None = None,
        logs: StrPath | None = None,
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
        return self.run_on(engine_maker(self.engine))

    def run_on(
        self, make_engine: EngineMaker, *, beyond_threshold: bool = False, kept_bytes: int | None = None
    ) -> JobResult:
        """The same on an engine of the caller's, such as the workers of a ProbeSession.

        beyond_threshold: after a threshold has ended the job, the remaining attempts are made where the other preset of
        the rules cannot be judged without them. They count for nothing else. kept_bytes: about how much memory the
        results may take; others are NOT_KEPT.
        """
        try:
            splitter = open_input(self.input, self.settings)
        except EmptyInputError as error:
            return self._without_items(str(error))
        folder = new_job_folder()
        try:
            with terminations_as_interrupts():
                events = EventLog(kept_bytes)
                return self._run_in(folder, splitter, make_engine, events, beyond_threshold=beyond_threshold)
        except BaseException:
            remove_job_folder(folder)
            raise

    def worker_plan(
        self,
        kind: InputKind,
        folder: Path,
        output_dir: Path,
        *,
        runtime: bool = True,
        appended: Path | None = None,
        logs: Path | None = None,
    ) -> WorkerPlan:
        """What the workers of this job start from; `runtime` off leaves the runtime's own arguments out.

        output_dir: the output folder, made where the script is told of one. appended: the file of a job in it.
        logs: the folder that keeps the logs.
        """
        settings = self.settings
        environment = dict(settings.environment_variables)
        if MODEL_DIR not in environment and (model_dir := stage_models(self.models, folder)) is not None:
            environment[MODEL_DIR] = str(model_dir)
        if PYTHON_PATH in environment:
            environment[PYTHON_PATH] = os.pathsep.join(self._python_path(environment[PYTHON_PATH]))
        if settings.output_folder:
            output_dir.mkdir(exist_ok=True)
            environment["AZUREML_BI_OUTPUT_PATH"] = str(output_dir)
        of_runtime: tuple[str, ...] = ()
        if runtime:
            of_runtime = runtime_arguments(
                settings, scoring_module_name=self.entry.label, output=str(output_dir), kind=kind
            )
        arguments, folders = with_outputs(self.arguments.argv, self.output or folder / "output")
        for output_folder in folders:
            output_folder.mkdir(parents=True, exist_ok=True)
        return WorkerPlan(
            entry=self.entry,
            arguments=(*of_runtime, *arguments),
            environment=environment,
            folder=folder,
            output_dir=output_dir if settings.output_folder else None,
            models=self.models,
            logging_level=settings.logging_level,
            azureml=settings.azureml,
            appended=appended,
            logs=logs,
        )

    def _python_path(self, value: str) -> Iterator[str]:
        """Absolute folders; a relative one starts where the run does, else at the code root, where jobs start."""
        for entry in filter(None, value.split(os.pathsep)):
            starts = [Path.cwd(), *([self.entry.code_root] if isinstance(self.entry, EntryFile) else ())]
            paths = [os.path.abspath(start / os.path.expanduser(entry)) for start in starts]
            yield next(filter(os.path.exists, paths), paths[0])

    def _run_in(
        self, folder: Path, splitter: Splitter, make_engine: EngineMaker, events: EventLog, *, beyond_threshold: bool
    ) -> JobResult:
        settings = self.settings
        output_dir = folder / "output" if self.output is None else usable_output(self.output)
        output_path = output_dir / settings.append_row_file_name if settings.output_action == "append_row" else None
        logs = None if self.logs is None else usable_logs(self.logs)
        began = real_time()
        plan = self.worker_plan(splitter.kind, folder, output_dir, appended=output_path, logs=logs)
        faults = FaultPlan(self.faults)
        engine = make_engine(plan, splitter, settings, faults)
        ledger = Ledger(settings, splitter.kind, splitter.total_mini_batches)
        file: AbstractContextManager[AppendedFile | None] = nullcontext()
        if output_path is not None:
            file = AppendedFile(output_path, header=settings.append_row_dataframe_header)
        with file as appended:
            scheduler = Scheduler(
                settings,
                splitter,
                engine,
                ledger=ledger,
                events=events,
                appended=appended,
                on_progress=self.on_progress,
                goes_on=(lambda: more_would_tell(settings, splitter, events)) if beyond_threshold else None,
            )
            ended = scheduler.run()
        not_kept = [] if self.output is None else list(keep_files(folder, self.output))
        if not scheduler.cut_short and (unused := faults.never_fired()):
            raise FaultError(
                f"{', '.join(map(str, unused))} never fired: no attempt of the job had that address, or an earlier "
                "fault had it. Mini-batches and workers count from 0, attempts from 1."
            )
        own = ledger.outcome(ended.reason)
        if scheduler.cut_short and scheduler.exceeded is None:
            # No reading of the rules helps a job without workers.
            comparison = RuleComparison.agreed(own)
        else:
            comparison = compare_presets(
                self.input, settings, splitter, scheduler.total_mini_batches, events, own, beyond=scheduler.beyond
            )
        notes = self._notes(splitter, events, scheduler.lost_rows, comparison)
        result = JobResult(
            entry=self.entry.label,
            settings=settings,
            splitter=splitter,
            ledger=ledger,
            queued=scheduler.queued,
            events=events,
            notes=[*notes, *engine.notes(), *not_kept],
            comparison=comparison,
            output_path=output_path,
            folder=folder,
            kept=self.output,
        )
        if logs is not None:
            result.notes += write_logs(logs, result, began)
        return result

    def _without_items(self, problem: str) -> JobResult:
        settings = self.settings
        logs = None if self.logs is None else usable_logs(self.logs)
        reason = (
            f"{problem} On the service no task would be created: FirstTaskCreationTimeout, "
            f"unable to create any task within {settings.first_task_creation_timeout:g} seconds."
        )
        events = EventLog()
        events.append(JobEnded(status="Failed", reason=reason, exceeded=None, duration=0.0))
        ledger = Ledger(settings, "files", 0)
        result = JobResult(
            entry=self.entry.label,
            settings=settings,
            splitter=None,
            ledger=ledger,
            events=events,
            comparison=RuleComparison.agreed(ledger.outcome(reason)),
        )
        if logs is not None:
            result.notes += write_logs(logs, result, real_time())
        return result

    def _notes_on_models(self) -> Iterator[str]:
        if MODEL_DIR in self.settings.environment_variables:
            return
        for name in shadowed_models(self.models):
            yield (
                f"the model '{name}' is not below {MODEL_DIR}, where another model is called "
                f"'{self.models[name].name}' as well; Model.get_model_path('{name}') finds it"
            )
        deployment = self.settings.profile == "batch"
        if self.models and not deployment and isinstance(self.entry, EntryFile) and reads_model_dir(self.entry):
            yield (
                f"the script reads {MODEL_DIR}, which the service sets in batch deployments only (profile=batch): "
                "in a parallel job, pass the model as an input, whose path is a program argument"
            )

    def _notes(
        self, splitter: Splitter, events: EventLog, lost_rows: str | None, comparison: RuleComparison
    ) -> Iterator[str]:
        settings, in_process = self.settings, self.engine == "inprocess"
        yield from self.arguments.notes
        yield from split_notes(splitter.form, settings)
        if lost_rows is not None:
            yield lost_rows
        yield from self._notes_on_models()
        for path in self._python_path(settings.environment_variables.get(PYTHON_PATH, "")):
            if not os.path.exists(path):
                yield f"{PYTHON_PATH}: '{path}' does not exist"
        if self.arguments.not_emulated:
            yield f"not emulated, only passed to the script: {', '.join(self.arguments.not_emulated)}"
        for name in sorted(settings.explicit):
            if not setting_table()[name].emulated and in_process:
                yield f"not emulated in-process: {name}; it has an effect in worker processes (engine process)"
        if not in_process and settings.clock == "virtual" and "clock" in settings.explicit:
            yield "clock=virtual has no effect in worker processes, where time is real"
        for event in events.others:
            if isinstance(event, WorkerStopped) and event.failure is not None:
                yield f"shutdown() of worker {event.worker} failed (the service only logs this): {event.failure.error}"
        if settings.output_folder and "AZUREML_BI_OUTPUT_PATH" in settings.environment_variables:
            yield "AZUREML_BI_OUTPUT_PATH has no effect: the runtime sets it to the output folder of the job"
        capped = events.capped + sum(
            event.returned is not None and event.returned > event.mini_batch.size
            for event in events.others
            if isinstance(event, AttemptEnded)
        )
        for gap in islice((event for event in events.others if isinstance(event, StandInGap)), MAX_GAPS_NOTED):
            yield f"the script asked for {gap.thing}, which the stand-ins of emulated workers lack. {gap.advice}"
        if capped:
            yield (
                f"{count_text(capped, 'attempt')} returned more results than items; the service counts at most one per "
                "item but keeps all rows"
            )
        outcomes = comparison.outcomes
        known = {name: outcome.status for name, outcome in outcomes.items() if outcome is not None}
        if len(set(known.values())) > 1:
            verdicts = ", ".join(f"{status} with rules={name}" for name, status in known.items())
            yield f"this job's verdict depends on which Azure document is right: {verdicts}"
        for name in outcomes.keys() - known.keys():
            yield f"the verdict with rules={name} cannot be derived from these attempts"

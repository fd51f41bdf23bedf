"""What the options of a run resolve to: the entries to gate, each with its input, settings and arguments.

Precedence of every value: command line, marker, ini, job definition, profile default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._acceptance import Acceptance, read_acceptances
from pytest_parallelrun._options import OPTIONS, OptionValue, absolute, command_line_values, flag, given, ini_values
from pytest_parallelrun._replaying import folder_to_save, replayed_case, seconds_to_generate, target_of
from pytest_parallelrun._samples import check_input, check_inputs, read_inputs
from pytest_parallelrun._targets import STEP, Target, find_targets, node_ids
from pytest_parallelrun.emulator.arguments import (
    ProgramArguments,
    apply_program_arguments,
    parse_program_arguments,
)
from pytest_parallelrun.emulator.engines import ENGINES, check_possible
from pytest_parallelrun.emulator.entry import EntryFile, find_models
from pytest_parallelrun.emulator.errors import ParallelRunError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.folders import check_folder
from pytest_parallelrun.emulator.setting_table import Profile
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.job_files.inputs import TypedInput
from pytest_parallelrun.job_files.tree import JobFileError, Problem
from pytest_parallelrun.report.files import MAKERS
from pytest_parallelrun.report.html import INSTALL, missing
from pytest_parallelrun.report.sanitize import masked_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase
    from pytest_parallelrun.job_files.job_step import JobStep

OF_A_GATE = ("plan", "report", "save", "budget", "strict")
"""Options that mean nothing to the fixtures."""
NO_INPUT = "there is no sample input: give one with --parallelrun-input=PATH"


@dataclass(frozen=True, kw_only=True)
class EntryPlan:
    """One entry to gate. `origins` tells, by setting, where a value that was set came from.

    input_origin: where the input was written. no_input: why there is none, and the option that would give one.
    step: what a job definition says about it. notes: sentences about that. replay: the saved case that is run instead
    of the checks. job: the definition of the step as --parallelrun-job names it.
    """

    entry: EntryFile
    nodeid: str
    input: str | tuple[str, ...] | None
    input_origin: str = ""
    no_input: str = NO_INPUT
    settings: JobSettings
    arguments: ProgramArguments
    models: Mapping[str, Path]
    origins: Mapping[str, str]
    output: Path | None
    step: JobStep | None = None
    job: str | None = None
    notes: tuple[str, ...] = ()
    logs: Path | None = None
    replay: SavedCase | None = None

    def step_text(self) -> str | None:
        """The step of the job definition, with its place."""
        return None if self.step is None else f"{self.step.name} ({self.step.place.origin})"

    def all_notes(self) -> Iterator[str]:
        """What plan and reports say of the job definition: sentences, and keys that have no effect here."""
        yield from self.notes
        if self.step is not None and self.step.not_emulated:
            yield f"not emulated: {', '.join(self.step.not_emulated)}"


@dataclass(frozen=True, kw_only=True)
class RunConfiguration:
    """The options of a run, resolved. Without entries only the fixtures use it.

    settings: of the command line over those of the ini file; `in_ini` are the latter alone, and
    `on_command_line` the former, since a marker's stand between them. named_inputs: those for inputs of a job
    definition. given: options on the command line.
    """

    targets: tuple[Target, ...] = ()
    input: str | tuple[str, ...] | None = None
    named_inputs: Mapping[str, str] = field(default_factory=dict)
    program_arguments: str | Sequence[str] = ""
    code: Path | None = None
    models: tuple[str, ...] = ()
    on_command_line: JobSettings = field(default_factory=JobSettings)
    in_ini: JobSettings = field(default_factory=JobSettings)
    origins: Mapping[str, str] = field(default_factory=dict)
    input_origin: str = ""
    engine: str = "inprocess"
    output: Path | None = None
    logs: Path | None = None
    reports: tuple[Path, ...] = ()
    save: Path | None = None
    replay: SavedCase | None = None
    budget: float | None = None
    accept: tuple[Acceptance, ...] = ()
    plan: bool = False
    strict: bool = False
    given: frozenset[str] = frozenset()
    root: Path = Path()

    @property
    def settings(self) -> JobSettings:
        return self.on_command_line.over(self.in_ini)

    def plans(self) -> tuple[EntryPlan, ...]:
        """One plan for each target. ParallelRunError for arguments or models that are wrong, scripts or none."""
        self._check_named_inputs()
        models = find_models(self.models)
        return tuple(self._plan(target, models) for target in self.targets)

    def _plan(self, target: Target, models: Mapping[str, Path]) -> EntryPlan:
        step, settings = target.step, self.settings
        named = self._named_for(step)
        below = JobSettings() if step is None else step.settings()
        arguments, found = self._arguments(step, named, settings.over(below).profile)
        with_arguments = apply_program_arguments(settings, arguments)
        if step is not None:
            given = {*with_arguments.explicit, *(("program_arguments",) if self.program_arguments else ())}
            found += [finding for name, finding in step.unresolved.items() if name not in given]
            if not models and step.model is not None:
                models = find_models([str(step.model)])
        typed = self._typed(step, named, with_arguments.over(below))
        found += typed.findings
        if found:
            raise JobFileError(found)
        origins = self._origins_of(step, with_arguments.explicit - settings.explicit)
        if typed.as_files is not None:
            below = below.replace(input_type="uri_folder")
            origins.setdefault("input_type", typed.as_files.origin)
        several = sum(other.entry.path == target.entry.path for other in self.targets) > 1
        nodeid = node_ids(target, self.root)[several]
        given_input, origin, no_input = self._input_of(step, named)
        return EntryPlan(
            entry=target.entry,
            nodeid=nodeid,
            input=given_input,
            input_origin=origin,
            no_input=no_input,
            settings=with_arguments.over(below),
            arguments=arguments,
            models=models,
            origins=origins,
            output=self._own(self.output, nodeid),
            logs=self._own(self.logs, nodeid),
            step=step,
            job=target.job,
            notes=(*target.notes, *typed.notes),
            replay=self.replay,
        )

    def _origins_of(self, step: JobStep | None, from_arguments: frozenset[str]) -> dict[str, str]:
        lower = {} if step is None else step.origins
        origins = {**lower, **dict.fromkeys(from_arguments, "program arguments"), **self.origins}
        variables = "environment_variables"
        if variables in lower and variables in self.origins:
            # They are merged one by one.
            origins[variables] = f"{self.origins[variables]} over {lower[variables]}"
        return origins

    def _own(self, folder: Path | None, nodeid: str) -> Path | None:
        """The folder of one of several entries."""
        return folder / folder_name(nodeid) if folder and len(self.targets) > 1 else folder

    def _named_for(self, step: JobStep | None) -> dict[str, str]:
        """Values of the step's inputs; a path without a name is the one that is split."""
        named = dict(self.named_inputs)
        if step is not None and len(step.split) == 1 and isinstance(self.input, str):
            named.setdefault(step.split[0], self.input)
        return named

    def _arguments(
        self, step: JobStep | None, named: Mapping[str, str], profile: Profile
    ) -> tuple[ProgramArguments, list[Problem]]:
        """The program arguments, and which of their inputs have no value."""
        given: str | Sequence[str] = self.program_arguments
        if not given and step is not None and "program_arguments" not in step.unresolved:
            try:
                given = step.program_arguments(named)
            except JobFileError as error:
                return ProgramArguments(), list(error.findings)
        return parse_program_arguments(given, profile=profile), []

    def _typed(self, step: JobStep | None, named: Mapping[str, str], settings: JobSettings) -> TypedInput:
        """What the type of the step's input says of the sample."""
        if step is None or self.replay is not None or settings.profile != "v2":
            return TypedInput()
        paths = (self.input,) if isinstance(self.input, str) else self.input or ()
        return step.typed_sample(named, paths, row_mode=settings.mini_batch_rows is not None)

    def _input_of(
        self, step: JobStep | None, named: Mapping[str, str]
    ) -> tuple[str | tuple[str, ...] | None, str, str]:
        """The sample, its origin, and why there is none."""
        if self.replay is not None:
            # It brings its own mini-batches.
            return None, "", NO_INPUT
        if self.input is not None or step is None:
            return self.input, self.input_origin, NO_INPUT
        paths = step.sample(named)
        if not paths:
            return None, "", f"there is no sample input: {step.missing_sample(named)}"
        origin = step.sample_origin(named) or self.input_origin
        return (paths[0] if len(paths) == 1 else paths), origin, NO_INPUT

    def _check_named_inputs(self) -> None:
        """SettingsError for a name that no step of the job definitions has."""
        known = {name for target in self.targets if target.step for name in target.step.known_inputs()}
        for name, value in self.named_inputs.items():
            if name not in known:
                hint = did_you_mean(name, known) if known else "It has none."
                raise SettingsError(
                    f"{self.input_origin}={name}={value}: the job definition has no input '{name}'. {hint}"
                )


_GATE = pytest.StashKey[RunConfiguration]()


def configuration_of(config: pytest.Config) -> RunConfiguration:
    """The resolved options, read and checked at the first question.

    UsageError for what is wrong, with the value, its origin and what is allowed.
    """
    if _GATE not in config.stash:
        try:
            gate = _resolve(config)
            plans = gate.plans()
            # Workers of pytest-xdist start after the controller has looked at these.
            if not hasattr(config, "workerinput"):
                for plan in plans:
                    check_possible(gate.engine, plan.entry, plan.settings)
                _check_empty(config, "output", gate.output, "; the service does not replace output either")
                _check_empty(config, "logs", gate.logs)
                if plans:
                    check_inputs(plans)
                else:
                    check_input(gate.input, gate.settings, gate.input_origin, gate.origins)
        except ParallelRunError as error:
            raise pytest.UsageError(masked_text(str(error))) from None
        config.stash[_GATE] = gate
    return config.stash[_GATE]


def _resolve(config: pytest.Config) -> RunConfiguration:
    command_line, origins = _layer(command_line_values(config, "set"), command_line_values(config, "env"))
    ini, ini_origins = _layer(ini_values(config, "set"), ini_values(config, "env"))
    code = next((absolute(item) for item in given(config, "code")[-1:]), None)
    output = next((absolute(item) for item in given(config, "output")[-1:]), None)
    logs = next((absolute(item) for item in given(config, "logs")[-1:]), None)
    targets = find_targets(given(config, "entry"), given(config, "job"), code, config.rootpath)
    plan = flag(config, "plan")
    replay = replayed_case(given(config, "replay"), plan=plan)
    if replay is not None:
        targets = (target_of(replay, targets, config.rootpath),)
    if not targets:
        _refuse_what_is_of_a_gate(config)
        if plan:
            raise pytest.UsageError("parallelrun_plan is about the gate of an entry: add --parallelrun-entry=PATH.")
    named, inputs = read_inputs(given(config, "input"), targets)
    return RunConfiguration(
        targets=targets,
        input=inputs[0] if len(inputs) == 1 else inputs or None,
        named_inputs=named,
        input_origin="".join(item.origin for item in given(config, "input")[:1]),
        program_arguments="".join(item.value for item in given(config, "args")[-1:]),
        code=code,
        models=tuple(absolute_model(item.value, item.base) for item in given(config, "model")),
        on_command_line=command_line,
        in_ini=ini,
        origins={**ini_origins, **origins},
        engine=_engine(given(config, "engine")),
        output=output,
        logs=logs,
        reports=tuple(dict.fromkeys(_report(item) for item in given(config, "report"))),
        save=folder_to_save(given(config, "save")),
        replay=replay,
        budget=seconds_to_generate(given(config, "budget")),
        accept=read_acceptances(config) if targets and replay is None else (),
        plan=plan,
        strict=flag(config, "strict"),
        given=frozenset(option.name for option in OPTIONS if command_line_values(config, option.name)),
        root=config.rootpath,
    )


def _refuse_what_is_of_a_gate(config: pytest.Config) -> None:
    """UsageError for an option that does something for an entry alone, where somebody typed it without one."""
    typed = {str(argument).partition("=")[0] for argument in config.invocation_params.args}
    for name in OF_A_GATE:
        option = f"--parallelrun-{name}"
        if option in typed:
            raise pytest.UsageError(f"{option} is about the gate of an entry: add --parallelrun-entry=PATH.")


def _check_empty(config: pytest.Config, option: str, folder: Path | None, why: str = "") -> None:
    if folder is None:
        return
    named = f"{given(config, option)[-1].origin}={folder}:"
    check_folder(folder, named)
    if folder.exists() and any(folder.iterdir()):
        raise pytest.UsageError(f"{named} give a new or empty folder{why}.")


def _layer(sets: Sequence[OptionValue], environment: Sequence[OptionValue]) -> tuple[JobSettings, dict[str, str]]:
    """The settings of one layer, and the origin of each; a name that comes twice has its last value."""
    if not sets and not environment:
        return JobSettings(), {}
    values: dict[str, object] = {}
    for item in sets:
        name, text = _pair(item)
        values[name] = text.strip()
    origin = (*sets, *environment)[0].origin
    layer = JobSettings.from_mapping(values, origin)
    origins = dict.fromkeys(layer.explicit, origin)
    if environment:
        variables = {**layer.environment_variables, **dict(_pair(item) for item in environment)}
        layer = layer.replace(environment_variables=variables)
        origins["environment_variables"] = environment[0].origin
    return layer, origins


def _pair(item: OptionValue) -> tuple[str, str]:
    name, separator, text = item.value.partition("=")
    if not separator or not name.strip():
        raise pytest.UsageError(f"{item.origin} {item.value!r}: give NAME=VALUE.")
    return name.strip(), text


def absolute_model(text: str, base: Path) -> str:
    """[NAME=]PATH with the path made absolute."""
    name, separator, path = text.partition("=")
    if not separator or os.path.exists(os.path.join(base, text)):
        name, separator, path = "", "", text
    if not path.strip():
        raise SettingsError(f"model {text!r}: the path is empty; give NAME=PATH or PATH.")
    return f"{name}{separator}{os.path.abspath(os.path.join(base, os.path.expanduser(path)))}"


def folder_name(nodeid: str) -> str:
    """One for each entry, also where scripts and their folders have the same name."""
    path, _, step = nodeid.partition(STEP)
    parts = [part for part in Path(path).with_suffix("").parts if part != os.pardir]
    return "-".join([*parts, *([re.sub(r"[^\w.-]", "_", step)] if step else [])])


def _engine(items: Sequence[OptionValue]) -> str:
    for item in items[-1:]:
        if item.value not in ENGINES:
            raise pytest.UsageError(
                f"{item.origin}={item.value}: there is no such engine. {did_you_mean(item.value, ENGINES)}"
            )
        return item.value
    return "inprocess"


def _report(item: OptionValue) -> Path:
    path = absolute(item)
    where = f"{item.origin}={item.value}"
    if path.suffix.lower() not in MAKERS:
        raise pytest.UsageError(
            f"{where}: the kind of a report is told by its ending. {did_you_mean(path.suffix.lower(), MAKERS)}"
        )
    if path.is_dir():
        raise pytest.UsageError(f"{where}: is a folder; give a file.")
    if path.suffix.lower() == ".html" and (lacking := missing()):
        raise pytest.UsageError(f"{where}: needs {' and '.join(lacking)}, which come with: {INSTALL}")
    return path

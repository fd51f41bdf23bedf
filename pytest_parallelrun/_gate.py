"""What the options of a run resolve to: the entries to gate, each with its input, settings and arguments.

Precedence of every value: command line, marker, ini, job definition, profile default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._accept import Acceptance, read_acceptances
from pytest_parallelrun._options import OPTIONS, Given, absolute, flag, given, given_in_ini, given_on_command_line
from pytest_parallelrun._replaying import folder_to_save, replayed_case, seconds_to_generate, target_of
from pytest_parallelrun._targets import STEP, Target, find_targets, node_ids
from pytest_parallelrun.emulator.arguments import (
    ProgramArguments,
    apply_program_arguments,
    parse_program_arguments,
)
from pytest_parallelrun.emulator.declaration import Profile
from pytest_parallelrun.emulator.engines import ENGINES
from pytest_parallelrun.emulator.engines.process.start import check_possible
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import InputError, ParallelRunError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.models import find_models
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.paths import REMOTE, locate
from pytest_parallelrun.report.secrets import masked_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase
    from pytest_parallelrun.specs.step import JobStep

REPORT_KINDS = (".json",)
NO_INPUT = "there is no sample input: give one with --parallelrun-input=PATH"

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class EntryPlan:
    """One entry to gate. `origins` tells, by setting, where a value that was set came from.

    input_origin: where the input was written. no_input: why there is none, and the option that would give one.
    step: what a job definition says about it. notes: sentences about that. replay: the saved case that is run instead
    of the checks.
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
    notes: tuple[str, ...] = ()
    logs: Path | None = None
    replay: SavedCase | None = None


@dataclass(frozen=True, kw_only=True)
class Gate:
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
        arguments = self._arguments(step, named, settings.over(below).profile)
        with_arguments = apply_program_arguments(settings, arguments)
        effective = with_arguments.over(below)
        origins = {} if step is None else {**step.origins}
        origins.update(dict.fromkeys(with_arguments.explicit - settings.explicit, "program arguments"))
        origins.update(self.origins)
        if step is not None and {"environment_variables"} <= step.origins.keys() & self.origins.keys():
            both = (self.origins["environment_variables"], step.origins["environment_variables"])
            origins["environment_variables"] = " over ".join(both)
        if step is not None:
            _refuse_unresolved(step, with_arguments, bool(self.program_arguments))
        if not models and step is not None and step.model is not None:
            models = find_models([str(step.model)])
        several = sum(other.entry.path == target.entry.path for other in self.targets) > 1
        nodeid = node_ids(target, self.root)[several]
        given, origin, no_input = self._input_of(step, named)
        return EntryPlan(
            entry=target.entry,
            nodeid=nodeid,
            input=given,
            input_origin=origin,
            no_input=no_input,
            settings=effective,
            arguments=arguments,
            models=models,
            origins=origins,
            output=self._own(self.output, nodeid),
            logs=self._own(self.logs, nodeid),
            step=step,
            notes=target.notes,
            replay=self.replay,
        )

    def _own(self, folder: Path | None, nodeid: str) -> Path | None:
        """The folder of one of several entries."""
        return folder / folder_name(nodeid) if folder and len(self.targets) > 1 else folder

    def _named_for(self, step: JobStep | None) -> dict[str, str]:
        """Values of the step's inputs; a path without a name is the one that is split."""
        named = dict(self.named_inputs)
        if step is not None and len(step.split) == 1 and isinstance(self.input, str):
            named.setdefault(step.split[0], self.input)
        return named

    def _arguments(self, step: JobStep | None, named: Mapping[str, str], profile: Profile) -> ProgramArguments:
        given: str | Sequence[str] = self.program_arguments
        if not given and step is not None and "program_arguments" not in step.unresolved:
            given = step.program_arguments(named)
        return parse_program_arguments(given, profile=profile)

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


def _refuse_unresolved(step: JobStep, settings: JobSettings, has_arguments: bool) -> None:
    """JobFileError for values of a definition that cannot be read and are not given otherwise."""
    from pytest_parallelrun.specs.findings import JobFileError

    given = {*settings.explicit, *(("program_arguments",) if has_arguments else ())}
    found = [finding for name, finding in step.unresolved.items() if name not in given]
    if found:
        raise JobFileError(found)


_GATE = pytest.StashKey[Gate]()


def gate_of(config: pytest.Config) -> Gate:
    """The resolved options, read and checked at the first question.

    UsageError for what is wrong, with the value, its origin and what is allowed.
    """
    if _GATE not in config.stash:
        try:
            gate = _resolve(config)
            plans = gate.plans()
            # Workers of pytest-xdist start after the controller has looked at these.
            if not hasattr(config, "workerinput"):
                for plan in plans if gate.engine == "process" else ():
                    check_possible(plan.entry, plan.settings)
                _check_empty("output", gate.output, "; the service does not replace output either")
                _check_empty("logs", gate.logs)
                _check_inputs(gate, plans)
        except ParallelRunError as error:
            raise pytest.UsageError(masked_text(str(error))) from None
        config.stash[_GATE] = gate
    return config.stash[_GATE]


def _resolve(config: pytest.Config) -> Gate:
    command_line, origins = _layer(given_on_command_line(config, "set"), given_on_command_line(config, "env"))
    ini, ini_origins = _layer(given_in_ini(config, "set"), given_in_ini(config, "env"))
    code = next((absolute(item) for item in given(config, "code")[-1:]), None)
    output = next((absolute(item) for item in given(config, "output")[-1:]), None)
    logs = next((absolute(item) for item in given(config, "logs")[-1:]), None)
    targets = find_targets(given(config, "entry"), given(config, "job"), code, config.rootpath)
    plan = flag(config, "plan")
    if plan and not targets:
        raise pytest.UsageError("--parallelrun-plan plans the gate of an entry: add --parallelrun-entry=PATH.")
    replay = replayed_case(given(config, "replay"), plan=plan)
    if replay is not None:
        targets = (target_of(replay, targets, config.rootpath),)
    named, inputs = _inputs(given(config, "input"), targets)
    return Gate(
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
        reports=tuple(_report(item) for item in given(config, "report")),
        save=folder_to_save(given(config, "save")),
        replay=replay,
        budget=seconds_to_generate(given(config, "budget")),
        accept=read_acceptances(config) if targets and replay is None else (),
        plan=plan,
        strict=flag(config, "strict"),
        given=frozenset(option.name for option in OPTIONS if given_on_command_line(config, option.name)),
        root=config.rootpath,
    )


def _check_empty(option: str, folder: Path | None, why: str = "") -> None:
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise pytest.UsageError(f"--parallelrun-{option}={folder}: give a new or empty folder{why}.")


def _check_inputs(gate: Gate, plans: Sequence[EntryPlan]) -> None:
    """Opens the inputs, so that a wrong one ends the run at once and not in each test."""
    if not plans:
        _check_input(gate.input, gate.settings, gate.input_origin, gate.origins)
    seen: list[tuple[object, JobSettings]] = []
    for plan in plans:
        # Often all have the same.
        if (plan.input, plan.settings) not in seen:
            seen.append((plan.input, plan.settings))
            _check_input(plan.input, plan.settings, plan.input_origin, plan.origins)


def _check_input(
    source: str | tuple[str, ...] | None, settings: JobSettings, origin: str, origins: Mapping[str, str]
) -> None:
    try:
        if isinstance(source, tuple):
            # Only in a list are paths looked at when their mini-batch is loaded; these are options.
            for path in source:
                locate(path, os.getcwd(), must_exist=True)
            open_input(list(source), settings)
        elif source is not None:
            open_input(source, settings)
    except SettingsError as error:
        # Alone the unit of its size can be wrong for an input.
        raise pytest.UsageError(f"{origins.get('mini_batch_size', 'settings')}: {error}") from None
    except InputError as error:
        raise pytest.UsageError(f"{origin}: {error}") from None


def _layer(sets: Sequence[Given], environment: Sequence[Given]) -> tuple[JobSettings, dict[str, str]]:
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


def _pair(item: Given) -> tuple[str, str]:
    name, separator, text = item.value.partition("=")
    if not separator or not name.strip():
        raise pytest.UsageError(f"{item.origin} {item.value!r}: give NAME=VALUE.")
    return name.strip(), text


def _inputs(items: Sequence[Given], targets: Sequence[Target]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values of NAME=VALUE by name, which only a job definition has a use for, and the other paths."""
    named: dict[str, str] = {}
    paths: list[str] = []
    steps = [target.step for target in targets if target.step is not None]
    for item in items:
        match = _NAMED.fullmatch(item.value)
        if match is None or not steps or os.path.exists(absolute(item)):
            paths.append(_path(item))
        elif any(step.takes_value(match[1]) for step in steps):
            named[match[1]] = match[2]
        else:
            named[match[1]] = _path(Given(match[2], item.origin, item.base))
    return named, tuple(paths)


def _path(item: Given) -> str:
    return item.value if REMOTE.match(item.value) else str(absolute(item))


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


def _engine(items: Sequence[Given]) -> str:
    for item in items[-1:]:
        if item.value not in ENGINES:
            raise pytest.UsageError(
                f"{item.origin}={item.value}: there is no such engine. {did_you_mean(item.value, ENGINES)}"
            )
        return item.value
    return "inprocess"


def _report(item: Given) -> Path:
    path = absolute(item)
    if path.suffix not in REPORT_KINDS:
        raise pytest.UsageError(
            f"{item.origin}={item.value}: the kind of a report is told by its ending. "
            f"Allowed: {', '.join(REPORT_KINDS)}."
        )
    if path.is_dir():
        raise pytest.UsageError(f"{item.origin}={item.value}: is a folder; give a file.")
    return path

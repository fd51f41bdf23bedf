"""What the options of a run resolve to: the entries to gate, each with its input, settings and arguments.

Precedence of every value: command line, marker, ini, profile default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._accept import Acceptance, read_acceptances
from pytest_parallelrun._options import OPTIONS, Given, absolute, flag, given, given_in_ini, given_on_command_line
from pytest_parallelrun._replaying import folder_to_save, replayed_case, script_of, seconds_to_generate
from pytest_parallelrun.emulator.arguments import (
    ProgramArguments,
    apply_program_arguments,
    parse_program_arguments,
)
from pytest_parallelrun.emulator.engines import ENGINES
from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.errors import InputError, ParallelRunError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.models import find_models
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.paths import REMOTE, locate
from pytest_parallelrun.report.secrets import masked_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase

REPORT_KINDS = (".json",)


@dataclass(frozen=True, kw_only=True)
class EntryPlan:
    """One entry to gate. `origins` tells, by setting, where a value that was set came from.

    replay: the saved case that is run instead of the checks.
    """

    entry: EntryFile
    nodeid: str
    input: str | tuple[str, ...] | None
    settings: JobSettings
    arguments: ProgramArguments
    models: Mapping[str, Path]
    origins: Mapping[str, str]
    output: Path | None
    replay: SavedCase | None = None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The options of a run, resolved. Without entries only the fixtures use it.

    settings: of the command line over those of the ini file; `in_ini` are the latter alone, and
    `on_command_line` the former, since a marker's stand between them. given: options on the command line.
    """

    scripts: tuple[EntryFile, ...] = ()
    input: str | tuple[str, ...] | None = None
    program_arguments: str | Sequence[str] = ""
    code: Path | None = None
    models: tuple[str, ...] = ()
    on_command_line: JobSettings = field(default_factory=JobSettings)
    in_ini: JobSettings = field(default_factory=JobSettings)
    origins: Mapping[str, str] = field(default_factory=dict)
    engine: str = "inprocess"
    output: Path | None = None
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
        """One plan for each script. ParallelRunError for arguments or models that are wrong, scripts or none."""
        settings = self.settings
        arguments = parse_program_arguments(self.program_arguments, profile=settings.profile)
        effective = apply_program_arguments(settings, arguments)
        from_arguments = effective.explicit - settings.explicit
        models = find_models(self.models)
        several = len(self.scripts) > 1
        return tuple(
            EntryPlan(
                entry=script,
                nodeid=_node_id(script.path, self.root),
                input=self.input,
                settings=effective,
                arguments=arguments,
                models=models,
                origins={**self.origins, **dict.fromkeys(from_arguments, "program arguments")},
                output=self.output / folder_name(_node_id(script.path, self.root))
                if self.output and several
                else self.output,
                replay=self.replay,
            )
            for script in self.scripts
        )


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
                _check_output(gate.output)
                settings = plans[0].settings if plans else gate.settings
                _check_input(gate, settings, given(config, "input"))
        except ParallelRunError as error:
            raise pytest.UsageError(masked_text(str(error))) from None
        config.stash[_GATE] = gate
    return config.stash[_GATE]


def _resolve(config: pytest.Config) -> Gate:
    command_line, origins = _layer(given_on_command_line(config, "set"), given_on_command_line(config, "env"))
    ini, ini_origins = _layer(given_in_ini(config, "set"), given_in_ini(config, "env"))
    code = next((absolute(item) for item in given(config, "code")[-1:]), None)
    output = next((absolute(item) for item in given(config, "output")[-1:]), None)
    scripts = _scripts(given(config, "entry"), code)
    plan = flag(config, "plan")
    if plan and not scripts:
        raise pytest.UsageError("--parallelrun-plan plans the gate of an entry: add --parallelrun-entry=PATH.")
    replay = replayed_case(given(config, "replay"), plan=plan)
    if replay is not None:
        scripts = (script_of(replay, {_node_id(script.path, config.rootpath): script for script in scripts}),)
    # A replay brings its own mini-batches.
    inputs = tuple(_input(item) for item in given(config, "input") if replay is None)
    return Gate(
        scripts=scripts,
        input=inputs[0] if len(inputs) == 1 else inputs or None,
        program_arguments="".join(item.value for item in given(config, "args")[-1:]),
        code=code,
        models=tuple(absolute_model(item.value, item.base) for item in given(config, "model")),
        on_command_line=command_line,
        in_ini=ini,
        origins={**ini_origins, **origins},
        engine=_engine(given(config, "engine")),
        output=output,
        reports=tuple(_report(item) for item in given(config, "report")),
        save=folder_to_save(given(config, "save")),
        replay=replay,
        budget=seconds_to_generate(given(config, "budget")),
        accept=read_acceptances(config) if scripts and replay is None else (),
        plan=plan,
        strict=flag(config, "strict"),
        given=frozenset(option.name for option in OPTIONS if given_on_command_line(config, option.name)),
        root=config.rootpath,
    )


def _check_output(output: Path | None) -> None:
    if output is not None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise pytest.UsageError(
            f"--parallelrun-output={output}: give a new or empty folder; the service does not replace output either."
        )


def _check_input(gate: Gate, settings: JobSettings, items: Sequence[Given]) -> None:
    """Opens the input, so that a wrong one ends the run at once and not in each test."""
    try:
        if isinstance(gate.input, tuple):
            # Only in a list are paths looked at when their mini-batch is loaded; these are options.
            for path in gate.input:
                locate(path, os.getcwd(), must_exist=True)
            open_input(list(gate.input), settings)
        elif gate.input is not None:
            open_input(gate.input, settings)
    except SettingsError as error:
        # Alone the unit of its size can be wrong for an input.
        raise pytest.UsageError(f"{gate.origins.get('mini_batch_size', 'settings')}: {error}") from None
    except InputError as error:
        raise pytest.UsageError(f"{items[0].origin}: {error}") from None


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


def _input(item: Given) -> str:
    return item.value if REMOTE.match(item.value) else str(absolute(item))


def absolute_model(text: str, base: Path) -> str:
    """[NAME=]PATH with the path made absolute."""
    name, separator, path = text.partition("=")
    if not separator or os.path.exists(os.path.join(base, text)):
        name, separator, path = "", "", text
    if not path.strip():
        raise SettingsError(f"model {text!r}: the path is empty; give NAME=PATH or PATH.")
    return f"{name}{separator}{os.path.abspath(os.path.join(base, os.path.expanduser(path)))}"


def _scripts(items: Sequence[Given], code: Path | None) -> tuple[EntryFile, ...]:
    """The entries without repetition; errors show the path as it was written."""
    scripts: list[EntryFile] = []
    for item in items:
        try:
            entry = find_entry(absolute(item), code)
        except ParallelRunError as error:
            raise pytest.UsageError(f"{item.origin}={item.value}: {error}") from None
        if isinstance(entry, EntryFile) and entry not in scripts:
            scripts.append(entry)
    return tuple(scripts)


def _node_id(path: Path, root: Path) -> str:
    """Posix path relative to rootdir; a script elsewhere is given from there, for its node id to be unique."""
    return Path(os.path.relpath(path, root)).as_posix()


def folder_name(nodeid: str) -> str:
    """One for each entry, also where scripts and their folders have the same name."""
    return "-".join(part for part in Path(nodeid).with_suffix("").parts if part != os.pardir)


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

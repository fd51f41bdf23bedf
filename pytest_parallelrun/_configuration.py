"""The options of a run: every value validated and resolved once.

Precedence: command line, marker, ini file, job file, default of the profile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._acceptance import read_acceptances
from pytest_parallelrun._golden import GoldenFolder, read_golden_folder
from pytest_parallelrun._options import (
    OptionValue,
    absolute_path,
    command_line_values,
    flag,
    folder_to_write,
    ini_values,
    option_values,
    read_last,
    usage_error,
)
from pytest_parallelrun.emulator.engines import ENGINES
from pytest_parallelrun.emulator.errors import InputError, ParallelRunError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.folders import check_folder
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.forecast.request import ForecastRequest, read_request
from pytest_parallelrun.report.files import INSTALL, MAKERS, missing
from pytest_parallelrun.report.records import AcceptanceRecord

if TYPE_CHECKING:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase
    from pytest_parallelrun.emulator.job_environment import JobEnvironment

GATE_OPTIONS = ("plan", "report", "save", "budget", "strict", "environment", "golden", "update-golden", "forecast")
"""Options that have no meaning for the fixtures."""


@dataclass(frozen=True, kw_only=True)
class RunConfiguration:
    """The options of a run, a field for each.

    entries, jobs, inputs: as written; `_entries` resolves them. command_line, ini: settings, kept apart because those
    of a marker come between them. origins: of both, by setting. models: as "PATH" or "NAME=PATH".
    """

    entries: Sequence[OptionValue]
    jobs: Sequence[OptionValue]
    inputs: Sequence[OptionValue]
    program_arguments: str | Sequence[str]
    code: Path | None
    models: tuple[str, ...]
    environment: JobEnvironment | None
    command_line: JobSettings
    ini: JobSettings
    origins: Mapping[str, str]
    engine: str
    output: Path | None
    logs: Path | None
    reports: tuple[Path, ...]
    save: Path | None
    golden: GoldenFolder | None
    replay: SavedCase | None
    budget: float | None
    acceptances: tuple[AcceptanceRecord, ...]
    strict: bool
    forecast: ForecastRequest | None

    @property
    def settings(self) -> JobSettings:
        return self.command_line.over(self.ini)

    @property
    def input_origin(self) -> str:
        return self.inputs[0].origin if self.inputs else ""


_CONFIGURATION = pytest.StashKey[RunConfiguration]()


def configuration_of(config: pytest.Config) -> RunConfiguration:
    """The options of the run, read when first needed.

    UsageError for a wrong value, with its origin and what is allowed.
    """
    if _CONFIGURATION not in config.stash:
        with usage_errors():
            config.stash[_CONFIGURATION] = _read(config)
    return config.stash[_CONFIGURATION]


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turns an error about a user's value into one of pytest, which prints only the message."""
    try:
        yield
    except ParallelRunError as error:
        raise usage_error(str(error)) from None


def _read(config: pytest.Config) -> RunConfiguration:
    entries, jobs = option_values(config, "entry"), option_values(config, "job")
    replay = read_last(config, "replay", lambda item: _saved_case(item, config))
    if not entries and not jobs and replay is None:
        _refuse_gate_options(config)
    command_line, origins = _settings(command_line_values(config, "set"), command_line_values(config, "env"))
    ini, ini_origins = _settings(ini_values(config, "set"), ini_values(config, "env"))
    return RunConfiguration(
        entries=entries,
        jobs=jobs,
        inputs=option_values(config, "input"),
        program_arguments=read_last(config, "args", lambda item: item.value) or "",
        code=read_last(config, "code", absolute_path),
        environment=read_last(config, "environment", _environment),
        models=tuple(absolute_model(item.value, item.base) for item in option_values(config, "model")),
        command_line=command_line,
        ini=ini,
        origins={**ini_origins, **origins},
        engine=read_last(config, "engine", _engine) or "inprocess",
        output=read_last(
            config, "output", lambda item: _empty_folder(item, config, "; the service does not replace output either")
        ),
        logs=read_last(config, "logs", lambda item: _empty_folder(item, config)),
        reports=tuple(dict.fromkeys(_report(item) for item in option_values(config, "report"))),
        save=read_last(config, "save", folder_to_write),
        golden=read_golden_folder(config),
        replay=replay,
        budget=read_last(config, "budget", _seconds_to_generate),
        acceptances=read_acceptances(config) if (entries or jobs) and replay is None else (),
        strict=flag(config, "strict"),
        forecast=read_request(
            (item.value, item.origin)
            for item in (*ini_values(config, "forecast"), *command_line_values(config, "forecast"))
        ),
    )


def _refuse_gate_options(config: pytest.Config) -> None:
    """UsageError for an option that needs an entry, if it is on the command line without one."""
    typed = {str(argument).partition("=")[0] for argument in config.invocation_params.args}
    for name in GATE_OPTIONS:
        option = f"--parallelrun-{name}"
        if option in typed:
            raise usage_error(f"{option} needs an entry script to check: add --parallelrun-entry=PATH.")
    if flag(config, "plan"):
        raise usage_error("parallelrun_plan needs an entry script to check: add --parallelrun-entry=PATH.")


def _settings(sets: Sequence[OptionValue], environment: Sequence[OptionValue]) -> tuple[JobSettings, dict[str, str]]:
    """The settings of one layer and their origins; of a repeated name the last value counts."""
    if not sets and not environment:
        return JobSettings(), {}
    values: dict[str, object] = {}
    for item in sets:
        name, text = _pair(item)
        values[name] = text.strip()
    origin = (*sets, *environment)[0].origin
    settings = JobSettings.from_mapping(values, origin)
    origins = dict.fromkeys(settings.explicit, origin)
    if environment:
        variables = {**settings.environment_variables, **dict(_pair(item) for item in environment)}
        settings = settings.replace(environment_variables=variables)
        origins["environment_variables"] = environment[0].origin
    return settings, origins


def _pair(item: OptionValue) -> tuple[str, str]:
    name, separator, text = item.value.partition("=")
    if not separator or not name.strip():
        raise usage_error(f"{item.origin} {item.value!r}: give NAME=VALUE.")
    return name.strip(), text


def absolute_model(text: str, base: Path) -> str:
    """[NAME=]PATH with the path made absolute."""
    name, separator, path = text.partition("=")
    if not separator or os.path.exists(os.path.join(base, text)):
        name, separator, path = "", "", text
    if not path.strip():
        raise SettingsError(f"model {text!r}: the path is empty; give NAME=PATH or PATH.")
    return f"{name}{separator}{os.path.abspath(os.path.join(base, os.path.expanduser(path)))}"


def _engine(item: OptionValue) -> str:
    if item.value not in ENGINES:
        raise usage_error(f"{item}: unknown engine. {did_you_mean(item.value, ENGINES)}")
    return item.value


def _empty_folder(item: OptionValue, config: pytest.Config, reason: str = "") -> Path:
    folder = absolute_path(item)
    # Workers of pytest-xdist start after the controller has checked this, and may find each other's files.
    if not hasattr(config, "workerinput"):
        message_start = f"{item.origin}={folder}:"
        check_folder(folder, message_start)
        if folder.exists() and any(folder.iterdir()):
            raise usage_error(f"{message_start} give a new or empty folder{reason}.")
    return folder


def _environment(item: OptionValue) -> JobEnvironment:
    from pytest_parallelrun.job_files.environment import read_environment_file

    return read_environment_file(absolute_path(item), str(item))


def _report(item: OptionValue) -> Path:
    path = absolute_path(item)
    ending = path.suffix.lower()
    if ending not in MAKERS:
        raise usage_error(f"{item}: unknown report type. {did_you_mean(ending, MAKERS)}")
    if path.is_dir():
        raise usage_error(f"{item}: is a folder; give a file.")
    if ending == ".html" and (packages := missing()):
        raise usage_error(f"{item}: needs {' and '.join(packages)}, install it with: {INSTALL}")
    return path


def _saved_case(item: OptionValue, config: pytest.Config) -> SavedCase:
    from pytest_parallelrun.contract.cases.saved_case import SavedCase

    if flag(config, "plan"):
        raise usage_error(f"{item} cannot be combined with --parallelrun-plan.")
    try:
        return SavedCase(absolute_path(item))
    except InputError as error:
        raise usage_error(f"{item}: {error}") from None


def _seconds_to_generate(item: OptionValue) -> float:
    try:
        seconds = float(item.value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise usage_error(f"{item}: must be a number of seconds above 0, for all that Hypothesis generates.")
    return seconds

"""The command line options and their counterparts in the ini file, from one table."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import pytest

T = TypeVar("T")
GROUP = "Azure ML parallel jobs (pytest-parallelrun)"


@dataclass(frozen=True)
class Option:
    """One option. `kind`: a "value", a "list" (repeatable; one value per line in the ini file), or a "flag"."""

    name: str
    metavar: str
    help: str
    kind: Literal["value", "list", "flag"]

    @property
    def flag(self) -> str:
        return f"--parallelrun-{self.name}"

    @property
    def dest(self) -> str:
        return f"parallelrun_{self.name.replace('-', '_')}"


OPTIONS = (
    Option("entry", "PATH", "entry script to check; adds its generated tests to the run", "list"),
    Option("input", "PATH", "sample of the input: folder, glob, table or MLTable folder; for all entries", "list"),
    Option("job", "FILE", "check the scripts of a job file (YAML, Python, notebook); FILE::STEP for one step", "list"),
    Option("code", "DIR", "code root: of your folders the only one on sys.path; default: that of the entry", "value"),
    Option("args", "ARGUMENTS", "program arguments of the entry script, as one string", "value"),
    Option("env", "NAME=VALUE", "environment variable of the workers, set before the script is imported", "list"),
    Option("environment", "FILE", "conda or requirements file of the job; default: the one in the job file", "value"),
    Option("model", "[NAME=]PATH", "local model, for AZUREML_MODEL_DIR and azureml.core.Model", "list"),
    Option(
        "set",
        "NAME=VALUE",
        "set a setting or rule of the job, such as error_threshold=5 or rules=observed",
        "list",
    ),
    Option(
        "engine",
        "NAME",
        "where workers run: inprocess (default), process (worker processes), ray (a Ray cluster)",
        "value",
    ),
    Option(
        "plan",
        "",
        "print the mini-batches, the settings that were set or are disputed (-v: all) and the checks, and exit",
        "flag",
    ),
    Option("report", "FILE", "write a report; the suffix chooses the type: .html, .md or .json", "list"),
    Option("output", "DIR", "keep what the job wrote: the appended file and files of the script", "value"),
    Option("logs", "DIR", "keep the logs of the workers, laid out as on Azure ML", "value"),
    Option("save", "DIR", "save the mini-batches of findings for replay; default: in pytest's cache", "value"),
    Option("replay", "DIR", "run only the saved mini-batches of a finding", "value"),
    Option("golden", "DIR", "compare the output of the sample with the accepted one, a file in DIR per entry", "value"),
    Option("update-golden", "", "accept the output of the sample: write the files of --parallelrun-golden", "flag"),
    Option("budget", "SECONDS", "limit the time for generated mini-batches and jobs", "value"),
    Option(
        "forecast",
        "SIZE",
        "forecast the full job of SIZE files, or bytes of a table (250GB); NAME=VALUE for what the sample cannot show",
        "list",
    ),
    Option("explain", "CHECK", "print the documentation of a check and exit", "list"),
    Option("strict", "", "treat advice, undecidable checks and a sample that was not judged as failures", "flag"),
)
ACCEPT = "parallelrun_accept"
"""Only in the ini file, where an accepted finding is reviewed."""
ACCEPT_HELP = "accepted findings, one per line: CHECK [ENTRY_PATTERN]: REASON [until YYYY-MM-DD]"

STEP = "::"
"""Separates file and step in the value of --parallelrun-job, and script and step in a node id."""

_BY_NAME = {option.name: option for option in OPTIONS}


def usage_error(message: str) -> pytest.UsageError:
    """What is wrong about what a user gave, fit to be printed."""
    from pytest_parallelrun.report.sanitize import masked_text, printable

    return pytest.UsageError(printable(masked_text(message)))


def add_options(parser: pytest.Parser) -> None:
    """Adds every option of the table and its counterpart in the ini file, with the same help text."""
    group = parser.getgroup("parallelrun", GROUP)
    parser.addini(ACCEPT, ACCEPT_HELP, type="linelist", default=[])
    for option in OPTIONS:
        if option.kind == "flag":
            group.addoption(option.flag, dest=option.dest, action="store_true", default=None, help=option.help)
            parser.addini(option.dest, option.help, type="bool", default=False)
            continue
        action = "append" if option.kind == "list" else "store"
        group.addoption(
            option.flag,
            dest=option.dest,
            action=action,
            default=None,
            metavar=option.metavar,
            help=option.help + (" (repeatable)" if option.kind == "list" else ""),
        )
        ini_type: Literal["linelist", "string"] = "linelist" if option.kind == "list" else "string"
        parser.addini(option.dest, option.help, type=ini_type, default=[] if option.kind == "list" else "")


@dataclass(frozen=True)
class OptionValue:
    """A value, where it was written, and the folder at which its relative paths start."""

    value: str
    origin: str
    base: Path

    def __str__(self) -> str:
        """As shown in messages: "--parallelrun-input=data"."""
        return f"{self.origin}={self.value}"


def absolute_path(item: OptionValue) -> Path:
    """The path of a value. UsageError for an empty one."""
    if not item.value.strip():
        raise usage_error(f"{item.origin}: the path is empty.")
    return Path(os.path.abspath(os.path.join(item.base, os.path.expanduser(item.value))))


def folder_to_write(item: OptionValue) -> Path:
    """The folder of a value, which may exist. UsageError for a file, and below one."""
    folder = absolute_path(item)
    for path in (folder, *folder.parents):
        if os.path.exists(path) and not os.path.isdir(path):
            raise usage_error(f"{item}: {'' if path == folder else f'{path.name} '}is a file; give a folder.")
    return folder


def option_values(config: pytest.Config, name: str) -> list[OptionValue]:
    """The values of an option from the command line, otherwise from the ini file."""
    option = _BY_NAME[name]
    value = config.getoption(option.dest)
    if value is not None:
        values = value if isinstance(value, list) else [value]
        return [OptionValue(str(text), option.flag, config.invocation_params.dir) for text in values]
    return ini_values(config, name)


def read_last(config: pytest.Config, name: str, read: Callable[[OptionValue], T]) -> T | None:
    """The value of an option that is not repeatable, converted by `read`; None if it is not set."""
    values = option_values(config, name)
    return read(values[-1]) if values else None


def ini_values(config: pytest.Config, name: str) -> list[OptionValue]:
    option = _BY_NAME[name]
    value = config.getini(option.dest)
    if not value:
        return []
    file = config.inipath
    base = config.rootpath if file is None else file.parent
    origin = f"{option.dest} in {file.name if file else 'the ini file'}"
    return [OptionValue(str(text), origin, base) for text in (value if isinstance(value, list) else [value])]


def flag(config: pytest.Config, name: str) -> bool:
    """A flag from the command line, otherwise from the ini file."""
    option = _BY_NAME[name]
    return bool(config.getoption(option.dest) or _in_ini(config, option))


def command_line_values(config: pytest.Config, name: str) -> list[OptionValue]:
    return option_values(config, name) if config.getoption(_BY_NAME[name].dest) is not None else []


def any_option_set(config: pytest.Config) -> bool:
    return any(config.getoption(option.dest) is not None or _in_ini(config, option) for option in OPTIONS)


def _in_ini(config: pytest.Config, option: Option) -> object:
    """The value in the ini file; UsageError if that of a flag is not a boolean."""
    try:
        return config.getini(option.dest)
    except (ValueError, TypeError, pytest.UsageError) as error:
        if option.kind != "flag":
            raise
        where = config.inipath.name if config.inipath else "the ini file"
        raise usage_error(f"{option.dest} in {where}: {error}. Allowed: true or false.") from None

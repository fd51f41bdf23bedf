"""The command line options and their ini twins, from one table."""

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
    """One option. `kind`: a "value", a "list" (repeatable; its ini twin has one a line), or a "flag"."""

    name: str
    metavar: str
    help: str
    kind: Literal["value", "list", "flag"]

    @property
    def flag(self) -> str:
        return f"--parallelrun-{self.name}"

    @property
    def dest(self) -> str:
        return f"parallelrun_{self.name}"


OPTIONS = (
    Option("entry", "PATH", "entry script to gate; its generated tests join the run", "list"),
    Option("input", "PATH", "sample input: folder, glob, table or MLTable folder; shared by all entries", "list"),
    Option("job", "FILE", "job definition of entries: YAML or Python; FILE::STEP for one of its steps", "list"),
    Option("code", "DIR", "code root: the only folder on sys.path; default: the folder of the entry", "value"),
    Option("args", "ARGUMENTS", "program arguments of the entry script, in one string", "value"),
    Option("env", "NAME=VALUE", "environment variable, set before the script is imported", "list"),
    Option(
        "environment", "FILE", "conda or requirements file of the job's environment; default: that of the job", "value"
    ),
    Option("model", "[NAME=]PATH", "model on disk, below AZUREML_MODEL_DIR and for azureml.core.Model", "list"),
    Option(
        "set",
        "NAME=VALUE",
        "a setting or rule of the job, such as error_threshold=5 or rules=observed",
        "list",
    ),
    Option(
        "engine",
        "NAME",
        "who executes attempts: inprocess, process (worker processes), ray (those of a cluster)",
        "value",
    ),
    Option("plan", "", "print the split, the settings with their origins and the checks; run nothing", "flag"),
    Option("report", "FILE", "write a report; the ending says which kind: .html, .md, .json", "list"),
    Option("output", "DIR", "keep what the job wrote: the appended file and the script's own", "value"),
    Option("logs", "DIR", "keep the logs of the job's workers, laid out as on the service", "value"),
    Option("save", "DIR", "keep the mini-batches of findings there, to be replayed; default: pytest's cache", "value"),
    Option("replay", "DIR", "run just the saved mini-batches of one finding", "value"),
    Option("budget", "SECONDS", "cut the generation of mini-batches when the time is up, and say so", "value"),
    Option("explain", "CHECK", "print the page of a check: what it finds, why, how to mend it; run nothing", "list"),
    Option("strict", "", "advice, and checks that could not be made, count as failures", "flag"),
)
ACCEPT = "parallelrun_accept"
"""In the ini file alone: a finding that somebody accepts should stand where it is reviewed."""
ACCEPT_HELP = "accepted findings, one a line: CHECK [ENTRY_PATTERN]: REASON [until YYYY-MM-DD]"

STEP = "::"
"""Between the file and the step in the value of --parallelrun-job, and between script and step in a node id."""

_BY_NAME = {option.name: option for option in OPTIONS}


def usage_error(message: str) -> pytest.UsageError:
    """What is wrong about what a user gave, fit to be printed."""
    from pytest_parallelrun.report.sanitize import masked_text, printable

    return pytest.UsageError(printable(masked_text(message)))


def add_options(parser: pytest.Parser) -> None:
    """Adds every option of the table and its ini twin, with one help text for both."""
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
    """A value with its origin: where it was written, and the folder that its relative paths start at."""

    value: str
    origin: str
    base: Path

    def __str__(self) -> str:
        """As messages have it: "--parallelrun-input=data"."""
        return f"{self.origin}={self.value}"


def absolute_path(item: OptionValue) -> Path:
    """The path of a value. UsageError for an empty one."""
    if not item.value.strip():
        raise usage_error(f"{item.origin}: the path is empty.")
    return Path(os.path.abspath(os.path.join(item.base, os.path.expanduser(item.value))))


def option_values(config: pytest.Config, name: str) -> list[OptionValue]:
    """The values of an option from the command line, else from its ini twin."""
    option = _BY_NAME[name]
    value = config.getoption(option.dest)
    if value is not None:
        values = value if isinstance(value, list) else [value]
        return [OptionValue(str(text), option.flag, config.invocation_params.dir) for text in values]
    return ini_values(config, name)


def read_last(config: pytest.Config, name: str, read: Callable[[OptionValue], T]) -> T | None:
    """What the value of an option that is not repeatable means, as `read` says; None where it is not given."""
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
    """A flag from the command line, else from its ini twin."""
    option = _BY_NAME[name]
    return bool(config.getoption(option.dest) or _in_ini(config, option))


def command_line_values(config: pytest.Config, name: str) -> list[OptionValue]:
    """The values of an option from the command line alone."""
    return option_values(config, name) if config.getoption(_BY_NAME[name].dest) is not None else []


def any_option_set(config: pytest.Config) -> bool:
    """Whether this run has to do with the plugin at all."""
    return any(config.getoption(option.dest) is not None or _in_ini(config, option) for option in OPTIONS)


def _in_ini(config: pytest.Config, option: Option) -> object:
    """The value of the ini twin; UsageError where that of a flag is none."""
    try:
        return config.getini(option.dest)
    except (ValueError, TypeError, pytest.UsageError) as error:
        if option.kind != "flag":
            raise
        where = config.inipath.name if config.inipath else "the ini file"
        raise usage_error(f"{option.dest} in {where}: {error}. Allowed: true or false.") from None

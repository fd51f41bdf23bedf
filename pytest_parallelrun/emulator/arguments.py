"""Program arguments: those that set something in the runtime, and those that the runtime adds.

The runtime reads its settings from the list that the entry script gets as sys.argv, with argparse and without
abbreviations, and leaves everything in it. Source: guide to parallel jobs in pipelines; SDK reference of
ParallelRunConfig for what the v1 client sends and refuses.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.setting_table import Profile, setting_table
from pytest_parallelrun.emulator.setting_types import FLAG, TEXT, SettingType, choice, whole_number
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import InputKind

ORIGIN = "program arguments"
CLIENT_SDK_VERSION = "1.62.0"

NOT_EMULATED: Mapping[str, SettingType[object]] = {
    "--resource_monitor_interval": whole_number(0),
    "--copy_logs_to_parent": FLAG,
    "--metrics_name_prefix": TEXT,
    "--push_metrics_to_parent": FLAG,
    "--profiling_module": choice(("", "cProfile", "profile")),
    "--nice": TEXT,
    "--run_id": TEXT,
    "--cleanup_leaked_queues": TEXT,
    "--append_row_safe_output": TEXT,
    "--resume_from": TEXT,
}
"""Arguments of the runtime that are accepted, validated and named in reports, and have no effect here."""

NAMED_OUTPUT = re.compile(r"\$\{\{ *outputs\.(\w[\w-]*) *\}\}")
"""How a job file refers to the folder of an output; the group is its name."""

ROW_MODE: Mapping[str, str] = {
    "--amlbi_pf_enabled": "True",
    "--amlbi_pf_run_mode": "component",
    "--amlbi_file_format": "jsonl",
}
"""With --amlbi_mini_batch_rows they make run() get JSON lines as dicts; all are required, with exactly these values."""

ROWS = "--amlbi_mini_batch_rows"

RANK_MINI_BATCHES = "--rank_mini_batch_count"

ASYNC_MODE = "--amlbi_async_mode"

OF_THE_SERVICE = ("--6b0c4a1e-52d7-4f0e-9d7b-3f1f8a2c9e05", '{"worker":{"version":1}}')
"""Workers also get undocumented arguments: the name is an id, the value is JSON. Source: telemetry of a component that
Microsoft ships.
"""

V1_RESERVED: Mapping[str, str] = {
    "model_name": "the service keeps this name to itself: choose another one",
    "output": "the step's own output supplies it: choose another name for yours",
    **{
        name: f"set {name} of ParallelRunConfig"
        for name in (
            *("allowed_failed_count", "allowed_failed_percent", "append_row_file_name", "error_threshold"),
            *("logging_level", "mini_batch_size", "output_action", "partition_keys", "process_count_per_node"),
            *("run_invocation_timeout", "run_max_try"),
        )
    },
}

PASSED_BY_THE_RUNTIME = frozenset(
    {
        "--append_row_file_name",
        "--client_sdk_version",
        "--create_snapshot_at_runtime",
        "--logging_level",
        "--mini_batch_size",
        "--output",
        "--output_action",
        "--output_uri_file",
        "--partition_keys",
        "--process_count_per_node",
        "--run_invocation_timeout",
        "--run_max_try",
        "--scoring_module_name",
    }
)


@dataclass(frozen=True)
class ProgramArguments:
    """The meaning of a user's program arguments.

    argv: all of them, as the entry script sees them. settings: raw values by the v2 name of the setting.
    not_emulated: arguments of the runtime that have no effect here. notes: sentences for the report.
    """

    argv: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    not_emulated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{ORIGIN}: {message}; write it as '--name VALUE' or '--name=VALUE'")


# A gate creates hundreds of jobs with the same arguments.
@lru_cache(maxsize=16)
def _parser(options: tuple[str, ...], without_value: tuple[str, ...]) -> _Parser:
    parser = _Parser(prog="", add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for option in options:
        parser.add_argument(option, dest=option)
    for option in without_value:
        parser.add_argument(option, dest=option, nargs="?")
    return parser


def parse_program_arguments(
    arguments: str | Sequence[str | int | float | os.PathLike[str]], *, profile: Profile
) -> ProgramArguments:
    """Reads program arguments as the runtime does: no abbreviations, the last one wins, unknown ones stay.

    A str is split as a POSIX shell does. The values in `settings` are raw, `apply_program_arguments` checks
    them. SettingsError: an open quote, a missing value, an argument that the profile refuses.
    """
    argv = _split(arguments)
    options = tuple(_option_names(argv))
    if argv and profile == "batch":
        raise SettingsError(f"{ORIGIN} {shlex.join(argv)!r}: a batch deployment has none: use environment_variables")
    if profile == "v1":
        _refuse_reserved(argv, options)

    names = {setting.argument: name for name, setting in setting_table().items() if setting.argument}
    undocumented = sorted({option for option in options if re.fullmatch(r"--amlbi_\w+", option)} - names.keys())
    parser = _parser((*names, *NOT_EMULATED, RANK_MINI_BATCHES), tuple(undocumented))
    values: dict[str, str] = vars(parser.parse_known_args(argv)[0])

    for option, kind in NOT_EMULATED.items():
        if option in values:
            kind.parse_setting(option, values[option], ORIGIN)
    ranks = whole_number(0).parse_setting(RANK_MINI_BATCHES, values.get(RANK_MINI_BATCHES, 0), ORIGIN)
    if ranks > 0:
        raise SettingsError(
            f"{RANK_MINI_BATCHES}={ranks} (from {ORIGIN}): mini-batches without data are not supported: leave it out"
        )
    if ASYNC_MODE in values and FLAG.parse_setting(ASYNC_MODE, values[ASYNC_MODE] or True, ORIGIN):
        raise SettingsError(
            f"{ASYNC_MODE}={values[ASYNC_MODE] or True} (from {ORIGIN}): not supported: in async mode the service "
            "calls enqueue(), check_all_tasks_processed() and get_finished_batch_result() of the script, and not "
            "run(). Leave it out, or give False"
        )
    _check_row_mode(values)
    return ProgramArguments(
        argv=argv,
        settings={name: values[option] for option, name in names.items() if option in values},
        not_emulated=tuple(
            option for option in (*NOT_EMULATED, *undocumented) if option in values and option not in ROW_MODE
        ),
        notes=tuple(
            f"the runtime passes {option} as well: the entry script sees both, its own last"
            for option in dict.fromkeys(options)
            if option in PASSED_BY_THE_RUNTIME or option.startswith("--input_asset_")
        ),
    )


def _check_row_mode(values: Mapping[str, str | None]) -> None:
    """SettingsError if only some of the arguments of row mode are given, or one has another value."""
    present = [option for option in (*ROW_MODE, ROWS) if option in values]
    if not present:
        return
    full = " ".join([*(f"{option} {value}" for option, value in ROW_MODE.items()), f"{ROWS} ROWS"])
    for option, value in ROW_MODE.items():
        if option not in values:
            raise SettingsError(f"{ORIGIN}: {present[0]} needs {option} {value} beside it. All of them: {full}")
        if str(values[option]).lower() != value.lower():
            raise SettingsError(
                f"{option}={values[option]} (from {ORIGIN}): only {value} is known. All of them: {full}"
            )
    if ROWS not in values:
        raise SettingsError(f"{ORIGIN}: {present[0]} needs {ROWS} beside it. All of them: {full}")


def apply_program_arguments(settings: JobSettings, arguments: ProgramArguments) -> JobSettings:
    """The settings with what the arguments add. A field that is explicit in `settings` wins; one that comes
    from an argument counts as explicit. SettingsError names the program arguments.
    """
    return settings.over(JobSettings.from_mapping(arguments.settings, ORIGIN))


def runtime_arguments(
    settings: JobSettings,
    *,
    scoring_module_name: str,
    output: str,
    kind: InputKind,
) -> tuple[str, ...]:
    """The runtime's part of sys.argv, before the user's arguments, in the order of the v1 client; its id last.

    output: the folder of the appended file, passed only with append_row. SettingsError: a mini-batch size in bytes for
    an input of files.
    """
    if kind == "tabular":
        size = settings.bytes_per_mini_batch
    elif settings.unused:
        # Another setting decides, so its unit does not matter.
        size = settings.mini_batch_size or 1
    else:
        size = settings.files_per_mini_batch
    appends = settings.output_action == "append_row"
    arguments: dict[str, object] = {
        "--client_sdk_version": CLIENT_SDK_VERSION,
        "--scoring_module_name": scoring_module_name,
        "--mini_batch_size": size,
        "--error_threshold": settings.error_threshold,
        "--output_action": settings.output_action,
        "--logging_level": settings.logging_level,
        "--run_invocation_timeout": settings.timeout,
        "--run_max_try": settings.max_retries + 1,
        "--create_snapshot_at_runtime": True,
    }
    if "mini_batch_error_threshold" in settings.explicit:
        arguments["--allowed_failed_count"] = settings.mini_batch_error_threshold
    if "allowed_failed_percent" in settings.explicit:
        arguments["--allowed_failed_percent"] = settings.allowed_failed_percent
    if appends:
        arguments["--append_row_file_name"] = settings.append_row_file_name
        arguments["--output"] = output
    arguments["--process_count_per_node"] = settings.max_concurrency_per_instance
    if settings.partition_keys:
        arguments["--partition_keys"] = json.dumps(settings.partition_keys)
    return (*(part for name, value in arguments.items() for part in (name, str(value))), *OF_THE_SERVICE)


def with_outputs(argv: Sequence[str], folder: Path) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """The arguments with a folder below `folder` for each `${{outputs.NAME}}` in them, and those folders.

    Source: guide to parallel jobs in pipelines.
    """
    names = {match[1]: None for part in argv for match in NAMED_OUTPUT.finditer(part)}
    filled = tuple(NAMED_OUTPUT.sub(lambda match: str(folder / match[1]), part) for part in argv)
    return filled, tuple(folder / name for name in names)


def split_option(argument: str) -> tuple[str, str]:
    """("--name=", "VALUE") of an argument that has both, and ("", argument) of any other, such as a path with a "="."""
    name, equals, value = argument.partition("=")
    return (name + equals, value) if equals and not os.path.isabs(argument) else ("", argument)


def _split(arguments: str | Sequence[str | int | float | os.PathLike[str]]) -> tuple[str, ...]:
    if isinstance(arguments, str):
        try:
            # Spaces inside the braces of an output split nothing.
            return tuple(shlex.split(NAMED_OUTPUT.sub(r"${{outputs.\1}}", arguments)))
        except ValueError as error:
            raise SettingsError(
                f"{ORIGIN} {arguments!r}: {str(error).lower()}; quote them as for a POSIX shell"
            ) from None
    for part in arguments:
        if not isinstance(part, (str, int, float, os.PathLike)):
            raise SettingsError(f"{ORIGIN}: {part!r} is of type {type(part).__name__}: give texts")
    return tuple(os.fspath(part) if isinstance(part, os.PathLike) else str(part) for part in arguments)


def _option_names(argv: Iterable[str]) -> Iterable[str]:
    for part in argv:
        if part == "--":  # What follows is never an option.
            return
        if part.startswith("-"):
            yield part.partition("=")[0]


def _refuse_reserved(argv: Sequence[str], options: Iterable[str]) -> None:
    if argv and not argv[0].startswith("-"):
        raise SettingsError(
            f"{ORIGIN}: the first one, {argv[0]!r}, must start with '-' under profile v1: "
            "put a name before it, such as --value"
        )
    for option in options:
        instead = V1_RESERVED.get(option.lstrip("-"))
        if instead is not None:
            raise SettingsError(f"{ORIGIN}: {option} is reserved under profile v1: {instead}")

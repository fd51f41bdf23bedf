"""From a call of a fixture, the markers around it and the options to a ParallelJob."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_parallelrun._configuration import RunConfiguration, absolute_model
from pytest_parallelrun._targets import Target
from pytest_parallelrun.emulator.entry import find_entry
from pytest_parallelrun.emulator.errors import ParallelRunError, SettingsError
from pytest_parallelrun.emulator.settings import JobSettings

if TYPE_CHECKING:
    from typing import ParamSpec

    import pandas as pd

    from pytest_parallelrun.emulator.entry import Models, StrPath
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.job import ParallelJob
    from pytest_parallelrun.emulator.result import JobResult

    P = ParamSpec("P")
    Input = StrPath | Sequence[StrPath] | pd.DataFrame

# Keywords of the marker that are no settings, and the option that goes over each.
_OPTIONS = {
    "entry": "entry",
    "input": "input",
    "program_arguments": "args",
    "code": "code",
    "models": "model",
}


def refuse(message: str) -> NoReturn:
    """Fails the test that asks for what cannot be: its message alone is shown."""
    pytest.fail(message, pytrace=False)


@dataclass(frozen=True)
class JobFactory:
    """Makes a ParallelJob; what a call does not say comes from the marker and the options.

    settings: a JobSettings, and single fields of it as keywords; both go over marker and options.
    """

    gate: RunConfiguration

    def __call__(
        self,
        entry: object = None,
        input: Input | None = None,
        *,
        settings: JobSettings | None = None,
        program_arguments: str | Sequence[str] | None = None,
        faults: Sequence[Fault] = (),
        code: StrPath | None = None,
        models: Models | None = None,
        output: StrPath | None = None,
        logs: StrPath | None = None,
        **fields: object,
    ) -> ParallelJob:
        from pytest_parallelrun.emulator.job import ParallelJob

        gate = self.gate
        defaults, arguments = gate.settings, gate.program_arguments
        sample = gate.input
        if entry is None:
            if len(gate.targets) != 1:
                refuse(
                    "which entry script? Give it in the call, in @pytest.mark.parallelrun(entry=...), or with "
                    f"--parallelrun-entry=PATH (given {len(gate.targets)} times)."
                )
            entry, code = gate.targets[0].entry.path, code or gate.targets[0].entry.code_root
            if gate.targets[0].step is not None:
                # A job definition says more about it than the options alone.
                [plan] = gate.plans()
                defaults, arguments, sample = plan.settings, plan.arguments.argv, plan.input
                models = plan.models if models is None else models
        if code is None and isinstance(entry, (str, os.PathLike)):
            code = gate.code
        if input is None:
            input = list(sample) if isinstance(sample, tuple) else sample
        if input is None:
            refuse(
                "which input? Give it in the call, in @pytest.mark.parallelrun(input=...), or with "
                "--parallelrun-input=PATH."
            )
        chosen = defaults if settings is None else settings.over(defaults)
        return ParallelJob(
            entry,
            input,
            settings=chosen.replace(**fields),  # type: ignore[arg-type]
            program_arguments=arguments if program_arguments is None else program_arguments,
            faults=faults,
            engine=gate.engine,
            code=code,
            models=gate.models if models is None else models,
            output=output,
            logs=logs,
        )


def running(factory: Callable[P, ParallelJob]) -> Callable[P, JobResult]:
    def run(*args: P.args, **kwargs: P.kwargs) -> JobResult:
        return factory(*args, **kwargs).run()

    return run


def with_markers(node: pytest.Item | pytest.Collector, gate: RunConfiguration) -> RunConfiguration:
    """The gate with the values of the markers between command line and ini; the nearest marker is on top."""
    values: dict[str, object] = {}
    for marker in reversed(list(node.iter_markers("parallelrun"))):
        if marker.args:
            refuse(f"{node.nodeid}: @pytest.mark.parallelrun takes keywords only.")
        values.update(marker.kwargs)
    if not values:
        return gate
    origin = f"@pytest.mark.parallelrun of {node.nodeid}"
    try:
        settings = JobSettings.from_mapping(
            {name: value for name, value in values.items() if name not in _OPTIONS}, origin
        )
        changes: dict[str, object] = {"in_ini": settings.over(gate.in_ini)}
        for name, option in _OPTIONS.items():
            if values.get(name) is not None and option not in gate.given:
                changes[name] = _read_marker_value(name, values[name], node.path.parent)
        if "entry" in changes:
            code = changes.get("code", gate.code)
            changes["targets"] = (Target(find_entry(changes.pop("entry"), code)),)  # type: ignore[arg-type]
        return replace(gate, **changes)  # type: ignore[arg-type]
    except ParallelRunError as error:
        text = str(error)
    # Outside the except clause, or pytest would show the error twice.
    refuse(text if origin in text else f"{origin}: {text}")


def _read_marker_value(name: str, value: object, base: Path) -> object:
    """A value of the marker as the Gate holds it; relative paths start at the folder of the test."""
    if name == "program_arguments":
        return value
    many = isinstance(value, (list, tuple))
    paths = [value] if isinstance(value, (str, os.PathLike)) else list(value) if many else None  # type: ignore[call-overload]
    if paths is None or not all(isinstance(path, (str, os.PathLike)) for path in paths):
        raise SettingsError(f"{name}={value!r}: give a path, or a list of paths; a DataFrame goes into the call.")
    if name == "models":
        return tuple(absolute_model(os.fspath(path), base) for path in paths)
    absolute = tuple(os.path.join(base, os.path.expanduser(path)) for path in paths)
    if name == "input":
        return absolute if many else absolute[0]
    return Path(absolute[0])

"""Creates a ParallelJob from a call of a fixture, its markers and the options."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from pytest_parallelrun._configuration import absolute_model
from pytest_parallelrun._entries import RunEntries, SampleInput
from pytest_parallelrun._options import command_line_values
from pytest_parallelrun._targets import Target, script_id
from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.errors import ParallelRunError, SettingsError
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.report.sanitize import masked_text, printable

if TYPE_CHECKING:
    from typing import ParamSpec

    import pandas as pd

    from pytest_parallelrun.emulator.entry import StrPath
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.models import Models
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.job_files.parallel_job import ParallelJob

    P = ParamSpec("P")
    Input = StrPath | Sequence[StrPath] | pd.DataFrame

_OPTIONS = {
    "entry": "entry",
    "input": "input",
    "program_arguments": "args",
    "code": "code",
    "models": "model",
}
"""Keywords of the marker that are not settings, and the option that overrides each."""


def refuse(message: str) -> NoReturn:
    """Fails the test that asks for what cannot be: its message alone is shown."""
    pytest.fail(printable(masked_text(message)), pytrace=False)


@dataclass(frozen=True)
class JobFactory:
    """Creates a ParallelJob; what a call leaves out comes from the marker and the options.

    job: an object of azure-ai-ml or a job file, as ParallelJob.from_job() takes it; its `input` may be a mapping.
    settings: a JobSettings, and single fields of it as keywords; both override marker and options.
    """

    entries: RunEntries

    def __call__(
        self,
        entry: object = None,
        input: Input | Mapping[str, object] | None = None,
        *,
        job: object = None,
        settings: JobSettings | None = None,
        program_arguments: str | Sequence[str] | None = None,
        faults: Sequence[Fault] = (),
        code: StrPath | None = None,
        models: Models | None = None,
        output: StrPath | None = None,
        logs: StrPath | None = None,
        **fields: object,
    ) -> ParallelJob:
        from pytest_parallelrun.job_files.parallel_job import ParallelJob

        options, targets = self.entries.configuration, self.entries.targets
        defaults, arguments = options.settings, options.program_arguments
        sample = self.entries.sample
        if job is not None:
            if entry is not None:
                refuse("entry and job exclude each other: a job names its script.")
            return ParallelJob.from_job(
                job,
                sample.source if input is None else input,
                (defaults if settings is None else settings.over(defaults)).replace(**fields),  # type: ignore[arg-type]
                arguments if program_arguments is None else program_arguments,
                faults,
                options.engine,
                code=code or options.code,
                models=options.models if models is None else models,
                output=output,
                logs=logs,
            )
        if isinstance(input, Mapping):
            refuse("input: a mapping gives the inputs of a job by their names; it needs job=...")
        if entry is None:
            if len(targets) != 1:
                refuse(
                    "which entry script? Give it in the call, in @pytest.mark.parallelrun(entry=...), or with "
                    f"--parallelrun-entry=PATH (given {len(targets)} times)."
                )
            [target] = targets
            entry, code = target.entry.path, code or target.entry.code_root
            if target.step is not None:
                # A job file says more about it than the options.
                [plan] = self.entries.plans
                defaults, arguments, sample = plan.settings, plan.arguments.argv, plan.sample
                models = plan.models if models is None else models
        if code is None and isinstance(entry, (str, os.PathLike)):
            code = options.code
        if input is None:
            input = sample.source
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
            engine=options.engine,
            code=code,
            models=options.models if models is None else models,
            output=output,
            logs=logs,
        )


def running(factory: Callable[P, ParallelJob]) -> Callable[P, JobResult]:
    def run(*args: P.args, **kwargs: P.kwargs) -> JobResult:
        return factory(*args, **kwargs).run()

    return run


def with_markers(node: pytest.Item | pytest.Collector, entries: RunEntries) -> RunEntries:
    """The entries with the values of the markers between command line and ini; the nearest marker wins."""
    keywords: dict[str, object] = {}
    for marker in reversed(list(node.iter_markers("parallelrun"))):
        if marker.args:
            refuse(f"{node.nodeid}: @pytest.mark.parallelrun takes keywords only.")
        keywords.update(marker.kwargs)
    if not keywords:
        return entries
    origin = f"@pytest.mark.parallelrun of {node.nodeid}"
    try:
        return _over_ini(entries, node, keywords, origin)
    except ParallelRunError as error:
        text = str(error)
    # Outside the except clause, or pytest would show the error twice.
    refuse(text if origin in text else f"{origin}: {text}")


def _over_ini(
    entries: RunEntries, node: pytest.Item | pytest.Collector, keywords: Mapping[str, object], origin: str
) -> RunEntries:
    """The entries with these keywords above the ini file; relative paths start at the folder of the test."""
    options, base = entries.configuration, node.path.parent
    settings = JobSettings.from_mapping(
        {name: value for name, value in keywords.items() if name not in _OPTIONS}, origin
    )
    values = {
        name: keywords[name]
        for name, option in _OPTIONS.items()
        if keywords.get(name) is not None and not command_line_values(node.config, option)
    }
    arguments = cast("str | Sequence[str]", values.pop("program_arguments", options.program_arguments))
    paths = {name: _paths(name, value) for name, value in values.items()}
    absolute = {name: tuple(os.path.join(base, os.path.expanduser(path)) for path in paths[name]) for name in paths}
    code = Path(absolute["code"][0]) if "code" in paths else options.code
    models = tuple(absolute_model(path, base) for path in paths["models"]) if "models" in paths else options.models
    targets, sample = entries.targets, entries.sample
    if "entry" in paths:
        entry = find_entry(Path(absolute["entry"][0]), code)
        assert isinstance(entry, EntryFile)
        targets = (Target(entry=entry, script_id=script_id(entry, node.config.rootpath)),)
    if "input" in paths:
        is_list = isinstance(values["input"], (list, tuple))
        sample = SampleInput(paths=absolute["input"] if is_list else absolute["input"][0])
    ini = settings.over(options.ini)
    configuration = replace(options, ini=ini, program_arguments=arguments, code=code, models=models)
    return replace(entries, configuration=configuration, targets=targets, sample=sample)


def _paths(name: str, value: object) -> tuple[str, ...]:
    """A path, or the paths in a list."""
    paths: Sequence[object] = value if isinstance(value, (list, tuple)) else [value]
    texts = [os.fspath(path) for path in paths if isinstance(path, (str, os.PathLike))]
    if len(texts) < len(paths):
        raise SettingsError(f"{name}={value!r}: give a path, or a list of paths; a DataFrame goes into the call.")
    return tuple(texts)

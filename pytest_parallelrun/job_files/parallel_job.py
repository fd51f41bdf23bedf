"""The public ParallelJob: also one from a job file or an object of azure-ai-ml."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_parallelrun.emulator.errors import InputError, SettingsError, did_you_mean
from pytest_parallelrun.emulator.job import ParallelJob as Job
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.input_paths import REMOTE

if TYPE_CHECKING:
    from typing_extensions import Self

    from pytest_parallelrun.emulator.entry import StrPath
    from pytest_parallelrun.emulator.events import Progress
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.models import Models
    from pytest_parallelrun.emulator.splitting.model import Source
    from pytest_parallelrun.job_files.job_step import JobStep

HINT = "In a call, pass them as input={'NAME': PATH}, program_arguments='...', or a setting such as mini_batch_size=5."


class ParallelJob(Job):
    __doc__ = Job.__doc__

    @classmethod
    def from_job(
        cls,
        job: object,
        input: Source | Mapping[str, object] | None = None,
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
        **fields: object,
    ) -> Self:
        """The job that an object of azure-ai-ml or a job file describes.

        job: a node of parallel_run_function() or of a pipeline, a parallel component, a pipeline with one parallel
        step, a batch deployment; or the path of a job file with one parallel job.
        input: replaces the input that is split, or a mapping replaces inputs by their names.
        settings, fields: override those of the job. The other arguments are those of ParallelJob.
        """
        from pytest_parallelrun.job_files.job_object import step_of
        from pytest_parallelrun.job_files.tree import JobFileError

        step = step_of(job, None if code is None else Path(os.path.abspath(code)))
        given = (settings or JobSettings()).replace(**fields)  # type: ignore[arg-type]
        values = {name: _value(step, name, value) for name, value in _named(step, input).items()}
        paths = None if input is None or isinstance(input, Mapping) else _paths(input)
        try:
            resolved = step.resolve(given, program_arguments, values, paths)
        except JobFileError as error:
            raise JobFileError(error.problems, hint=HINT) from None
        if paths is not None:
            assert input is not None
            source: Any = input
        elif not (source := list(step.sample(values))):
            without = (f"the input '{name}' {step.inputs[name].why}" for name in step.without_path(values))
            missing = next(without, "the job names no input")
            raise InputError(f"{step.location}: {missing}: pass a sample, such as input='data/'.")
        return cls(
            step.entry.path,
            source[0] if isinstance(source, list) and len(source) == 1 else source,
            resolved.settings,
            resolved.arguments.argv,
            faults,
            engine,
            code=step.entry.code_root,
            models=models or ([str(step.model)] if step.model else ()),
            output=output,
            logs=logs,
            on_progress=on_progress,
        )


def _named(step: JobStep, input: Source | Mapping[str, object] | None) -> Mapping[str, object]:
    """Values by the names of inputs; a path without a name is that of the input that is split."""
    if isinstance(input, Mapping):
        return input
    return {step.split[0]: input} if isinstance(input, (str, os.PathLike)) and len(step.split) == 1 else {}


def _value(step: JobStep, name: str, value: object) -> str:
    known = step.known_inputs()
    if name not in known:
        raise SettingsError(f"input={{{name!r}: ...}}: the job has no such input. {did_you_mean(name, known)}")
    if step.takes_value(name) or not isinstance(value, (str, os.PathLike)) or REMOTE.match(os.fspath(value)):
        return str(value)
    return os.path.abspath(value)


def _paths(input: Source) -> tuple[str, ...]:
    """The paths of an input; () for a DataFrame."""
    paths = input if isinstance(input, (list, tuple)) else [input]
    return tuple(os.fspath(path) for path in paths if isinstance(path, (str, os.PathLike)))

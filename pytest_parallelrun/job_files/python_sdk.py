"""Python files with parallel jobs: parallel_run_function() of v2, ParallelRunConfig() and ParallelRunStep().

They are parsed and never executed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_parallelrun.job_files.deployment import read_deployment_call
from pytest_parallelrun.job_files.job_step import JobFile, StepReading
from pytest_parallelrun.job_files.job_table import read_job_table
from pytest_parallelrun.job_files.notebook import parse_source, read_source
from pytest_parallelrun.job_files.parallel import read_function
from pytest_parallelrun.job_files.pipeline import is_parallel
from pytest_parallelrun.job_files.python_source import DEPLOYMENTS, LOADERS, JobCall, PythonSource
from pytest_parallelrun.job_files.run_config import read_config
from pytest_parallelrun.job_files.script import GivenCode
from pytest_parallelrun.job_files.tree import Problems, SourceLocation, Table


def read_python(file: Path, given: GivenCode) -> JobFile:
    """The jobs in a Python file."""
    problems = Problems()
    text = read_source(file, problems)
    module = None if text is None else parse_source(text, problems)
    if text is None or module is None:
        return JobFile.none(file, problems)
    try:
        source = PythonSource(text, module)
        calls = list(source.calls())
        steps = tuple(_steps(calls, source, given))
    except RecursionError:
        problems.add(SourceLocation(file), "the file is nested too deep to be read")
        return JobFile.none(file, problems)
    problems += source.problems
    if not calls and not source.skipped and not problems:
        problems.add(
            SourceLocation(file),
            "this file calls neither parallel_run_function() nor ParallelRunConfig(), nor does it make a "
            "ModelBatchDeployment() or load a file of one; --parallelrun-job takes the file that does",
        )
    return JobFile(
        path=file,
        steps=steps,
        problems=tuple(problems),
        skipped=tuple(source.skipped),
        files=frozenset(source.files),
        is_job=bool(calls or source.skipped),
    )


def _steps(calls: list[JobCall], source: PythonSource, given: GivenCode) -> Iterator[StepReading]:
    used: set[SourceLocation] = set()
    changed = {call.table.location: source.changed(call) for call in calls if call.function == "ParallelRunConfig"}
    for call in calls:
        if call.function in LOADERS and not (call.function == "load_component" and is_parallel(call.table)):
            yield from _steps_of_file(call, source, given)
        elif call.function in ("parallel_run_function", "load_component"):
            for name, table in source.nodes_of(call):
                yield read_function(table, name, given=given, unread=call.unread)
        elif call.function in DEPLOYMENTS:
            table = source.changed(call)
            yield read_deployment_call(table, call.name, call.function, given=given, unread=call.unread)
        elif call.function == "ParallelRunStep":
            config = call.table.entries.get("parallel_run_config")
            if isinstance(config, Table):
                used.add(config.location)
                config = changed.get(config.location, config)
            yield read_config(config, call.table, call.name, given=given, unread=call.unread)
    for call in calls:
        if call.function == "ParallelRunConfig" and call.table.location not in used:
            table = changed[call.table.location]
            yield read_config(table, None, call.name, given=given, unread=call.unread)


def _steps_of_file(call: JobCall, source: PythonSource, given: GivenCode) -> Iterator[StepReading]:
    """The jobs of a YAML file that the Python file loads, with its changes."""
    table = source.changed(call)
    job = read_job_table(table, table.location.file, given)
    if job.is_job:
        source.problems += job.problems
        source.skipped += job.skipped
        source.files |= job.files
        yield from job.steps

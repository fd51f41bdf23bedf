"""Reads a job file of any kind: YAML, or Python and notebooks, which are parsed and never executed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_parallelrun.job_files.deployment import is_deployment, read_deployment, read_deployment_call
from pytest_parallelrun.job_files.job_step import JobFile, StepReading
from pytest_parallelrun.job_files.notebook import parse_source, read_source
from pytest_parallelrun.job_files.parallel import read_component, read_function
from pytest_parallelrun.job_files.pipeline import PipelineReader, is_parallel, is_pipeline
from pytest_parallelrun.job_files.python_source import DEPLOYMENTS, LOADERS, JobCall, PythonSource
from pytest_parallelrun.job_files.run_config import (
    is_config_file,
    is_pipeline_v1,
    read_config,
    read_config_file,
    read_pipeline_v1,
)
from pytest_parallelrun.job_files.script import NO_CODE, GivenCode
from pytest_parallelrun.job_files.tree import Problems, SourceLocation, Table
from pytest_parallelrun.job_files.yaml_reader import read_yaml

TAKES = (
    "--parallelrun-job takes a parallel component (type: parallel), a pipeline (type: pipeline), a batch deployment, "
    "or a Python file or notebook that builds one"
)
OTHER_YAML = (
    (("dependencies",), "a conda environment"),
    (("paths", "transformations"), "an MLTable file"),
    (("auth_mode",), "an endpoint; give its deployment"),
    (("instance_type", "model"), "a deployment of an online endpoint"),
    (("image",), "an environment"),
    (("steps",), "a pipeline of a CI system"),
)
YAML = (".yml", ".yaml", ".json", "")
SIGNATURES = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PAR1", "a Parquet file"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"%PDF", "a PDF file"),
)
ENDINGS = {
    ".csv": "a table",
    ".tsv": "a table",
    ".jsonl": "JSON lines",
    ".txt": "a text",
    ".md": "a text",
    ".rst": "a text",
    ".sh": "a shell script",
    ".ps1": "a script of PowerShell",
    ".r": "a script of R",
    ".toml": "a configuration in TOML",
    ".ini": "a configuration in INI format",
    ".cfg": "a configuration in INI format",
    ".bicep": "a template of Azure resources",
    ".tf": "a configuration of Terraform",
}


def read_job_file(file: Path, given: GivenCode = NO_CODE) -> JobFile:
    """All parallel jobs of a file, and its problems. given: code next to the file."""
    if file.suffix.lower() in (".py", ".pyw", ".ipynb"):
        return _read_python(file, given)
    problems = Problems()
    other = _other_kind(file)
    if other is not None:
        problems.add(SourceLocation(file), f"this is no job definition: it appears to be {other}. {TAKES}")
        return JobFile.none(file, problems)
    table = read_yaml(file, problems)
    return JobFile.none(file, problems) if table is None else read_job_table(table, file, given)


def _other_kind(file: Path) -> str | None:
    """What a file that is neither YAML nor Python seems to be; None if it may be YAML."""
    suffix = file.suffix.lower()
    try:
        with open(file, "rb") as stream:
            start = stream.read(4096)
    except OSError:
        # The error of reading it says more.
        return None
    for signature, kind in SIGNATURES:
        if start.startswith(signature):
            return kind
    if b"\0" in start and suffix not in YAML:
        return "a binary file"
    return None if suffix in YAML else ENDINGS.get(suffix, f"a text file with the ending '{suffix}'")


def read_job_table(table: Table, file: Path, given: GivenCode = NO_CODE) -> JobFile:
    """The same for a mapping that was already read."""
    files = frozenset({file})
    if is_deployment(table):
        return JobFile(path=file, steps=(read_deployment(table, given=given),), files=files)
    if is_parallel(table):
        name = table.text("name") or file.stem
        return JobFile(path=file, steps=(read_component(table, name, given=given),), files=files)
    if is_config_file(table):
        return read_config_file(table, file, given)
    if is_pipeline_v1(table):
        return read_pipeline_v1(table, file, given)
    if is_pipeline(table):
        reader = PipelineReader(given)
        return JobFile(
            path=file,
            steps=tuple(reader.steps(table)),
            problems=tuple(reader.problems),
            skipped=tuple(reader.skipped),
            files=files | reader.files.keys(),
        )
    problems = Problems()
    kind = table.text("type")
    location = table.entries["type"].location if kind else table.location
    appears = next(
        (f", and appears to be {other}" for keys, other in OTHER_YAML if table.entries.keys() >= {*keys}), ""
    )
    type_text = f"type: {kind}" if kind else f"no type{appears}"
    problems.add(location, f"this is no parallel job: it has {type_text}. {TAKES}")
    return JobFile.none(file, problems)


def _read_python(file: Path, given: GivenCode) -> JobFile:
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

"""Reads a job file in YAML, of any kind."""

from __future__ import annotations

from pathlib import Path

from pytest_parallelrun.job_files.deployment import is_deployment, read_deployment
from pytest_parallelrun.job_files.job_step import JobFile
from pytest_parallelrun.job_files.parallel import read_component
from pytest_parallelrun.job_files.pipeline import PipelineReader, is_parallel, is_pipeline
from pytest_parallelrun.job_files.run_config import is_config_file, is_pipeline_v1, read_config_file, read_pipeline_v1
from pytest_parallelrun.job_files.script import NO_CODE, GivenCode
from pytest_parallelrun.job_files.tree import Problems, Table, entry_text

KINDS = (
    "a parallel component (type: parallel), a pipeline (type: pipeline), a batch deployment, or a Python file or "
    "notebook that builds one"
)

TAKES = f"--parallelrun-job takes {KINDS}"
OTHER_YAML = (
    (("dependencies",), "a conda environment"),
    (("paths", "transformations"), "an MLTable file"),
    (("auth_mode",), "an endpoint; give its deployment"),
    (("instance_type", "model"), "a deployment of an online endpoint"),
    (("image",), "an environment"),
    (("steps",), "a pipeline of a CI system"),
)


def read_job_table(table: Table, file: Path, given: GivenCode = NO_CODE) -> JobFile:
    """All parallel jobs of a file. given: code next to the file."""
    files = frozenset({file})
    if is_deployment(table):
        return JobFile(path=file, steps=(read_deployment(table, given=given),), files=files)
    if is_parallel(table):
        name = entry_text(table, "name") or file.stem
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
    kind = entry_text(table, "type")
    location = table.entries["type"].location if kind else table.location
    type_text = f"type: {kind}" if kind else f"no type{_appears(table)}"
    problems.add(location, f"this is no parallel job: it has {type_text}. {TAKES}")
    return JobFile.none(file, problems)


def _appears(table: Table) -> str:
    """What a YAML file that is not a job seems to be, for the end of a sentence."""
    for keys, kind in OTHER_YAML:
        if all(key in table.entries for key in keys):
            return f", and appears to be {kind}"
    return ""

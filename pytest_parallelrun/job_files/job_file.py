"""Reads a job definition, of whichever kind the file is."""

from __future__ import annotations

from pathlib import Path

from pytest_parallelrun.job_files.deployment import is_deployment, read_deployment
from pytest_parallelrun.job_files.job_step import JobFile
from pytest_parallelrun.job_files.parallel import read_component
from pytest_parallelrun.job_files.pipeline import PipelineReader, is_parallel, is_pipeline
from pytest_parallelrun.job_files.python_sdk import read_python
from pytest_parallelrun.job_files.tree import Problems, Table, entry_text
from pytest_parallelrun.job_files.yaml_reader import read_yaml

KINDS = "a parallel component (type: parallel), a pipeline (type: pipeline), a batch deployment, or a Python file"


def read_job_file(file: Path, other_root: Path | None = None) -> JobFile:
    """All parallel jobs of a file, and what is wrong with it. other_root: a code root over those of the file."""
    if file.suffix.lower() in (".py", ".pyw"):
        return read_python(file, other_root)
    problems = Problems()
    table = read_yaml(file, problems)
    return JobFile.none(file, problems) if table is None else read_job_table(table, file, other_root)


def read_job_table(table: Table, file: Path, other_root: Path | None = None) -> JobFile:
    """The same for a file that was parsed already."""
    files = frozenset({file})
    if is_deployment(table):
        return JobFile(path=file, steps=(read_deployment(table, other_root=other_root),), files=files)
    if is_parallel(table):
        name = entry_text(table, "name") or file.stem
        return JobFile(path=file, steps=(read_component(table, name, other_root=other_root),), files=files)
    if is_pipeline(table):
        reader = PipelineReader(other_root)
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
    type_text = f"type: {kind}" if kind else "no type"
    problems.add(location, f"this is no parallel job: it has {type_text}. --parallelrun-job takes {KINDS}")
    return JobFile.none(file, problems)

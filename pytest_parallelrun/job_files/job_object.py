"""Objects of azure-ai-ml as job files, by what their `dump()` writes.

The package is not imported: its objects are recognized by the names of their classes.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pytest_parallelrun.emulator.errors import InputError, SettingsError, not_there
from pytest_parallelrun.job_files.job_file import read_job_file, read_job_table
from pytest_parallelrun.job_files.keys import DEPLOYMENT_SETTINGS
from pytest_parallelrun.job_files.parallel import FALSY_IN_A_STEP
from pytest_parallelrun.job_files.script import GivenCode
from pytest_parallelrun.job_files.tree import JobFileError, SourceLocation, Table, tree_of

if TYPE_CHECKING:
    from pytest_parallelrun.job_files.job_step import JobFile, JobStep

PACKAGE = "azure.ai.ml."
NODE = "Parallel"
CLASSES = (NODE, "ParallelComponent", "PipelineJob", "PipelineComponent", "BatchDeployment", "ModelBatchDeployment")
TAKES = (
    "give an object of azure-ai-ml (a node of parallel_run_function() or of a pipeline, a parallel component, a "
    "pipeline with one parallel step, a batch deployment) or the path of a job file"
)
_PARENT = re.compile(r"\$\{\{ *parent\.inputs\.([\w-]+) *\}\}")
_LOCAL = re.compile(r"azureml:(?!//)(?=[^:@]+$|[A-Za-z]:[\\/])")
"""What the client writes before a relative path; a data asset has a version or label behind its name."""


def step_of(job: object, code: Path | None = None) -> JobStep:
    """The only parallel job of an object or file. TypeError for another object, JobFileError for a wrong job.

    code: overrides the code root.
    """
    file = read_object(job, GivenCode(code))
    problems = [*file.problems, *(problem for reading in file.steps for problem in reading.problems)]
    if problems:
        raise JobFileError(problems)
    if len(file.steps) > 1:
        names = ", ".join(repr(reading.name) for reading in file.steps)
        hint = (
            "a pipeline with one of them" if isinstance(job, (str, os.PathLike)) else "one of them: pipeline.jobs[NAME]"
        )
        raise SettingsError(f"job={_label(job)}: has {len(file.steps)} parallel steps ({names}). Pass {hint}.")
    if not file.steps:
        raise SettingsError(f"job={_label(job)}: has no parallel step. {' '.join(f'{one}.' for one in file.skipped)}")
    [reading] = file.steps
    assert reading.step is not None
    return reading.step


def read_object(job: object, given: GivenCode) -> JobFile:
    if isinstance(job, (str, os.PathLike)):
        path = Path(os.path.abspath(job))
        if not path.is_file():
            problem = "is a folder; give a file" if path.is_dir() else not_there(path)
            raise InputError(f"job={os.fspath(job)!r}: {problem}.")
        return read_job_file(path, given)
    if not any(cls.__module__.startswith(PACKAGE) and cls.__name__ in CLASSES for cls in type(job).__mro__):
        hint = " A function with @pipeline must be called first." if isinstance(job, FunctionType) else ""
        raise TypeError(f"job={_label(job)}: {TAKES}.{hint}")
    # The folder where relative paths start.
    base = Path(os.path.abspath(getattr(job, "base_path", None) or os.curdir))
    location = SourceLocation(base / "job", label=_label(job))
    table = tree_of(_written(_dumped(job), is_node=type(job).__name__ == NODE), location)
    assert isinstance(table, Table)
    return read_job_table(table, location.file, given)


def _label(job: object) -> str:
    if isinstance(job, (str, os.PathLike)):
        return os.fspath(job)
    name = getattr(job, "name", None) if type(job).__module__.startswith(PACKAGE) else None
    return f"{type(job).__name__} {name!r}" if isinstance(name, str) else f"<{type(job).__name__}>"


def _dumped(job: Any) -> dict[str, Any]:
    import yaml

    stream = io.StringIO()
    try:
        job.dump(stream)
        dumped = yaml.safe_load(stream.getvalue())
    except Exception as error:
        message = " ".join(str(error).split())
        raise InputError(f"job={_label(job)}: azure-ai-ml cannot write it as YAML: {message}") from error
    name = getattr(job, "name", None)
    return {"name": name if isinstance(name, str) else "job", **dumped}


def _written(dumped: Mapping[str, Any], *, is_node: bool) -> dict[str, Any]:
    """The dumped mapping as one would write it in a file. A node becomes a pipeline around it."""
    if not is_node:
        return _job(dumped)
    node = _job(dumped)
    # What a node does not know is their values.
    return {
        "type": "pipeline",
        "inputs": {name: {} for name in _PARENT.findall(str(node))},
        "jobs": {node.pop("name"): node},
    }


def _job(dumped: Mapping[str, Any]) -> dict[str, Any]:
    job = {key: value for key, value in dumped.items() if value != {}}
    if job.get("mini_batch_size") == "0":
        # How the client writes that none is set.
        del job["mini_batch_size"]
    if isinstance(job.get("inputs"), dict):
        job["inputs"] = {name: _local(value, "path") for name, value in job["inputs"].items()}
    if "task" in job:
        job["task"] = _local(job["task"], "code")
    if isinstance(job.get("component"), dict):
        # What the node has is final, so what the client does when it reads a file does not matter.
        own = [key for key in FALSY_IN_A_STEP if key in job]
        job["component"] = {key: value for key, value in _job(job["component"]).items() if key not in own}
    if isinstance(job.get("jobs"), dict):
        job["jobs"] = {name: _job(step) for name, step in job["jobs"].items()}
    if job.get("type") == "model":
        # It has them twice; those of its settings are sent.
        job = {key: value for key, value in job.items() if key not in DEPLOYMENT_SETTINGS}
    return job


def _local(value: Any, key: str) -> Any:
    """The mapping without what the client writes before a local path of this key."""
    path = value.get(key) if isinstance(value, dict) else None
    return {**value, key: _LOCAL.sub("", path)} if isinstance(path, str) else value

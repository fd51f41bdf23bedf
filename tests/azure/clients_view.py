"""What azure-ai-ml makes of a job definition, and what this project does, in the same words."""

from __future__ import annotations

import os
import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from azure.ai.ml import load_batch_deployment, load_component, load_job
from azure.ai.ml.entities import ParallelComponent
from azure.ai.ml.entities._load_functions import load_model_batch_deployment

from pytest_parallelrun.emulator.setting_table import resolve_setting
from pytest_parallelrun.emulator.setting_types import size
from pytest_parallelrun.job_files.job_step import JobFile, JobStep

SETTINGS = (
    *("mini_batch_size", "partition_keys", "error_threshold", "mini_batch_error_threshold", "max_retries", "timeout"),
    *("instance_count", "max_concurrency_per_instance", "logging_level", "environment_variables", "output_action"),
)

INNER = "pipeline_inner.yml"
"""The one pipeline of the corpus that is a component."""

View = dict[str, object]
"""By the name of a setting, or "code", "script", "arguments", "split", "input": its value, where it is set."""


def load_with_client(file: Path) -> Any:
    """What azure-ai-ml makes of a definition; it has a loader for each kind. Raises what the client raises."""
    text = file.read_text(encoding="utf-8")
    typed = re.search(r"^type: (\w+)", text, re.MULTILINE)
    kind = typed[1] if typed else ""
    if file.name.startswith("deployment"):
        return load_model_batch_deployment(file) if kind == "model" else load_batch_deployment(file)
    return load_component(file) if kind == "parallel" or file.name == INNER else load_job(file)


def client_objects(file: Path) -> list[Any]:
    """What a definition is in Python. Raises what the client raises."""
    if file.suffix != ".py":
        return [load_with_client(file)]
    return [value for value in runpy.run_path(str(file)).values() if type(value).__name__ == "Parallel"]


def client_views(file: Path) -> dict[str, View]:
    """The steps of a definition as azure-ai-ml reads it, by name. Raises what the client raises."""
    objects = client_objects(file)
    if file.suffix == ".py":
        return {node.name: _node(node, {}, file.parent) for node in objects}
    [loaded] = objects
    if file.name.startswith("deployment"):
        return {loaded.name: _deployment(loaded, file.parent)}
    if isinstance(loaded, ParallelComponent):
        return {loaded.name: _component(loaded, file.parent)}
    return dict(_steps(loaded.jobs, "", _declared(loaded.inputs, file.parent), file.parent))


def our_views(job: JobFile) -> dict[str, View]:
    """The same as this project reads it."""
    assert not job.problems, job.problems
    assert all(reading.step for reading in job.steps), [reading.problems for reading in job.steps]
    return {reading.name: _step(reading.step) for reading in job.steps if reading.step is not None}


def _step(step: JobStep) -> View:
    values = {resolve_setting(name)[0]: value for name, value in step.values.items()}
    view: View = {name: values[name] for name in SETTINGS if name in values}
    if "mini_batch_size" in view:
        view["mini_batch_size"] = size("").parse(view["mini_batch_size"])
    if "logging_level" in view:
        view["logging_level"] = str(view["logging_level"]).upper()
    if "append_row_file_name" in values and step.profile == "batch":
        view["output_file_name"] = values["append_row_file_name"]
    view["code"] = str(step.entry.code_root)
    view["script"] = step.entry.module_name
    if isinstance(step.arguments, str):
        view["arguments"] = " ".join(step.arguments.split())
    if step.profile == "v2":
        view["split"] = step.split[0]
        if step.sample({}):
            view["input"] = step.sample({})[0]
    return view


def _module(script: str) -> str:
    """A script as the module that it is, which it may be written as."""
    return script.removesuffix(".py").replace("/", ".")


def _component(component: Any, base: Path) -> View:
    view = _common(component, component, base)
    view.pop("environment_variables", None)
    return view


def _steps(jobs: Mapping[str, Any], prefix: str, around: Mapping[str, Any], base: Path) -> Iterator[tuple[str, View]]:
    for name, node in jobs.items():
        if type(node).__name__ == "Parallel":
            yield f"{prefix}{name}", _node(node, around, base)
        elif type(node).__name__ == "Pipeline":
            inner = {**_declared(node.component.inputs, base), **_given(node, around, base)}
            yield from _steps(node.component.jobs, f"{prefix}{name}.", inner, base)


def _node(node: Any, around: Mapping[str, Any], base: Path) -> View:
    view = _common(node, node.component, base)
    if node.environment_variables:
        view["environment_variables"] = dict(node.environment_variables)
    if "split" in view:
        value = _given(node, around, base).get(str(view["split"]))
        if isinstance(value, Path):
            view["input"] = str(value)
    bound = re.compile(r"\$\{\{parent\.inputs\.(\w+)\}\}")
    for name, value in view.items():
        match = bound.fullmatch(value) if isinstance(value, str) else None
        if match and name in SETTINGS:
            view[name] = around[match[1]]
    return {name: value for name, value in view.items() if value is not None}


def _common(own: Any, component: Any, base: Path) -> View:
    """own: a component, or a node; what a node does not say is sent with its component."""

    def get(name: str) -> Any:
        value = getattr(own, name, None)
        return getattr(component, name, None) if value is None else value

    retry = own.retry_settings
    task = own.task
    view: View = {
        "mini_batch_size": get("mini_batch_size") or None,
        "partition_keys": get("partition_keys"),
        "error_threshold": get("error_threshold"),
        "mini_batch_error_threshold": get("mini_batch_error_threshold"),
        "max_concurrency_per_instance": get("max_concurrency_per_instance"),
        "logging_level": get("logging_level"),
        "instance_count": own.resources.instance_count if own.resources else None,
        "max_retries": retry.max_retries if retry else None,
        "timeout": retry.timeout if retry else None,
        "code": os.path.abspath(base / task.code),
        "script": _module(task.entry_script),
        "arguments": " ".join(task.program_arguments.split()) if task.program_arguments else None,
        "output_action": "append_row" if task.append_row_to else None,
        "split": re.sub(r"\W|inputs", "", get("input_data")),
    }
    return {name: value for name, value in view.items() if value is not None}


def _declared(inputs: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The inputs of a pipeline: paths, and plain values."""
    return {name: _value(getattr(value, "_data", value), {}, base) for name, value in inputs.items()}


def _given(node: Any, around: Mapping[str, Any], base: Path) -> dict[str, Any]:
    return {name: _value(value._data, around, base) for name, value in node.inputs.items()}


def _value(data: Any, around: Mapping[str, Any], base: Path) -> object:
    if type(data).__name__ in ("Input", "_Component"):
        data = data.path if getattr(data, "path", None) else getattr(data, "default", None)
        if isinstance(data, str) and not data.startswith("${{"):
            return Path(os.path.abspath(base / data))
    match = re.fullmatch(r"\$\{\{parent\.inputs\.(\w+)\}\}", data) if isinstance(data, str) else None
    return around.get(match[1]) if match else data


def _deployment(deployment: Any, base: Path) -> View:
    settings = getattr(deployment, "settings", None) or deployment
    retry = settings.retry_settings
    action = settings.output_action
    view: View = {
        "mini_batch_size": settings.mini_batch_size,
        "error_threshold": settings.error_threshold,
        "max_concurrency_per_instance": settings.max_concurrency_per_instance,
        "logging_level": settings.logging_level.upper() if settings.logging_level else None,
        "instance_count": deployment.resources.instance_count
        if deployment.resources
        else getattr(settings, "instance_count", None),
        "max_retries": retry.max_retries if retry else None,
        "timeout": retry.timeout if retry else None,
        "environment_variables": settings.environment_variables or None,
        "output_action": str(getattr(action, "value", action)).lower() if action else None,
        "output_file_name": settings.output_file_name,
        "code": os.path.abspath(base / deployment.code_configuration.code),
        "script": _module(deployment.code_configuration.scoring_script),
    }
    return {name: value for name, value in view.items() if value is not None}

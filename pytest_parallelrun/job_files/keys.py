"""The keys of job files: allowed values, and the settings they set. Tables, and how to read a mapping with them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_parallelrun.job_files.tree import STARS, Opaque, Problems, Table


@dataclass(frozen=True)
class Key:
    """One key.

    setting: the field of JobSettings that it sets. below: the keys of its mapping. required: must be present.
    type: what the client accepts: a "text", a "word" with this exact spelling, a "whole number", a "list", or "any" if
    it is validated elsewhere.
    named: it has no effect here, and the plan says so. Others without a setting are read, or do not affect a run.
    """

    setting: str | None = None
    below: Mapping[str, Key] | None = None
    required: bool = False
    type: str = "any"
    named: bool = False


DECIDING = (
    *("mini_batch_size", "partition_keys", "error_threshold", "mini_batch_error_threshold", "max_retries", "timeout"),
    *("instance_count", "max_concurrency_per_instance"),
)
"""Settings that decide the outcome of a job: a possible misspelling of one is never ignored."""
_DECIDING_WORDS = re.compile(r"thresh|retr(y|ies)|tries|timeout|partition|failed_|mini_?batch")
CLOSE = 0.7

READ = Key()
NAMED = Key(named=True)
WHOLE = "whole number"


def _setting(type: str, *names: str) -> dict[str, Key]:
    """Keys with the names of the settings that they set."""
    return {name: Key(name, type=type) for name in names}


METADATA = dict.fromkeys(
    ("$schema", "name", "version", "description", "tags", "properties", "display_name", "experiment_name", "id"), READ
) | dict.fromkeys(("comment", "creation_context", "latest_version", "auto_delete_setting"), READ)

RESOURCES = {
    **_setting(WHOLE, "instance_count"),
    **dict.fromkeys(
        ("instance_type", "properties", "docker_args", "shm_size", "locations", "max_instance_count"), NAMED
    ),
}
RETRY_SETTINGS = _setting(WHOLE, "max_retries", "timeout")

TASK = {
    "type": Key(required=True),
    "code": Key(required=True),
    "entry_script": Key(required=True),
    "program_arguments": READ,
    "append_row_to": READ,
    "environment": Key(required=True, named=True),
    "model": NAMED,
}

PARALLEL = {
    **METADATA,
    "type": READ,
    "inputs": READ,
    "outputs": READ,
    "input_data": Key(required=True),
    "task": Key(required=True, below=TASK),
    **_setting("text", "mini_batch_size"),
    **_setting("list", "partition_keys"),
    **_setting(WHOLE, "error_threshold", "mini_batch_error_threshold", "max_concurrency_per_instance"),
    "retry_settings": Key(below=RETRY_SETTINGS),
    **_setting("word", "logging_level"),
    "resources": Key(below=RESOURCES),
    "is_deterministic": NAMED,
}
"""Of a parallel component. YAML reference of the parallel job; schema of the azure-ai-ml SDK for `error_threshold`."""

COMPONENT = {**PARALLEL, "name": Key(required=True)}
"""For a component that is gated alone; for a step of a pipeline it needs no name."""

STEP = {
    **PARALLEL,
    "component": READ,
    "compute": NAMED,
    "identity": NAMED,
    "environment_variables": Key("environment_variables"),
}
"""Of a parallel step of a pipeline."""

FUNCTION = {
    **STEP,
    **{name: RESOURCES[name] for name in ("instance_count", "instance_type", "docker_args", "shm_size")},
}
"""Keywords of parallel_run_function(): SDK reference."""

DEPLOYMENT_SETTINGS = {
    **_setting(WHOLE, "max_concurrency_per_instance", "error_threshold"),
    **_setting("text", "logging_level"),
    **_setting(WHOLE, "mini_batch_size"),
    "retry_settings": Key(below=RETRY_SETTINGS),
    **_setting("text", "output_action"),
    "output_file_name": Key("append_row_file_name", type="text"),
    "environment_variables": Key("environment_variables"),
}

DEPLOYMENT_BASE = {
    **METADATA,
    "type": READ,
    "endpoint_name": READ,
    "code_configuration": Key(below={"code": Key(required=True), "scoring_script": Key(required=True)}),
    "model": READ,
    "environment": NAMED,
    "compute": NAMED,
    "resources": Key(below=RESOURCES),
}
PIPELINE = {
    **METADATA,
    **dict.fromkeys(("type", "jobs", "inputs", "outputs", "status", "services", "log_files", "component"), READ),
    **dict.fromkeys(("compute", "identity", "settings", "is_deterministic"), READ),
}
"""Of a pipeline, as a job or as a component. Computers are not emulated, and do not belong to a step."""

NEW_DEPLOYMENT = {
    **DEPLOYMENT_BASE,
    "settings": Key(below={**DEPLOYMENT_SETTINGS, **_setting(WHOLE, "instance_count")}),
}
"""Of a batch deployment with `type: model`. YAML reference of the batch deployment."""
OLD_DEPLOYMENT = {**DEPLOYMENT_BASE, **DEPLOYMENT_SETTINGS}
"""Of one without `type`, which has its settings at the root."""

CONFIG = {
    "environment": Key(required=True, named=True),
    "entry_script": Key(required=True),
    "error_threshold": Key("error_threshold", required=True, type=WHOLE),
    "output_action": Key("output_action", required=True, type="text"),
    "compute_target": Key(required=True, named=True),
    "node_count": Key("node_count", required=True, type=WHOLE),
    **_setting(WHOLE, "process_count_per_node"),
    **_setting("any", "mini_batch_size"),
    "source_directory": READ,
    "description": READ,
    **_setting("text", "logging_level"),
    **_setting(WHOLE, "run_invocation_timeout", "run_max_try"),
    **_setting("text", "append_row_file_name"),
    **_setting(WHOLE, "allowed_failed_count"),
    **_setting("any", "allowed_failed_percent"),
    **_setting("list", "partition_keys"),
    **_setting("any", "environment_variables"),
}
"""Keywords of ParallelRunConfig(): SDK reference."""

CONFIG_STEP = {
    "name": Key(required=True),
    "parallel_run_config": Key(required=True),
    "inputs": Key(required=True),
    "output": READ,
    "side_inputs": READ,
    "arguments": READ,
    "allow_reuse": NAMED,
    "models": NAMED,
}
"""Keywords of ParallelRunStep(): SDK reference; of azureml.contrib for `models`."""

PIPELINE_STEP = {
    **dict.fromkeys(("type", "name", "source_directory", "parameters", "outputs", "compute_target"), READ),
    **{name: key for name, key in CONFIG_STEP.items() if name not in ("name", "output")},
}
"""Keys of a step in a pipeline of the CLI v1: its YAML reference."""

OTHER_VERSION = {
    "allowed_failed_count": "mini_batch_error_threshold",
    "run_max_try": "retry_settings.max_retries",
    "run_invocation_timeout": "retry_settings.timeout",
    "node_count": "resources.instance_count",
    "process_count_per_node": "max_concurrency_per_instance",
    "source_directory": "task.code",
    "arguments": "task.program_arguments",
    "output_action": "task.append_row_to",
    "append_row_file_name": "task.append_row_to",
    "compute_target": "compute",
    "allowed_failed_percent": "task.program_arguments, as --allowed_failed_percent",
    "side_inputs": "inputs",
}
"""v1 name -> v2 name. Source: migration guide from ParallelRunStep to parallel jobs."""

_FROM_V2 = {v2.rpartition(".")[2]: v1 for v1, v2 in OTHER_VERSION.items() if v1 != "side_inputs"} | {
    "retry_settings": "run_max_try and run_invocation_timeout",
    "resources": "node_count",
    "task": "source_directory and entry_script",
    "program_arguments": "arguments, of ParallelRunStep",
    "append_row_to": "output_action and append_row_file_name",
}
_FROM_PARALLEL_JOB = {
    "program_arguments": "environment_variables, since a batch deployment has no program arguments",
    "mini_batch_error_threshold": "error_threshold, which is all that a batch deployment has",
    "entry_script": "code_configuration.scoring_script",
    "append_row_to": "output_action and output_file_name",
    "append_row_file_name": "output_file_name",
    "task": "code_configuration",
    "instance_count": "resources.instance_count",
}


def check_keys(
    table: Table,
    keys: Mapping[str, Key],
    problems: Problems,
    *,
    owner: str,
    optional: Collection[str] = (),
    unread: Sequence[Opaque] = (),
    dropped: dict[str, str] | None = None,
) -> None:
    """Reports unknown keys, and missing required ones, here and below.

    owner: what has these keys, such as "a parallel component". optional: keys that are not required this time. unread:
    arguments of a call that are not literals, which may contain any of the keys. dropped: takes a sentence on each
    unknown key that the client drops silently, unless it resembles one that decides the outcome; None if the client
    refuses unknown keys.
    """
    for argument in unread:
        problems.add(argument.location, f"`{argument.text}` cannot be read: {argument.why}")
    if unread or STARS in table.entries:
        optional = keys
    for name in table.entries:
        if name in keys or name == STARS:
            continue
        if dropped is None or _may_decide(name, keys) or _nearest_required(name, keys, table):
            problems.add(table.keys[name], f"there is no key '{name}' in {owner}. {_advice(name, keys)}")
        else:
            location = table.keys[name]
            dropped[f"{name} {location}"] = (
                f"the key '{name}' in {owner} ({location.origin}) has no effect: the client drops it"
            ) + _elsewhere(name, keys)
    for name, key in keys.items():
        node = table.get(name)
        if key.required and name not in optional and node is None:
            problems.add(table.location, f"{owner} needs the key '{name}'")
        elif key.below is not None and node is not None:
            if isinstance(node, Table):
                check_keys(node, key.below, problems, owner=f"'{name}'", optional=optional, dropped=dropped)
            elif not (isinstance(node, Opaque) and (deciding_below(key.below) or name == "task")):
                problems.add(node.location, f"'{name}' must be a mapping, and is {node.described}")


def deciding_below(keys: Mapping[str, Key]) -> list[str]:
    """The settings of these keys that decide the outcome."""
    names: list[str] = []
    for key in keys.values():
        if key.below is not None:
            names += deciding_below(key.below)
        elif key.setting in DECIDING:
            names.append(key.setting)
    return names


def _may_decide(name: str, keys: Mapping[str, Key]) -> bool:
    """Whether an unknown key resembles one that decides the outcome."""
    _, misplaced = _below(name, keys)
    if misplaced is not None:
        return misplaced.setting in DECIDING
    if name in STEP:
        return _decides(STEP[name])
    renamed = _renamed(name, keys)
    if renamed.rpartition(".")[2] in DECIDING or _DECIDING_WORDS.search(_word(name)):
        return True
    candidates = dict(keys)
    for key in keys.values():
        candidates.update(key.below or {})
    near = _nearest(name, candidates, CLOSE)
    return near is not None and _decides(candidates[near])


def _decides(key: Key) -> bool:
    return key.setting in DECIDING or bool(key.below and deciding_below(key.below))


def _nearest_required(name: str, keys: Mapping[str, Key], table: Table) -> bool:
    """Whether an unknown key resembles a required one that is missing."""
    missing = [key for key, value in keys.items() if value.required and key not in table.entries]
    return _nearest(name, missing, CLOSE) is not None or _renamed(name, keys).rpartition(".")[2] in missing


def _below(name: str, keys: Mapping[str, Key]) -> tuple[str, Key | None]:
    """The key whose mapping has a key of this name, and that one."""
    found = ((parent, key.below[name]) for parent, key in keys.items() if key.below and name in key.below)
    return next(found, ("", None))


def _nearest(name: str, names: Iterable[str], cutoff: float) -> str | None:
    return next(iter(difflib.get_close_matches(_word(name), list(names), n=1, cutoff=cutoff)), None)


def _word(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|-", "_", name).lower()


def _elsewhere(name: str, keys: Mapping[str, Key]) -> str:
    """Where a dropped key belongs, for the end of a sentence; "" if it is no key at all."""
    parent, _ = _below(name, keys)
    if parent:
        return f"; it belongs below '{parent}'"
    if keys is COMPONENT and name in STEP:
        return "; it belongs to the step of the pipeline that uses the component"
    renamed = _renamed(name, keys)
    return f"; here it is {renamed}" if renamed else ""


def _advice(name: str, keys: Mapping[str, Key]) -> str:
    """Where the key belongs, its name here, or the nearest one."""
    parent, misplaced = _below(name, keys)
    if misplaced is None or misplaced.setting is None:
        if keys is COMPONENT and name in STEP:
            return "It belongs to the step of the pipeline that uses the component."
        if renamed := _renamed(name, keys):
            return f"Here it is {renamed}."
    if parent:
        return f"It belongs below '{parent}': {parent}.{name}."
    if near := _nearest(name, keys, 0.6):
        return f"Did you mean '{near}'?"
    for parent, key in keys.items():
        if near := _nearest(name, key.below or (), 0.75):
            return f"Did you mean '{parent}.{near}'?"
    return f"Allowed: {', '.join(key for key in keys if key not in METADATA or key == 'name')}."


def _renamed(name: str, keys: Mapping[str, Key]) -> str:
    """The name of a key of another version or kind of job; "" if it is none."""
    if "run_max_try" in keys or "parallel_run_config" in keys:
        return _FROM_V2.get(name, "")
    if "endpoint_name" in keys or "output_file_name" in keys:
        return _FROM_PARALLEL_JOB.get(name) or OTHER_VERSION.get(name, "").replace("task.", "")
    return "task.entry_script" if name == "scoring_script" else OTHER_VERSION.get(name, "")

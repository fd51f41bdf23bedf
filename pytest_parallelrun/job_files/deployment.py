"""A batch deployment, in both of its layouts. Source: YAML reference of the batch deployment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_parallelrun.emulator.splitting.input_paths import REMOTE
from pytest_parallelrun.job_files.environment import read_environment
from pytest_parallelrun.job_files.inputs import ALONE, InputValue, local_path, look_up
from pytest_parallelrun.job_files.job_step import JobStep, ReadSettings, StepReading
from pytest_parallelrun.job_files.keys import (
    DEPLOYMENT_SETTINGS,
    NEW_DEPLOYMENT,
    OLD_DEPLOYMENT,
    READ,
    WHOLE,
    Key,
    check_keys,
)
from pytest_parallelrun.job_files.script import GivenCode, check_found, find_script
from pytest_parallelrun.job_files.settings import read_settings
from pytest_parallelrun.job_files.tree import Node, Opaque, Problems, Table, text_of

ONLINE = (
    "instance_type",
    "request_settings",
    "liveness_probe",
    "readiness_probe",
    "scale_settings",
    "app_insights_enabled",
)
CALL = {
    **NEW_DEPLOYMENT,
    **DEPLOYMENT_SETTINGS,
    "instance_count": Key("instance_count", type=WHOLE),
    "code_path": READ,
    "scoring_script": READ,
}
"""Keywords of ModelBatchDeployment() and BatchDeployment(), old ones at the root too: SDK reference."""
BATCH = ("code_configuration", "endpoint_name")
INPUT = "input"
"""Name of the input of an endpoint call; the job file has none."""


def is_deployment(table: Table) -> bool:
    """Whether the file is a batch deployment, not an online one, which has the same keys."""
    schema = (table.text("$schema") or "").lower()
    if "deployment" in schema:
        return "batch" in schema or "online" not in schema
    kind = table.type
    if kind not in ("", "model", "pipeline") or any(name in table.entries for name in ONLINE):
        return False
    return any(name in table.entries for name in BATCH)


def read_deployment(table: Table, *, given: GivenCode) -> StepReading:
    problems = Problems()
    name = table.text("name") or table.location.file.stem
    kind = table.type
    if kind == "pipeline":
        problems.add(
            table.entries["type"].location,
            "this deployment runs a pipeline: give the file of that pipeline with --parallelrun-job=FILE",
        )
        return StepReading.failed(name, None, problems)
    keys = NEW_DEPLOYMENT if kind == "model" else OLD_DEPLOYMENT
    if kind != "model" and "settings" in table.entries:
        problems.add(
            table.keys["settings"], "'settings' needs type: model beside it; without a type its keys are at the root"
        )
        table = table.without("settings")
    elif kind == "model":
        misplaced = [key for key in table.entries if key in DEPLOYMENT_SETTINGS and key not in keys]
        for key in misplaced:
            problems.add(table.keys[key], f"with type: model '{key}' belongs below 'settings': settings.{key}")
        table = table.without(*misplaced)
    check_keys(table, keys, problems, owner="a batch deployment")
    return _read(table, name, keys, problems, given, {})


def read_deployment_call(
    table: Table, name: str, function: str, *, given: GivenCode, unread: Sequence[Opaque]
) -> StepReading:
    """A call of ModelBatchDeployment() or BatchDeployment(). unread: arguments that are not literals."""
    problems, dropped = Problems(), dict[str, str]()
    check_keys(table, CALL, problems, owner=f"{function}()", unread=unread, dropped=dropped)
    return _read(table, name, CALL, problems, given, dropped)


def _read(
    table: Table,
    name: str,
    keys: Mapping[str, Key],
    problems: Problems,
    given: GivenCode,
    dropped: dict[str, str],
) -> StepReading:
    configuration = table.get("code_configuration")
    if configuration is None and "scoring_script" in table.entries:
        # Keywords of a call.
        renamed = {"code_path": "code", "scoring_script": "scoring_script"}
        entries = {new: table.entries[old] for old, new in renamed.items() if old in table.entries}
        configuration = Table(table.location, entries, dict.fromkeys(entries, table.location))
    if configuration is None:
        model = f" Its model ({table.text('model')})" if table.text("model") else " A model of MLflow"
        problems.add(
            table.location,
            f"there is no script to gate: the deployment has no code_configuration.{model} is scored by a script that "
            "the service makes itself",
        )
        return StepReading.failed(name, None, problems)
    parts = configuration if isinstance(configuration, Table) else Table(table.location, {}, {})
    names = ("code_configuration.code", "code_configuration.scoring_script")
    code, script = parts.entries.get("code"), parts.entries.get("scoring_script")
    entry = find_script(code, script, problems, names=names, given=given)

    read = ReadSettings(notes=dropped)
    read.put("profile", "batch", table.location)
    read_settings(table, keys, lambda binding, location: look_up(binding, {}, ALONE, location), problems, read)
    if read.values.get("output_action") == "summary_only" and "append_row_file_name" in read.values:
        problems.add(
            read.locations["append_row_file_name"],
            f"output_file_name={read.values['append_row_file_name']!r} needs output_action: append_row; with "
            "summary_only nothing is appended. Remove one",
        )
    model_path = _model(table.entries.get("model"), problems)
    check_found(entry, table.location, problems)
    if problems or entry is None:
        return StepReading.failed(name, entry, problems)
    step = JobStep(
        name=name,
        location=table.location,
        profile="batch",
        entry=entry,
        **vars(read),
        inputs={INPUT: InputValue(name=INPUT, location=table.location, why="comes with each call of the endpoint")},
        split=(INPUT,),
        model=model_path,
        environment=read_environment(table.get("environment")),
    )
    return StepReading(name, entry.path, step)


def _model(node: Node | None, problems: Problems) -> Path | None:
    """A local model; None for a registered one."""
    path = node.entries.get("path") if isinstance(node, Table) else node
    text = text_of(path)
    if path is None or not text or REMOTE.match(text):
        return None
    model = Path(local_path(text, path.location))
    if not os.path.exists(model):
        problems.add(path.location, f"model {text!r} does not exist (looked for '{model}')")
    return model

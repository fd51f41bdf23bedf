"""MLflow in a worker: a tracking store and an active run. MLflow itself is never imported here.

The store is a folder of files, which every version reads, mlflow-skinny too. Each worker has its own store next to its
working folder, because these files have no locks: workers that share one fail now and then, unlike with a tracking
server. The run has the same id in each, because a job has one run.

In this process all workers and the host share MLflow, so the state of its modules is swapped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from pytest_parallelrun.emulator.worker.file_watch import unwatched
from pytest_parallelrun.emulator.worker_plan import WorkerPlan

STORES = "mlflow"
"""The folder of the stores in that of a job."""
RUN_ID = "0" * 32
_EXPERIMENT_ID, _EXPERIMENT_NAME = "0", "Default"
_RUN_FOLDERS = ("artifacts", "metrics", "params", "tags")
_EXPERIMENT = """\
artifact_location: {folder}
experiment_id: '{id}'
lifecycle_stage: active
name: {name}
"""
_RUN = """\
artifact_uri: {folder}/{run}/artifacts
end_time: null
entry_point_name: ''
experiment_id: '{id}'
lifecycle_stage: active
run_id: '{run}'
run_name: parallelrun
run_uuid: '{run}'
source_name: ''
source_type: 4
source_version: ''
start_time: 0
status: 1
tags: []
user_id: ''
"""


def tracking_environment(plan: WorkerPlan, worker: str) -> dict[str, str]:
    """The variables with which MLflow in that worker finds its store, which is created, and the run.

    None if the job itself sets a store or a run.
    """
    given = plan.environment
    if "MLFLOW_TRACKING_URI" in given or "MLFLOW_RUN_ID" in given:
        return {}
    store = plan.folder / STORES / worker
    name = given.get("MLFLOW_EXPERIMENT_NAME", _EXPERIMENT_NAME)
    _make_store(store, name)
    return {
        "MLFLOW_TRACKING_URI": store.as_uri(),
        "MLFLOW_RUN_ID": RUN_ID,
        "MLFLOW_EXPERIMENT_ID": _EXPERIMENT_ID,
        "MLFLOW_EXPERIMENT_NAME": name,
        "MLFLOW_ALLOW_FILE_STORE": "true",
        # A gate sends nothing that the script does not send.
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _make_store(store: Path, name: str) -> None:
    experiment = store / _EXPERIMENT_ID
    for folder in _RUN_FOLDERS:
        (experiment / RUN_ID / folder).mkdir(parents=True, exist_ok=True)
    facts = {"folder": experiment.as_uri(), "id": _EXPERIMENT_ID, "name": json.dumps(name), "run": RUN_ID}
    with unwatched():
        (experiment / "meta.yaml").write_text(_EXPERIMENT.format_map(facts), encoding="utf-8")
        (experiment / RUN_ID / "meta.yaml").write_text(_RUN.format_map(facts), encoding="utf-8")


_FLUENT = "mlflow.tracking.fluent"
_PLACES = (
    ("mlflow.tracking._tracking_service.utils", "_tracking_uri"),
    ("mlflow.tracking._model_registry.utils", "_registry_uri"),
    (_FLUENT, "_active_experiment_id"),
    (_FLUENT, "_active_run_stack"),
    (_FLUENT, "_last_active_run_id"),
    (_FLUENT, "_last_logged_model_id"),
    (_FLUENT, "_ACTIVE_MODEL_CONTEXT"),
)
"""State of MLflow by module that one user sets and another would see; not every version has each.

Without the import finder: one serves all workers, and each further one would ask all others for each module.
"""

MLflowState = Mapping[tuple[str, str], Any]


def exchange_state(state: MLflowState) -> MLflowState:
    """Puts the state of another user into MLflow, or that of a new process; returns the previous state."""
    before = {}
    for place in _PLACES:
        module, name = sys.modules.get(place[0]), place[1]
        if module is not None and hasattr(module, name):
            before[place] = getattr(module, name)
            setattr(module, name, state[place] if place in state else _fresh(before[place]))
    return before


def _fresh(value: Any) -> Any:
    if hasattr(value, "default_factory"):
        # A variable with a value in each thread.
        return type(value)(value.default_factory)
    return [] if isinstance(value, list) else None


_AUTOLOGGING = "mlflow.utils.autologging_utils"
_INTEGRATIONS = (_AUTOLOGGING, "AUTOLOGGING_INTEGRATIONS")
_IMPORT_HOOKS = ("mlflow.utils.import_hooks", "_post_import_hooks")
_PATCHES = (f"{_AUTOLOGGING}.safety", "_AUTOLOGGING_PATCHES")
_REGISTERS = (_INTEGRATIONS, _IMPORT_HOOKS, _PATCHES)


@contextmanager
def autologging_restored() -> Iterator[None]:
    """Undoes what `autolog()` does to other packages, and would do to later imports."""
    before = {place: {name: copy(value) for name, value in _register(place).items()} for place in _REGISTERS}
    try:
        yield
    finally:
        for integration in _register(_PATCHES).keys() - before[_PATCHES].keys():
            sys.modules[_PATCHES[0]].revert_patches(integration)
        # Each registered itself when it was imported, which happens once.
        before[_INTEGRATIONS] = {**{name: {} for name in _register(_INTEGRATIONS)}, **before[_INTEGRATIONS]}
        for place in (_INTEGRATIONS, _IMPORT_HOOKS):
            register = _register(place)
            register.clear()
            register.update(before[place])


def _register(place: tuple[str, str]) -> dict[str, Any]:
    """State of that module of MLflow by name; empty if it is not loaded."""
    register: dict[str, Any] = getattr(sys.modules.get(place[0]), place[1], {})
    return register

"""What a worker has for MLflow, without MLflow: tests/mlflow has the real one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.entry import EntryObject
from pytest_parallelrun.emulator.service.mlflow_tracking import (
    RUN_ID,
    autologging_restored,
    exchange_state,
    tracking_environment,
)
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched, files_watched
from pytest_parallelrun.emulator.worker_plan import WorkerPlan
from tests.emulator._scripts import errors, make_input, run_script, write_files

TELLS = """
import os, sys
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

def init():
    global found
    found = {name: os.environ[name] for name in os.environ if name.startswith("MLFLOW_")}
    store = found.get("MLFLOW_TRACKING_URI", "")
    if store.startswith("file:"):
        experiment = Path(url2pathname(urlparse(store).path), found["MLFLOW_EXPERIMENT_ID"])
        run = experiment / found["MLFLOW_RUN_ID"]
        found["experiment"] = (experiment / "meta.yaml").read_text(encoding="utf-8")
        found["run"] = (run / "meta.yaml").read_text(encoding="utf-8")
        found["folders"] = sorted(path.name for path in run.iterdir() if path.is_dir())
        found["working folder"] = os.listdir()
    # As MLflow does when the run is begun.
    os.environ.pop("MLFLOW_RUN_ID", None)

def run(paths):
    return [found]
"""


@pytest.fixture(autouse=True)
def _shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://store.example")
    monkeypatch.setenv("MLFLOW_RUN_ID", "of-the-shell")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")


def told(folder: Path, *, engine: str = "inprocess", **settings: Any) -> list[dict[str, Any]]:
    code = write_files(folder / "my code", {"score.py": TELLS})
    settings.setdefault("max_concurrency_per_instance", 2)
    result = ParallelJob(
        code / "score.py", make_input(folder), JobSettings(max_retries=0, **settings), engine=engine
    ).run()
    assert errors(result) == []
    rows: list[Any] = list(result.rows)
    return rows


@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_each_worker_has_a_store_and_an_active_run(tmp_path: Path, engine: str) -> None:
    rows = told(tmp_path, engine=engine)
    if engine == "inprocess":
        assert len({row["MLFLOW_TRACKING_URI"] for row in rows}) == 2
    for row in rows:
        experiment, run = yaml.safe_load(row["experiment"]), yaml.safe_load(row["run"])
        assert experiment["experiment_id"] == run["experiment_id"] == row["MLFLOW_EXPERIMENT_ID"] == "0"
        assert experiment["name"] == row["MLFLOW_EXPERIMENT_NAME"] == "Default"
        assert run["run_id"] == run["run_uuid"] == row["MLFLOW_RUN_ID"] == RUN_ID
        assert run["artifact_uri"] == f"{experiment['artifact_location']}/{RUN_ID}/artifacts"
        assert run["lifecycle_stage"] == experiment["lifecycle_stage"] == "active"
        assert row["folders"] == ["artifacts", "metrics", "params", "tags"]
        assert row["working folder"] == []
    assert os.environ["MLFLOW_RUN_ID"] == "of-the-shell"


def test_the_store_is_gone_with_the_folder_of_the_job_and_is_no_output(tmp_path: Path) -> None:
    code = write_files(tmp_path / "code", {"score.py": TELLS})
    ParallelJob(code / "score.py", make_input(tmp_path), output=tmp_path / "out").run()
    assert list((tmp_path / "out").rglob("meta.yaml")) == []


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"])
def test_what_the_job_names_itself_stays(tmp_path: Path, name: str) -> None:
    rows = told(tmp_path, environment_variables={name: "of-the-job"}, max_concurrency_per_instance=1)
    assert rows[0][name] == "of-the-job"
    assert "MLFLOW_ALLOW_FILE_STORE" not in rows[0]


def test_the_experiment_has_the_name_that_the_job_gives_it(tmp_path: Path) -> None:
    name = 'it\'s: a "test" äöü'
    rows = told(tmp_path, environment_variables={"MLFLOW_EXPERIMENT_NAME": name})
    assert {row["MLFLOW_EXPERIMENT_NAME"] for row in rows} == {name}
    assert yaml.safe_load(rows[0]["experiment"])["name"] == name


def test_the_store_is_nothing_that_the_script_wrote(tmp_path: Path) -> None:
    touched = FilesTouched()
    plan = WorkerPlan(entry=EntryObject(None), folder=tmp_path)
    with files_watched(touched):
        tracking_environment(plan, "process000")
    assert len(list(tmp_path.rglob("meta.yaml"))) == 2
    assert not touched.written


class _PerThread:
    """As MLflow's own class for it."""

    def __init__(self, default_factory: Any) -> None:
        self.default_factory = default_factory
        self.value = default_factory()

    def get(self) -> Any:
        return self.value


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Modules of an installed MLflow, loaded by the host, which has set things."""
    parts = ["", ".tracking", ".tracking.fluent", ".tracking._tracking_service", ".tracking._tracking_service.utils"]
    parts += [".utils", ".utils.import_hooks", ".utils.autologging_utils", ".utils.autologging_utils.safety"]
    made: dict[str, Any] = {}
    for part in parts:
        module = ModuleType(f"mlflow{part}")
        module.__file__ = str(tmp_path / "site-packages" / "mlflow" / "module.py")
        made[part] = module
        monkeypatch.setitem(sys.modules, module.__name__, module)
    fluent, tracking = made[".tracking.fluent"], made[".tracking._tracking_service.utils"]
    tracking._tracking_uri = "of the host"
    fluent._active_experiment_id = "1"
    fluent._active_run_stack = _PerThread(lambda: ["run of the host"])
    fluent._active_run_stack.default_factory = list
    made[".utils.import_hooks"]._post_import_hooks = {"host": ["hook"]}
    made[".utils.autologging_utils"].AUTOLOGGING_INTEGRATIONS = {"host": {"log": True}}
    safety = made[".utils.autologging_utils.safety"]
    safety._AUTOLOGGING_PATCHES = {"host": {"patch"}}
    safety.revert_patches = safety._AUTOLOGGING_PATCHES.pop
    return made


USES = """
import sys
from multiprocessing import current_process

fluent = sys.modules["mlflow.tracking.fluent"]
tracking = sys.modules["mlflow.tracking._tracking_service.utils"]

def init():
    global found
    found = [tracking._tracking_uri, fluent._active_experiment_id, list(fluent._active_run_stack.get())]
    tracking._tracking_uri = "of a worker"
    fluent._active_run_stack.get().append("run of a worker")
    sys.meta_path.insert(0, Finder())

class Finder:
    def find_spec(self, name, path=None, target=None):
        return None

def run(paths):
    kept = [tracking._tracking_uri, list(fluent._active_run_stack.get()), type(sys.meta_path[0]) is Finder]
    return [[*found, *kept] for path in paths]
"""


def test_what_mlflow_keeps_is_apart_for_each_worker_and_for_the_host(modules: dict[str, Any], tmp_path: Path) -> None:
    stack = modules[".tracking.fluent"]._active_run_stack
    result = run_script(tmp_path, USES, max_concurrency_per_instance=2)
    assert errors(result) == []
    fresh: list[object] = [None, None, []]
    assert result.rows == [[*fresh, "of a worker", ["run of a worker"], True]] * 2
    assert modules[".tracking._tracking_service.utils"]._tracking_uri == "of the host"
    assert modules[".tracking.fluent"]._active_experiment_id == "1"
    assert modules[".tracking.fluent"]._active_run_stack is stack
    assert stack.get() == ["run of the host"]


def test_what_mlflow_keeps_in_older_versions(modules: dict[str, Any]) -> None:
    fluent = modules[".tracking.fluent"]
    fluent._active_run_stack = runs = ["run of the host"]
    del fluent._active_experiment_id
    host = exchange_state({})
    assert fluent._active_run_stack == []
    assert not hasattr(fluent, "_active_experiment_id")
    exchange_state(host)
    assert fluent._active_run_stack is runs


def test_autologging_ends_with_the_job(modules: dict[str, Any]) -> None:
    integrations = modules[".utils.autologging_utils"].AUTOLOGGING_INTEGRATIONS
    hooks, patches = (
        modules[".utils.import_hooks"]._post_import_hooks,
        modules[".utils.autologging_utils.safety"]._AUTOLOGGING_PATCHES,
    )
    with autologging_restored():
        integrations["host"]["log"] = False
        integrations["of the script"] = {"log": True}
        hooks["host"].clear()
        hooks["of the script"] = ["hook"]
        patches["of the script"] = {"patch"}
    assert integrations == {"host": {"log": True}, "of the script": {}}
    assert hooks == {"host": ["hook"]}
    assert patches == {"host": {"patch"}}

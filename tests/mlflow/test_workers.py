"""MLflow in workers, on every engine that is installed. For mlflow and for mlflow-skinny."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import mlflow
import pytest

from pytest_parallelrun import JobResult, JobSettings, ParallelJob
from pytest_parallelrun.emulator.service.mlflow_tracking import RUN_ID
from tests.conftest import Run, Write
from tests.emulator._scripts import errors, make_input, write_files

ENGINES = ["inprocess", "process"] + ["ray"] * (importlib.util.find_spec("ray") is not None)

LOGS = """
import os
from pathlib import Path

import mlflow

def init():
    mlflow.log_param("kind", "small")
    mlflow.set_tag("team", "a")

def run(paths):
    mlflow.log_metric("files", len(paths))
    mlflow.log_metrics({"a": 1.0, "b": 2.0}, step=len(paths))
    mlflow.log_dict({"paths": [os.path.basename(path) for path in paths]}, "last.json")
    with mlflow.start_run(run_name="one mini-batch", nested=True):
        mlflow.log_param("first", paths[0])
    active = mlflow.active_run().info.run_id
    logged = mlflow.get_run(active).data
    return [(Path(path).name, active, logged.params["kind"], logged.metrics["files"]) for path in paths]

def shutdown():
    mlflow.end_run()
"""


def run(folder: Path, source: str, engine: str = "inprocess", **settings: Any) -> JobResult:
    settings.setdefault("max_concurrency_per_instance", 2)
    code = write_files(folder / "my code", {"score.py": source})
    result = ParallelJob(
        code / "score.py", make_input(folder, 3), JobSettings(max_retries=0, **settings), engine=engine
    ).run()
    assert errors(result) == []
    assert result.status == "Completed", result.explain()
    return result


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run of the host's own, which goes on while jobs run."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "of the host").as_uri())
    with mlflow.start_run() as active:
        yield active
    mlflow.set_tracking_uri(None)


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_log_to_an_active_run(tmp_path: Path, engine: str) -> None:
    rows: list[Any] = list(run(tmp_path, LOGS, engine).rows)
    assert sorted(map(tuple, rows)) == [(f"item{number}.txt", RUN_ID, "small", 1.0) for number in range(3)]


def test_the_host_goes_on_with_its_own_run(tmp_path: Path, host: Any) -> None:
    uri = mlflow.get_tracking_uri()
    run(tmp_path, LOGS)
    assert mlflow.get_tracking_uri() == uri
    active = mlflow.active_run()
    assert active is not None
    assert active.info.run_id == host.info.run_id
    mlflow.log_metric("of the host", 1.0)
    logged = mlflow.get_run(host.info.run_id).data
    assert logged.metrics == {"of the host": 1.0}
    assert logged.params == {}
    assert "MLFLOW_RUN_ID" not in os.environ


def test_a_worker_finds_nothing_that_another_one_has_set(tmp_path: Path, host: Any) -> None:
    source = """
import mlflow

def init():
    global found
    found = mlflow.active_run() is None, mlflow.get_tracking_uri().startswith("file:")
    mlflow.set_tracking_uri("file:./mlruns")
    mlflow.log_param("found", found)

def run(paths):
    return [(*found, mlflow.get_tracking_uri())]
"""
    code = "import os\nos.environ.pop('MLFLOW_RUN_ID', None)\n" + source
    assert run(tmp_path, code).rows == [(True, True, "file:./mlruns")] * 3


def test_an_experiment_of_the_name_that_the_job_has(tmp_path: Path) -> None:
    source = """
import mlflow

def init():
    mlflow.set_experiment("batch scoring")

def run(paths):
    mlflow.log_metric("files", 1)
    return [mlflow.get_experiment(mlflow.active_run().info.experiment_id).name]
"""
    result = run(tmp_path, source, environment_variables={"MLFLOW_EXPERIMENT_NAME": "batch scoring"})
    assert result.rows == ["batch scoring"] * 3


def test_a_store_that_the_job_names_is_the_one(tmp_path: Path) -> None:
    store = (tmp_path / "store").as_uri()
    variables = {"MLFLOW_TRACKING_URI": store, "MLFLOW_ALLOW_FILE_STORE": "true"}
    run(tmp_path, LOGS.replace("RUN_ID", ""), environment_variables=variables, max_concurrency_per_instance=1)
    files = [json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "store").rglob("last.json")]
    assert files == [{"paths": ["item2.txt"]}]


OWN_STORE = """
import os

import mlflow

def init():
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    os.environ.pop("MLFLOW_RUN_ID", None)
    mlflow.set_tracking_uri("file://" + os.environ["AZUREML_BI_OUTPUT_PATH"] + "/tracking")

def run(paths):
    mlflow.log_metric("files", len(paths))
    return [os.path.basename(path) for path in paths]
"""


NAMES = LOGS[: LOGS.index("    active =")] + "    return [os.path.basename(path) for path in paths]\n"
CHECKS = "retry_is_harmless or workers_do_not_collide or leaves_input_unchanged or init_runs or job_completes"


@pytest.mark.parametrize("source", [NAMES, OWN_STORE], ids=["given", "of its own"])
def test_files_of_mlflow_are_no_finding(source: str, project: Path, write: Write, gate: Run) -> None:
    write("score.py", source)
    settings = "--parallelrun-set=output_action=append_row"
    result = gate("--parallelrun-report=report.json", settings, "-W", "error", "-k", CHECKS)
    assert result.ret == 0
    [entry] = json.loads((project / "report.json").read_text(encoding="utf-8"))["entries"]
    assert {check["outcome"] for check in entry["checks"]} == {"passed"}

"""What of the Ray engine must hold where Ray is not installed; tests/ray has the rest."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.engines import engine_maker
from pytest_parallelrun.emulator.engines.ray import cluster
from pytest_parallelrun.emulator.engines.ray.actor import WorkerActor
from pytest_parallelrun.emulator.engines.ray.files import Copies, NodeWorkspace, bundle_of, side_inputs, unpack
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import EntryScriptError, SettingsError
from pytest_parallelrun.emulator.models import stage_models
from pytest_parallelrun.emulator.worker.messages import Message, Returned, Run, Shutdown, Stopped, Up
from pytest_parallelrun.emulator.worker_plan import WorkerPlan
from tests.emulator.jobs import Names, make_files


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    script = tmp_path / "score.py"
    script.write_text("def run(paths):\n    return paths\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"^engine='ray' needs Ray, .*pip install 'pytest-parallelrun\[ray\]'$"):
        ParallelJob(script, make_files(tmp_path, 1), engine="ray")


def test_an_object_is_refused_as_its_nodes_cannot_get_it(tmp_path: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"^engine='ray' takes the path of a script"):
        ParallelJob(Names(), make_files(tmp_path, 1), engine="ray")


def test_an_address_of_the_ray_client_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: "found")
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(SettingsError, match=r"RAY_ADDRESS=ray://head:10001: .* Run pytest on a node of the cluster"):
        cluster.check_ray_possible()


def test_ray_is_not_imported_before_there_is_a_job_for_it() -> None:
    assert engine_maker("ray").__name__ == "RayEngine"
    ask = "import sys; from pytest_parallelrun.emulator.engines import engine_maker; engine_maker('ray')"
    done = subprocess.run([sys.executable, "-c", f"{ask}; sys.exit('ray' in sys.modules)"], check=False)
    assert done.returncode == 0


@pytest.fixture
def actor(tmp_path: Path) -> Iterator[WorkerActor]:
    """What an actor does, in this process, with a worker that is up."""
    script = tmp_path / "score.py"
    script.write_text("def run(paths):\n    return paths\n", encoding="utf-8")
    plan = WorkerPlan(entry=EntryFile(script, tmp_path), folder=tmp_path / "work")
    actor = WorkerActor()
    settings = JobSettings(memory_limit=10**12)
    options: dict[str, Any] = {"init": True, "init_failure": None, "watch": False, "observer": None}
    received = list(actor.start(7, plan, settings, None, False, slot=0, kind="files", **options)[0])
    while not isinstance(received[-1], Up):
        received += actor.receive()[0]
    yield actor
    if actor.ask("number") is not None:
        actor.end(0.0)


def run_of(*numbers: int) -> list[Message]:
    return [
        Run(mini_batch=number, attempt=1, first_item=0, partition=(), payload=[f"item {number}"], drops=0, watch=False)
        for number in numbers
    ]


def test_short_mini_batches_that_a_worker_has_are_answered_together(actor: WorkerActor) -> None:
    actor.post(7, run_of(0, 1, 2))
    together = list(actor.receive()[0])
    answers = together if len(together) == 3 else [*together, *actor.receive()[0]]
    assert len(together) > 1
    assert [vars(answer)["value"] for answer in answers] == [["item 0"], ["item 1"], ["item 2"]]


def test_a_call_that_comes_late_does_not_reach_the_next_worker(actor: WorkerActor) -> None:
    actor.post(6, run_of(0))
    assert actor.ask("is_dead") is False
    assert actor.ask("files") == {}
    actor.post(7, run_of(1))
    [answer] = actor.receive()[0]
    assert isinstance(answer, Returned)
    assert answer.value == ["item 1"]


def test_a_worker_that_is_killed_is_delivered_as_its_end(actor: WorkerActor) -> None:
    actor.ask("kill")
    assert actor.receive()[1]
    assert "was killed by SIGKILL" in actor.end(0.0)[0]
    assert actor.ask("kill") is None


def test_files_that_cannot_be_written_on_a_node_end_its_worker_with_the_reason(
    actor: WorkerActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(mini_batch: int, copies: Copies) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(actor, "_workspace", SimpleNamespace(unpack=unpack))
    [run] = run_of(0)
    assert isinstance(run, Run)
    run.payload = ()
    actor.post(7, [run])
    assert actor.receive()[1]
    assert "could not be written: [Errno 28] No space left on device" in actor.end(0.0)[0]


def test_a_worker_that_is_told_to_ends_by_itself(actor: WorkerActor) -> None:
    actor.post(7, [Shutdown()])
    [stopped] = actor.receive()[0]
    assert isinstance(stopped, Stopped)
    assert actor.end(10.0)[0] == "the worker process ended itself with exit code 0"


def test_an_address_where_nobody_listens_is_refused_at_once() -> None:
    with pytest.raises(SettingsError, match=r"RAY_ADDRESS=127.0.0.1:1: no Ray cluster can be reached there: .*refused"):
        cluster.check_listening("127.0.0.1:1")


def test_an_address_where_something_else_listens_is_refused_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 400 Bad Request")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(SettingsError, match=r"what listens there is no Ray cluster. Give HOST:PORT of its head"):
            cluster.check_listening(f"127.0.0.1:{port}")
        thread.join()


@pytest.fixture
def plan(tmp_path: Path) -> WorkerPlan:
    """Of a job with code, a model, a named output and side inputs, in folders of their own."""
    for name in ("code", "models/m", "parallelrun-work", "output/extra", "elsewhere", "stubs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models" / "m" / "weights.txt").touch()
    (tmp_path / "stubs" / "heavy.py").touch()
    folder, models = tmp_path / "parallelrun-work", {"m": tmp_path / "models" / "m"}
    (tmp_path / "code" / "score.py").write_text("", encoding="utf-8")
    (tmp_path / "elsewhere" / "table.csv").touch()
    return WorkerPlan(
        entry=EntryFile(tmp_path / "code" / "score.py", tmp_path / "code"),
        arguments=(
            f"--extra={tmp_path}/output/extra",
            "--names",
            f"{tmp_path}/code/names.txt",
            f"--table={tmp_path}/elsewhere/table.csv",
        ),
        environment={
            "AZUREML_MODEL_DIR": str(stage_models(models, folder)),
            "PYTHONPATH": f"{tmp_path}/stubs:{tmp_path}/elsewhere2",
            "GONE": f"{tmp_path}/gone",
            "LIKE": f"{tmp_path}/code2",
        },
        folder=folder,
        output_dir=tmp_path / "output",
        models=models,
    )


def test_paths_below_what_a_node_gets_are_those_of_the_node(plan: WorkerPlan, tmp_path: Path) -> None:
    workspace = NodeWorkspace(plan, bundle_of(plan))
    there = workspace.plan
    assert isinstance(there.entry, EntryFile)
    base = there.entry.code_root.parent
    assert there.entry.path.is_file()
    assert there.arguments == (
        f"--extra={base}/output/extra",
        "--names",
        f"{base}/code/names.txt",
        f"--table={tmp_path}/elsewhere/table.csv",
    )
    model_dir = base / "parallelrun-work" / "AZUREML_MODEL_DIR"
    path = f"{base}/stubs:{base}/elsewhere2"
    assert there.environment == {**plan.environment, "AZUREML_MODEL_DIR": str(model_dir), "PYTHONPATH": path}
    assert there.models == {"m": base / "models" / "m"}
    assert (model_dir / "m" / "weights.txt").is_file()
    assert (base / "stubs" / "heavy.py").is_file()
    assert (base / "output" / "extra").is_dir()
    # The models do not come back.
    assert workspace.clear() == ()


def test_a_folder_of_models_that_the_user_names_is_that_of_the_node(plan: WorkerPlan, tmp_path: Path) -> None:
    plan = replace(plan, environment={"AZUREML_MODEL_DIR": f"{tmp_path}/elsewhere"})
    workspace = NodeWorkspace(plan, bundle_of(plan))
    there = workspace.plan
    assert there.environment == plan.environment
    assert not (there.folder / "AZUREML_MODEL_DIR").exists()
    workspace.clear()


def test_a_node_gets_what_links_lead_to_and_folders_that_are_empty(plan: WorkerPlan, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "circle").symlink_to(code)
    (code / "table.csv").symlink_to(tmp_path / "elsewhere" / "table.csv")
    (code / "gone.csv").symlink_to(tmp_path / "gone.csv")
    (code / ".git").mkdir()
    (code / "tool").write_text("#!/bin/sh", encoding="utf-8")
    (code / "tool").chmod(0o755)
    bundle = bundle_of(plan)
    # Other than in this test the node has none of these folders.
    shutil.rmtree(tmp_path / "output")
    workspace = NodeWorkspace(plan, bundle)
    there = workspace.plan
    assert sorted(path.name for path in there.code_root.iterdir()) == ["circle", "score.py", "table.csv", "tool"]
    assert list((there.code_root / "circle").iterdir()) == []
    assert os.access(there.code_root / "tool", os.X_OK)
    assert there.output_dir is not None
    assert (there.output_dir / "extra").is_dir()
    # Nothing comes back that was not written there.
    assert workspace.clear() == ()


def test_paths_of_what_is_here_and_does_not_travel_are_side_inputs(plan: WorkerPlan, tmp_path: Path) -> None:
    assert side_inputs(plan) == [f"{tmp_path}/elsewhere/table.csv"]


def test_files_that_come_back_under_a_name_that_is_there_are_told(plan: WorkerPlan, tmp_path: Path) -> None:
    told = []
    for text in ("one", "two", "two"):
        workspace = NodeWorkspace(plan, bundle_of(plan))
        there = workspace.plan
        assert there.output_dir is not None
        (there.output_dir / "same.txt").write_text(text, encoding="utf-8")
        (there.output_dir / f"of {text}.txt").touch()
        told.append(unpack(workspace.clear() or ()))
    # The same content replaces nothing.
    assert told == [[], [f"{tmp_path}/output/same.txt"], []]
    assert (tmp_path / "output" / "same.txt").read_text("utf-8") == "two"
    assert (tmp_path / "output" / "of one.txt").exists()


def test_what_ray_says_is_told_with_the_cause_and_without_the_rest() -> None:
    error = RuntimeError(
        "The actor died unexpectedly before finishing this task.\n\tclass_name: Carrier\n\tpid: 7\n"
        "The actor died because its node has died."
    )
    told = "The actor died unexpectedly before finishing this task. The actor died because its node has died."
    assert cluster.in_short(error, 200) == told.rstrip(".")
    assert cluster.in_short(error, 20) == "The actor died..."
    assert cluster.in_short(TimeoutError(), 20) == "TimeoutError"

"""What a script asks for and the stand-ins lack is known to the job, whatever the script makes of the error."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun import JobResult, JobSettings, ParallelJob
from pytest_parallelrun.emulator.probe import ProbeSession, probe_startup
from tests.emulator.engines.process.scripts import write_items, write_script

HIDES = """
import os
from azureml.core import Run
def init():
    try: Run.get_context().get_environment()
    except Exception: pass
def run(paths):
    try: Run.get_context().submit_child("x")
    except Exception: pass
    return paths
def shutdown():
    hasattr(Run, "list_by_compute")
"""
THINGS = [f"azureml.core.run.Run.{name}" for name in ("get_environment", "submit_child", "list_by_compute")]


@pytest.fixture(params=["inprocess", "process"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run_job(folder: Path, script: str, engine: str, **settings: object) -> JobResult:
    chosen = JobSettings.from_mapping({"max_retries": 0, **settings})
    data = write_items(folder, "a.txt", "b.txt", "c.txt")
    return ParallelJob(write_script(folder, script), data, chosen, engine=engine).run()


def test_each_gap_is_an_event_once_and_a_note(tmp_path: Path, engine: str) -> None:
    result = run_job(tmp_path, HIDES, engine, max_concurrency_per_instance=2)
    assert result.status == "Completed"
    assert [gap.thing for gap in result.gaps] == THINGS
    assert all("--parallelrun-set azureml=installed" in gap.advice for gap in result.gaps)
    told = [note for note in result.notes if "which the stand-ins of emulated workers lack" in note]
    assert len(told) == 3


def test_a_gap_is_known_even_if_its_process_does_not_live_on(tmp_path: Path) -> None:
    script = HIDES + "def run(paths):\n    hasattr(Run, 'list')\n    os._exit(3)\n"
    result = run_job(tmp_path, script, "process")
    assert "azureml.core.run.Run.list" in [gap.thing for gap in result.gaps]


def test_a_gap_that_a_thread_or_a_child_of_the_script_meets_breaks_nothing(tmp_path: Path, engine: str) -> None:
    script = """
import os, threading
from azureml.core import Run
def run(paths):
    threads = [threading.Thread(target=hasattr, args=(Run, f"gap_{number}")) for number in range(20)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    if not (child := os.fork()):
        hasattr(Run, "of_a_child")
        os._exit(0)
    os.waitpid(child, 0)
    return ["x" * 100_000 for _ in paths]
"""
    result = run_job(tmp_path, script, engine)
    assert (result.status, result.succeeded_items) == ("Completed", 3)
    assert {gap.thing for gap in result.gaps} >= {f"azureml.core.run.Run.gap_{number}" for number in range(20)}


def test_a_start_without_a_job_and_a_session_tell_of_gaps_too(tmp_path: Path, engine: str) -> None:
    data = write_items(tmp_path, "a.txt", "b.txt", "c.txt")
    job = ParallelJob(write_script(tmp_path, HIDES), data, JobSettings(), engine=engine)
    assert [gap.thing for gap in probe_startup(job).gaps] == THINGS[:1]
    with ProbeSession(job, "files") as session:
        session.attempt([str(data / "a.txt")])
    assert [gap.thing for gap in session.gaps] == THINGS[:2]
    with ProbeSession(job, "files") as session:
        assert [gap.thing for gap in session.run(job).gaps] == THINGS[1:2]
    assert [gap.thing for gap in session.gaps] == THINGS[:2]


def test_the_session_tells_files_of_a_model_by_the_paths_that_they_have_without_it(tmp_path: Path, engine: str) -> None:
    script = """
import os
def init():
    folder = os.environ["AZUREML_MODEL_DIR"]
    open(os.path.join(folder, "model", "inner", "w.bin")).close()
    try: open(os.path.join(folder, "w.bin"))
    except FileNotFoundError: pass
def run(paths): return [open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "n.txt")).read()]
"""
    model = tmp_path / "model"
    (model / "inner").mkdir(parents=True)
    (model / "inner" / "w.bin").touch()
    (model / "n.txt").write_text("n", encoding="utf-8")
    data = write_items(tmp_path, "a.txt")
    job = ParallelJob(write_script(tmp_path, script), data, JobSettings(), engine=engine, models=[model])
    with ProbeSession(job, "files") as session:
        attempt = session.attempt([str(data / "a.txt")])
        read = list(session.setting_up.read)
    assert attempt.ended.value == ["n"]
    assert str(model / "n.txt") in attempt.files.read
    assert str(model / "inner" / "w.bin") in read
    assert any(path.endswith("/AZUREML_MODEL_DIR/w.bin") for path in read)


def test_pythonpath_reaches_workers(tmp_path: Path, engine: str) -> None:
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "torch.py").write_text("NAME = 'stub'", encoding="utf-8")
    (tmp_path / "stubs" / "azureml").mkdir()
    (tmp_path / "stubs" / "azureml" / "__init__.py").write_text("NAME = 'own'", encoding="utf-8")
    script = "import torch, azureml\ndef run(paths): return [torch.NAME + azureml.NAME for _ in paths]"
    result = run_job(tmp_path, script, engine, environment_variables={"PYTHONPATH": str(tmp_path / "stubs")})
    assert result.rows == ["stubown"] * 3

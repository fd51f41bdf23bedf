"""What the workers of a job start with."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.entry import EntryObject
from pytest_parallelrun.emulator.worker_plan import MAX_TEMPORARY, WorkerPlan

USES_TEMPORARY_FILES = """
import multiprocessing.util, os, subprocess, sys, tempfile

def init():
    open(os.path.join(tempfile.gettempdir(), f"made_by_{os.getpid()}"), "a").close()

def run(paths):
    folder = tempfile.gettempdir()
    child = subprocess.run([sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"],
                           capture_output=True, text=True).stdout.strip()
    job = os.path.dirname(folder)
    sockets = multiprocessing.util.get_temp_dir().startswith(job) and os.path.isdir(multiprocessing.util.get_temp_dir())
    others = [name for name in os.listdir(folder) if not name.startswith(("made_by_", "pymp-"))]
    return [(folder, child == os.environ["TMPDIR"] == folder and sockets, others)]
"""


@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_the_workers_of_a_machine_share_a_temporary_folder_that_was_empty(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="t", dir=os.path.realpath("/tmp")) as short:
        monkeypatch.setattr("tempfile.tempdir", short)
        (tmp_path / "score.py").write_text(USES_TEMPORARY_FILES, encoding="utf-8")
        settings = JobSettings(mini_batch_size=1, instance_count=2, max_concurrency_per_instance=2)
        files = [tmp_path / name for name in "abcdefgh"]
        for file in files:
            file.touch()
        job = ParallelJob(tmp_path / "score.py", [str(file) for file in files], settings, engine=engine)
        rows: list[Any] = [*job.run().rows, *job.run().rows]
        assert tempfile.gettempdir() == short
        assert all(agree and not others for _, agree, others in rows)
        folders = {Path(folder) for folder, *_ in rows}
        # One for each machine of each job.
        assert {folder.name for folder in folders} == {"tmp0", "tmp1"}
        assert len(folders) == 4
        assert all(folder.is_relative_to(short) and not folder.exists() for folder in folders)


def test_a_temporary_folder_that_the_job_sets_or_that_sockets_could_not_use_stays(tmp_path: Path) -> None:
    entry = EntryObject(SimpleNamespace(run=list))
    chosen = {"TEMP": "/mnt/tmp"}
    assert WorkerPlan(entry=entry, folder=tmp_path, environment=chosen).environment_of(0) == chosen
    deep = tmp_path / ("x" * MAX_TEMPORARY)
    assert WorkerPlan(entry=entry, folder=deep).environment_of(0) == {}

"""A job that is ended from outside leaves neither processes nor files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_parallelrun.emulator import folders
from pytest_parallelrun.emulator.folders import new_job_folder, remove_job_folder
from tests.emulator.engines.process.scripts import none_left, write_items, write_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

SCRIPT = """
import os, subprocess, sys, time
def run(paths):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(os.path.join(os.environ["STARTED"], str(os.getpid())), "w").close()
    if os.environ["HOW"] == "busy":
        while True:
            pass
    time.sleep(600)
"""

JOB = """
import signal, sys
# Under nohup it is ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from pytest_parallelrun import JobSettings, ParallelJob
script, data, started, how, engine = sys.argv[1:]
settings = JobSettings(max_concurrency_per_instance=2, environment_variables={"STARTED": started, "HOW": how})
ParallelJob(script, data, settings, engine=engine).run()
"""


def start_job(folder: Path, how: str, engine: str = "process") -> subprocess.Popen[bytes]:
    """A process with a job whose workers are in run(), with a child each."""
    started = folder / "started"
    temporary = folder / "tmp"
    started.mkdir()
    temporary.mkdir()
    script, data = write_script(folder, SCRIPT), write_items(folder, "a", "b", "c")
    job = subprocess.Popen(
        [sys.executable, "-c", JOB, str(script), str(data), str(started), how, engine],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 100
    while len(list(started.iterdir())) < (2 if engine == "process" else 1):
        assert time.monotonic() < until
        assert job.poll() is None
        time.sleep(0.01)
    return job


@pytest.mark.parametrize(
    ("engine", "how", "number"),
    [
        ("process", "busy", signal.SIGINT),
        ("process", "asleep", signal.SIGTERM),
        ("inprocess", "busy", signal.SIGINT),
        ("inprocess", "busy", signal.SIGTERM),
        ("inprocess", "asleep", signal.SIGHUP),
    ],
)
def test_a_signal_leaves_no_process_and_no_file(tmp_path: Path, engine: str, how: str, number: signal.Signals) -> None:
    job = start_job(tmp_path, how, engine)
    job.send_signal(number)
    assert job.wait(100) != 0
    assert none_left(str(tmp_path))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_of_a_job_that_is_killed_no_worker_stays_and_its_folder_goes_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start_job(tmp_path, "busy")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    [abandoned] = (tmp_path / "tmp").iterdir()
    folder = new_job_folder()
    # Its owner lives.
    assert abandoned.exists()
    job.kill()
    job.wait(100)
    assert none_left(str(tmp_path))
    not_ours = tmp_path / "tmp" / "parallelrun-link"
    not_ours.symlink_to(abandoned)
    folders.remove_abandoned(tmp_path / "tmp")
    assert set((tmp_path / "tmp").iterdir()) == {folder.parent, not_ours}
    remove_job_folder(folder)
    assert list((tmp_path / "tmp").iterdir()) == [not_ours]

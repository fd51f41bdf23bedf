"""A job that is ended from outside leaves neither processes nor files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
import sys
from pytest_parallelrun import JobSettings, ParallelJob
script, data, started, how = sys.argv[1:]
settings = JobSettings(max_concurrency_per_instance=2, environment_variables={"STARTED": started, "HOW": how})
ParallelJob(script, data, settings, engine="process").run()
"""


def start_job(folder: Path, how: str) -> subprocess.Popen[bytes]:
    """A process with a job whose two workers are in run(), with a child each."""
    started = folder / "started"
    temporary = folder / "tmp"
    started.mkdir()
    temporary.mkdir()
    script, data = write_script(folder, SCRIPT), write_items(folder, "a", "b", "c")
    job = subprocess.Popen(
        [sys.executable, "-c", JOB, str(script), str(data), str(started), how],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 20
    while len(list(started.iterdir())) < 2:
        assert time.monotonic() < until
        assert job.poll() is None
        time.sleep(0.01)
    return job


@pytest.mark.parametrize("how", ["busy", "asleep"])
def test_ctrl_c_leaves_no_process_and_no_file(tmp_path: Path, how: str) -> None:
    job = start_job(tmp_path, how)
    job.send_signal(signal.SIGINT)
    assert job.wait(10) != 0
    assert none_left(str(tmp_path))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_workers_end_when_the_process_of_the_job_is_killed(tmp_path: Path) -> None:
    job = start_job(tmp_path, "busy")
    job.kill()
    job.wait(10)
    assert none_left(str(tmp_path))

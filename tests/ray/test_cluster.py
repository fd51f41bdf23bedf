"""The cluster of a run: joined, used as it is, or started and stopped; each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.emulator.engines.process.scripts import NAMES, none_left, write_items, write_script

LOCAL = """
import os, signal, sys
from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.engines.ray import cluster
from pytest_parallelrun.emulator.errors import SettingsError

def refuse():
    try:
        ParallelJob(sys.argv[1], sys.argv[2], JobSettings(), engine="ray").run()
    except SettingsError as error:
        print(error)

os.environ["RAY_ADDRESS"] = "nowhere"
refuse()
del os.environ["RAY_ADDRESS"]
cluster.OBJECT_STORE_BYTES, enough = 1, cluster.OBJECT_STORE_BYTES
refuse()
cluster.OBJECT_STORE_BYTES = enough
before = os.environ.get("PYTHONBREAKPOINT"), signal.getsignal(signal.SIGTERM)
result = ParallelJob(sys.argv[1], sys.argv[2], JobSettings(), engine="ray").run()
import ray
assert result.rows == ["a", "b"], result.rows
assert not ray.is_initialized()
assert before == (os.environ.get("PYTHONBREAKPOINT"), signal.getsignal(signal.SIGTERM))
"""
OWN = """
import sys, ray
from pytest_parallelrun import JobSettings, ParallelJob
ray.init(log_to_driver=False, logging_level="ERROR")
result = ParallelJob(sys.argv[1], sys.argv[2], JobSettings(), engine="ray").run()
assert result.rows == ["a", "b"], result.rows
assert ray.is_initialized()
"""
BUSY = """
import sys
from pytest_parallelrun import JobSettings, ParallelJob
settings = JobSettings(max_concurrency_per_instance=2, environment_variables={"STARTED": sys.argv[3]})
ParallelJob(sys.argv[1], sys.argv[2], settings, engine="ray").run()
"""
SLEEPING = """
import os, subprocess, sys, time
def run(paths):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(os.path.join(os.environ["STARTED"], str(os.getpid())), "w").close()
    time.sleep(600)
"""


def run_script(text: str, folder: Path, *, address: str | None) -> subprocess.CompletedProcess[str]:
    """A process that runs a job; its temporary files are below the folder."""
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"TMPDIR": str(temporary), **({} if address is None else {"RAY_ADDRESS": address})}
    script, data = write_script(folder, NAMES), write_items(folder, "a", "b")
    return subprocess.run(
        # Ray kills the processes of a cluster that it could not start when this one ends, and waits for none.
        [sys.executable, "-W", "error", "-W", "ignore:subprocess:ResourceWarning", "-c", text, str(script), str(data)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=100,
    )


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A process that is refused a cluster twice, and then has one of its own; and the folder of all that."""
    # Ray cannot have its files in it.
    folder = tmp_path_factory.mktemp("größer")
    return run_script(LOCAL, folder, address=None), folder


def test_a_cluster_of_this_machine_is_started_and_stopped_and_silent(
    local: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, folder = local
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done.stdout
    assert none_left(str(folder))
    assert list((folder / "tmp").iterdir()) == []


def test_an_address_that_ray_refuses_is_told_with_what_to_do(
    local: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    message = local[0].stdout.splitlines()[0]
    assert message.startswith(
        "RAY_ADDRESS=nowhere: this cluster cannot be joined: Invalid address format: nowhere. Its"
    )


def test_a_cluster_that_cannot_be_started_is_told_with_what_to_do(
    local: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    message = local[0].stdout.splitlines()[1]
    assert message.startswith("engine='ray': no Ray cluster could be started on this machine: Attempting to cap object")


def test_a_ray_that_is_initialised_already_is_used_and_left_as_it_is(tmp_path: Path) -> None:
    done = run_script(OWN, tmp_path, address=os.environ["RAY_ADDRESS"])
    assert (done.returncode, done.stdout) == (0, "")
    assert none_left(str(tmp_path))


@pytest.mark.parametrize(("how", "own"), [("interrupted", True), ("killed", False)])
def test_a_job_that_is_ended_from_outside_leaves_no_process(tmp_path: Path, how: str, own: bool) -> None:
    """Not even of the cluster, where it is the job's own."""
    started, temporary = tmp_path / "started", tmp_path / "tmp"
    started.mkdir()
    temporary.mkdir()
    script, data = write_script(tmp_path, SLEEPING), write_items(tmp_path, "a", "b", "c")
    environment = {**os.environ, "TMPDIR": str(temporary), "RAY_ADDRESS": "" if own else os.environ["RAY_ADDRESS"]}
    command = [sys.executable, "-c", BUSY, str(script), str(data), str(started)]
    job = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(list(started.iterdir())) < 2:
        assert time.monotonic() < until
        assert job.poll() is None
        time.sleep(0.05)
    job.send_signal(signal.SIGINT if how == "interrupted" else signal.SIGKILL)
    assert job.wait(60) != 0
    assert none_left(str(tmp_path), seconds=30)
    assert how == "killed" or list(temporary.iterdir()) == []

"""What a script asks for with a ParallelRunException, and faults, on worker processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_parallelrun import Fault
from pytest_parallelrun.emulator.events import WorkerStopped
from tests.emulator.engines.process.scripts import NAMES, attempts_by_name, run_on_processes

ASKING = """
import os
from azureml.exceptions import ParallelRunException
def run(paths):
    name = os.path.basename(paths[0])
    if name.startswith("Retry."):
        raise ParallelRunException(name, code=name, delay_seconds=1.5)
    return [os.getpid()]
"""


def stops(result: object) -> list[str]:
    return [event.reason for event in result.events if isinstance(event, WorkerStopped)]  # type: ignore[attr-defined]


def test_no_retry_gives_a_mini_batch_up_at_once(tmp_path: Path) -> None:
    result = run_on_processes(tmp_path, ASKING, "Retry.NoRetry", "x", max_retries=3)
    assert len(attempts_by_name(result)["Retry.NoRetry"]) == 1


def test_a_restart_ends_the_process_and_brings_another_one(tmp_path: Path) -> None:
    result = run_on_processes(tmp_path, ASKING, "Retry.RestartProcess", "x", "y")
    assert stops(result) == ["Retry.RestartProcess", "end of the job"]
    assert (result.init_calls, result.succeeded_items) == (2, 2)


def test_a_stop_ends_the_process_for_good(tmp_path: Path) -> None:
    result = run_on_processes(tmp_path, ASKING, "Retry.StopProcess", "x")
    assert result.status == "Failed"
    assert result.reason == "the script stopped all workers (ParallelRunException with Retry.StopProcess)"


def test_a_pause_is_no_time_of_the_next_mini_batch(tmp_path: Path) -> None:
    before = time.monotonic()
    result = run_on_processes(tmp_path, ASKING, "Retry.Sleep", "x", "y", timeout=1)
    assert time.monotonic() - before > 1.5
    assert (result.succeeded_items, result.failed_items) == (2, 1)


@pytest.mark.parametrize("code", ["Retry.RestartProcess", "Retry.StopProcess", "Retry.NoRetry"])
def test_an_injected_exception_may_ask_for_the_same(tmp_path: Path, code: str) -> None:
    class ParallelRunException(Exception):
        delay_seconds = 0.0

    error = ParallelRunException("injected")
    error.code = code  # type: ignore[attr-defined]
    result = run_on_processes(
        tmp_path, NAMES, "a", "b", faults=(Fault.raises(error, mini_batch=0),), max_concurrency_per_instance=2
    )
    assert result.succeeded_items == 1
    assert (code in stops(result)) == (code != "Retry.NoRetry")


def test_a_fault_for_a_worker_finds_it_though_another_one_is_quicker(tmp_path: Path) -> None:
    script = "import time\ndef init():\n    time.sleep(0.2)\n" + NAMES
    faults = (Fault.raises(KeyError, worker=1), Fault.init_raises(worker=2))
    result = run_on_processes(tmp_path, script, "a", "b", "c", faults=faults, max_concurrency_per_instance=3)
    assert [event.worker for event in result.worker_failures] == [2]
    assert result.failed_items >= 1


def test_workers_that_never_come_up_end_a_job_with_faults_too(tmp_path: Path) -> None:
    result = run_on_processes(tmp_path, NAMES, "a", faults=(Fault.init_raises(),))
    assert result.status == "Failed"
    assert "init() failed 3 times" in (result.reason or "")


def test_a_worker_that_fails_beside_one_that_is_up_is_tried_for_a_while(tmp_path: Path) -> None:
    script = """
import os, time
def init():
    try:
        os.close(os.open(os.environ["LOCK"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        raise RuntimeError("only one")
def run(paths):
    time.sleep(0.3)
    return paths
"""
    environment = {"LOCK": str(tmp_path / "lock")}
    result = run_on_processes(
        tmp_path, script, *"abcde", max_concurrency_per_instance=2, environment_variables=environment
    )
    assert (result.status, result.succeeded_items) == ("Completed", 5)
    assert 1 <= len(result.worker_failures) <= 6


def test_a_file_of_a_list_that_is_gone_cannot_be_loaded(tmp_path: Path) -> None:
    script = "import os\ndef run(paths):\n    os.remove(os.path.join(os.path.dirname(paths[0]), 'c'))\n    return paths"
    from pytest_parallelrun import JobSettings, ParallelJob
    from tests.emulator.engines.process.scripts import write_items, write_script

    data = write_items(tmp_path, "a")
    paths = [str(data / "a"), str(data / "c")]
    result = ParallelJob(write_script(tmp_path, script), paths, JobSettings(max_retries=0), engine="process").run()
    assert result.mini_batches[1].attempts[0].outcome == "load_error"


def test_loading_that_takes_too_long_is_a_timeout(tmp_path: Path) -> None:
    result = run_on_processes(tmp_path, NAMES, "a", task_overhead_timeout=1e-9)
    [attempt] = result.mini_batches[0].attempts
    assert (attempt.outcome, attempt.phase) == ("timeout", "load")


def test_the_whole_attempt_is_bounded_as_observed(tmp_path: Path) -> None:
    script = "import time\ndef run(paths):\n    time.sleep(60)"
    result = run_on_processes(tmp_path, script, "a", rules="observed", timeout=0.2, task_overhead_timeout=0.2)
    [attempt] = result.mini_batches[0].attempts
    assert attempt.error == "run() was killed at its limit of 0.4 s (timeout + task_overhead_timeout)"

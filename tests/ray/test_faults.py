"""What a worker, or the actor that carries it, may go through: it costs its own attempt, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_parallelrun import JobResult, JobSettings, ParallelJob
from pytest_parallelrun.emulator.engines.ray import cluster, engine
from pytest_parallelrun.emulator.worker.messages import Returned
from tests.emulator.engines.process.scripts import NAMES, attempts_by_name, none_left, write_items, write_script
from tests.emulator.engines.process.test_faults import DYING, FAULTY, OUTCOMES, SPOILING
from tests.emulator.engines.process.test_faults import folder as folder
from tests.emulator.engines.process.test_faults import (
    test_each_fault_is_the_outcome_of_its_own_attempt as test_each_fault_is_the_outcome_of_its_own_attempt,
)
from tests.emulator.engines.process.test_faults import (
    test_nothing_is_left_running as test_nothing_is_left_running,
)
from tests.emulator.engines.process.test_faults import (
    test_the_counts_are_those_of_the_faults_alone as test_the_counts_are_those_of_the_faults_alone,
)

LARGE = """
def run(paths):
    return ["x" * 100_000_000 if paths[0].endswith("large") else "small"]
"""
ACTOR = """
import os, signal, time
def carrier():
    # The process of the actor started this one.
    return os.getppid()
def run(paths):
    name = os.path.basename(paths[0])
    if name == "kills":
        os.kill(carrier(), signal.SIGKILL)
        time.sleep(60)
    if name == "stops":
        os.kill(carrier(), signal.SIGSTOP)
        time.sleep(60)
    return [name]
"""


def run_on_ray(folder: Path, script: str, *names: str, **settings: object) -> JobResult:
    """A job of one file a mini-batch, with no retries unless told otherwise."""
    fields = JobSettings.from_mapping(
        {"max_retries": 0, "environment_variables": {"PARALLELRUN_TEST": str(folder)}, **settings}
    )
    return ParallelJob(write_script(folder, script), write_items(folder, *names), fields, engine="ray").run()


@pytest.fixture(scope="module")
def result(folder: Path) -> JobResult:
    """One job in which every mini-batch but two misbehaves in its own way."""
    return run_on_ray(folder, FAULTY, *OUTCOMES, timeout=3, max_concurrency_per_instance=2)


def test_an_object_that_cannot_cross_is_shown_by_its_texts(result: JobResult) -> None:
    assert "own" in {str(row) for row in result.rows}
    assert any("cannot be pickled" in note for note in result.notes)


def test_a_large_result_arrives_whole(tmp_path: Path) -> None:
    result = run_on_ray(tmp_path, LARGE, "large", "small")
    assert sorted(len(str(row)) for row in result.rows) == [5, 100_000_000]


def test_an_actor_that_is_killed_costs_an_attempt_and_a_successor_calls_init(tmp_path: Path) -> None:
    result = run_on_ray(tmp_path, ACTOR, "a", "b", "kills", "z")
    found = attempts_by_name(result)
    assert [found[name][0].outcome for name in ("a", "b", "kills", "z")] == [
        "succeeded",
        "succeeded",
        "crashed",
        "succeeded",
    ]
    assert "the worker was lost with its actor on node" in (found["kills"][0].error or "")
    # Once with others, of which any could have been to blame, and once alone.
    assert result.init_calls in (2, 3)
    assert none_left(str(tmp_path))


def test_an_actor_that_hangs_is_killed_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "GRACE", 1.0)
    limits = {"timeout": 1, "task_overhead_timeout": 1, "progress_update_timeout": 60}
    # The first goes alone, so that there is no doubt which one it was.
    result = run_on_ray(tmp_path, ACTOR, "stops", "z", **limits)
    found = attempts_by_name(result)
    assert [found[name][0].outcome for name in ("stops", "z")] == ["timeout", "succeeded"]
    assert "run() was killed at its limit of 1 s" in (found["stops"][0].error or "")
    assert result.init_calls == 2
    assert none_left(str(tmp_path))


@pytest.mark.parametrize("phase", ["import", "init"])
def test_an_exit_while_workers_come_up_fails_the_job_after_three_times_the_workers(tmp_path: Path, phase: str) -> None:
    result = run_on_ray(tmp_path, DYING, "a", "b", environment_variables={"WHEN": phase})
    assert result.status == "Failed"
    assert "3 x max_concurrency_per_instance = 3 failures" in (result.reason or "")
    assert result.worker_failures[0].failure.error == "the worker process ended itself with exit code 9"


def test_an_exit_in_shutdown_is_noted_and_costs_nothing(tmp_path: Path) -> None:
    result = run_on_ray(tmp_path, DYING, "a", environment_variables={"WHEN": "shutdown"})
    assert (result.status, result.succeeded_items) == ("Completed", 1)
    assert any("shutdown() of worker 0 failed" in note and "exit code 9" in note for note in result.notes)


def test_an_actor_that_is_lost_takes_no_output_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where its node shares the folders of the job; test_nodes.py has the other case."""
    script = """
import os, signal, time
def run(paths):
    print("said before")
    return paths
def shutdown():
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
"""
    result = run_on_ray(tmp_path, script, "a")
    assert (result.status, result.succeeded_items) == ("Completed", 1)
    [note, _] = result.notes
    assert note.startswith("shutdown() of worker 0 failed (the service only logs this): the worker was lost with its")
    assert "said before" in capsys.readouterr().out


def test_an_actor_that_was_lost_between_two_jobs_is_replaced_at_no_cost(tmp_path: Path) -> None:
    run_on_ray(tmp_path, NAMES, "a")
    joined = cluster.join()
    for handles in joined.idle.values():
        for handle in handles:
            handle.kill()
    cluster.leave()
    result = run_on_ray(tmp_path, NAMES, "a")
    assert (result.rows, result.worker_failures, result.init_calls) == (["a"], (), 1)


class Unreached:
    """Stands for a connection that fails, so that nobody knows whether a call has arrived: of each n-th answer."""

    def __init__(self, get: Callable[..., object], error: Exception, nth: int) -> None:
        self._get = get
        self._error = error
        self._nth = nth
        self.count = 0

    def __call__(self, *arguments: object, **named: object) -> object:
        self.count += 1
        if self.count % self._nth == 0:
            raise self._error
        return self._get(*arguments, **named)


def test_connections_that_fail_cost_attempts_and_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    unreached = Unreached(ray.get, ray.exceptions.ActorUnavailableError("try again", None), 7)
    monkeypatch.setattr(ray, "get", unreached)
    names = [f"f{number}" for number in range(20)]
    result = run_on_ray(tmp_path, NAMES, *names, max_concurrency_per_instance=2, max_retries=5)
    assert unreached.count > 7
    assert (result.status, result.succeeded_items) == ("Completed", 20)
    assert sorted(map(str, result.rows)) == sorted(names)
    assert {attempt.outcome for attempt in result.attempts} <= {"succeeded", "crashed"}
    assert none_left(str(tmp_path))


def test_an_actor_that_is_out_of_reach_costs_an_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    arrives = ray.get

    def get(*arguments: object, **named: object) -> object:
        answer = arrives(*arguments, **named)
        if isinstance(answer, tuple) and any(isinstance(message, Returned) for message in answer[0]):
            raise ray.exceptions.ActorUnavailableError("out of reach", None)
        return answer

    monkeypatch.setattr(ray, "get", get)
    result = run_on_ray(tmp_path, NAMES, "a")
    [attempt] = attempts_by_name(result)["a"]
    assert attempt.outcome == "crashed"
    assert "out of reach" in (attempt.error or "")


def test_an_error_of_the_actor_itself_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def get(*arguments: object, **named: object) -> object:
        raise ray.exceptions.RayTaskError("unseen", "...", OSError(28, "No space left on device"))

    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(engine, "SPARE_ACTORS", 0)
    result = run_on_ray(tmp_path, NAMES, "a")
    assert result.status == "Failed"
    assert "OSError: [Errno 28] No space left on device" in (result.reason or "")


def test_memory_past_its_limit_is_a_crash_that_says_so(tmp_path: Path) -> None:
    script = """
import time
def run(paths):
    if paths[0].endswith("hog"):
        hog = bytearray(300_000_000)
        time.sleep(60)
    return paths
"""
    result = run_on_ray(tmp_path, script, "hog", "modest", memory_limit=150_000_000, timeout=20)
    [hog], [modest] = attempts_by_name(result)["hog"], attempts_by_name(result)["modest"]
    assert (hog.outcome, modest.outcome) == ("crashed", "succeeded")
    assert "more than memory_limit = 150,000,000" in (hog.error or "")


def test_a_timeout_in_a_group_of_quick_mini_batches_is_that_of_the_slow_one_alone(tmp_path: Path) -> None:
    script = """
import os, time
def run(paths):
    if paths[0].endswith("f150"):
        time.sleep(60)
    return [os.path.basename(path) for path in paths]
"""
    names = [f"f{number:03d}" for number in range(300)]
    result = run_on_ray(tmp_path, script, *names, timeout=1)
    outcomes = {name: attempts[0].outcome for name, attempts in attempts_by_name(result).items()}
    assert [name for name, outcome in outcomes.items() if outcome != "succeeded"] == ["f150"]
    assert outcomes["f150"] == "timeout"
    assert len(result.rows) == 299


def test_what_is_left_open_is_told_of_workers_elsewhere_too(tmp_path: Path) -> None:
    script = "def run(paths):\n    global kept\n    kept = open('kept.txt', 'w')\n    return paths"
    result = run_on_ray(tmp_path, script, "a")
    assert any("left 1 file open" in note for note in result.notes)
    assert os.path.isdir(tmp_path)


def test_much_that_is_printed_on_a_node_holds_nothing_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "def run(paths):\n    for _ in range(100):\n        print('x' * 1_000_000)\n    return paths"
    assert run_on_ray(tmp_path, script, "a").succeeded_items == 1
    assert "99,900,100 bytes left out" in capsys.readouterr().out


def test_results_outlive_a_full_disk_of_their_node(tmp_path: Path) -> None:
    # What is to be appended comes home with the attempt, and is written by the job.
    how = {"HOW": "full"}
    result = run_on_ray(tmp_path, SPOILING, "a", "b_spoils", "c", output_action="append_row", environment_variables=how)
    assert (result.status, result.succeeded_items) == ("Completed", 3), result.explain()
    assert result.output_path is not None
    assert sorted(result.output_path.read_text(encoding="utf-8").split()) == ["aaa", "b_spoils" * 3, "ccc"]


REMOVES = """
import os, shutil, time
def run(paths):
    name = os.path.basename(paths[0])
    if name == "b_spoils":
        # The rows before it have arrived.
        while not os.path.exists(os.path.join(os.environ["PARALLELRUN_TEST"], "a is there")):
            time.sleep(0.01)
        shutil.rmtree(os.environ["AZUREML_BI_OUTPUT_PATH"])
    return [name]
"""


def test_an_output_folder_that_is_removed_on_a_node_fails_all_from_there_on(tmp_path: Path) -> None:
    variables = {"PARALLELRUN_TEST": str(tmp_path)}
    fields = {"max_retries": 0, "timeout": 20, "output_action": "append_row", "environment_variables": variables}
    result = ParallelJob(
        write_script(tmp_path, REMOVES),
        write_items(tmp_path, "a", "b_spoils", "c"),
        JobSettings.from_mapping(fields),
        engine="ray",
        on_progress=lambda progress: (tmp_path / "a is there").touch() if progress.processed else None,
    ).run()
    assert [attempt.outcome for attempt in result.attempts] == ["succeeded", "exception", "exception"]
    assert (result.status, result.succeeded_items, result.failed_items) == ("Failed", 1, 2)
    assert "the results cannot be appended: '" in str(result.attempts[-1].failure)
    assert "is gone: the script has removed or replaced it" in (result.reason or "")

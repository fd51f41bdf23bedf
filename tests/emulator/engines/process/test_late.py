"""What comes together, too late, or when the engine looks the other way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.engines import outcome
from pytest_parallelrun.emulator.engines.outcome import DispatchedTask, Judgement, judge_raised, judge_returned
from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft, Task
from pytest_parallelrun.emulator.engines.timeouts import AttemptLimits
from pytest_parallelrun.emulator.events import Failure
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.probe import probe_startup
from pytest_parallelrun.emulator.splitting import PrebuiltInput
from pytest_parallelrun.emulator.splitting.model import MiniBatch
from pytest_parallelrun.emulator.worker.messages import Raised, Returned
from pytest_parallelrun.emulator.worker.result_serializer import SerializationError
from tests.emulator.engines.process.in_worker import Seen
from tests.emulator.engines.process.scripts import NAMES, run_on_processes, write_items, write_script

DISPATCHED = DispatchedTask(Task(MiniBatch(id=0, size=1, first_item=0, position=None), 1), None, 0.0)
LIMITS = AttemptLimits(JobSettings(timeout=10))


def test_a_return_after_the_limit_is_a_timeout() -> None:
    message = Returned(running=10.0, count=1, value=["a"])
    failure = Failure(phase="run", error="run() returned after its limit of 10 s (timeout)")
    assert judge_returned(message, DISPATCHED, LIMITS) == Judgement("timeout", failure)


def test_an_exception_after_the_limit_is_a_timeout_without_a_retry_request() -> None:
    failure = Failure(phase="run", error="ValueError: late", retry_request=("Retry.StopProcess", 0.0))
    message = Raised(running=10.0, failure=failure.to_plain(), touched=None)
    late = Failure(phase="run", error="run() returned after its limit of 10 s (timeout)")
    assert judge_raised(message, DISPATCHED, LIMITS) == Judgement("timeout", late)


def test_a_result_that_cannot_be_taken_over_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> object:
        raise SerializationError("another pandas")

    monkeypatch.setattr(outcome, "decode", refuse)
    judgement = judge_returned(Returned(running=1.0, count=1, encoded=b""), DISPATCHED, LIMITS)
    assert judgement == Judgement("exception", Failure(phase="return", error="another pandas"))


def standing(folder: Path, script: str, workers: int = 1) -> ProcessEngine:
    settings = JobSettings(max_concurrency_per_instance=workers)
    job = ParallelJob(write_script(folder, script), write_items(folder, "a"), settings, engine="process")
    plan = job.worker_plan("files", folder, None)
    return ProcessEngine(plan, PrebuiltInput([["a"]], kind="files"), settings, FaultPlan(()))


def test_where_too_many_have_failed_nobody_is_started(tmp_path: Path) -> None:
    pool = standing(tmp_path, NAMES)._pool
    assert pool.startable() == [0]
    for _ in range(3):
        pool._failures.add(0, Failure(phase="init", error="no model"))
    assert pool.startable() == []
    with pytest.raises(NoWorkersLeft, match="no model"):
        pool.require()


def test_a_chosen_worker_alone_is_started_and_gets_the_mini_batch(tmp_path: Path) -> None:
    engine = standing(tmp_path, NAMES, workers=2)
    engine.acquire()
    try:
        engine.select_worker(1)
        engine.submit(Task(MiniBatch(id=0, size=1, first_item=0, position=["a"]), 1))
        ended = engine.collect()
        assert ended is not None
        assert (ended.outcome, engine.is_up(0), engine.is_up(1)) == ("succeeded", False, True)
    finally:
        engine.stop(normal=False)


def test_what_a_process_said_before_its_end_counts(tmp_path: Path) -> None:
    engine = standing(tmp_path, "1 / 0")
    worker = engine._start(0)
    while not worker.is_dead:
        time.sleep(0.01)
    engine._died(worker)
    [event] = engine.worker_events()
    assert event.failure.error == "ZeroDivisionError: division by zero"  # type: ignore[union-attr]
    engine.stop(normal=False)


def test_an_observer_is_asked_in_the_process_of_the_worker(tmp_path: Path) -> None:
    job = ParallelJob(write_script(tmp_path, NAMES), write_items(tmp_path, "a"), JobSettings(), engine="process")
    assert probe_startup(job, workers=2, observer=Seen).observed == (True, True)
    failing = ParallelJob(write_script(tmp_path, "1 / 0"), write_items(tmp_path, "a"), JobSettings(), engine="process")
    assert probe_startup(failing, observer=Seen).observed == (False,)


def test_an_instance_that_is_given_up_leaves_the_work_to_another_one(tmp_path: Path) -> None:
    script = """
import os, time
def init():
    try:
        os.close(os.open(os.environ["LOCK"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        raise RuntimeError("only one")
def run(paths):
    time.sleep(0.15)
    return paths
"""
    names = [f"f{number:02d}" for number in range(10)]
    result = run_on_processes(
        tmp_path, script, *names, instance_count=2, environment_variables={"LOCK": str(tmp_path / "lock")}
    )
    assert (result.status, len(result.worker_failures)) == ("Completed", 3)


def test_a_worker_that_is_on_its_way_when_all_is_done_comes_up_and_shuts_down(tmp_path: Path) -> None:
    # The second one comes up a while after the first has done everything.
    script = """
import os, time
place = os.environ["PLACE"]
def init():
    try:
        os.close(os.open(place + "/lock", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        end = time.monotonic() + 50
        while not os.path.exists(place + "/done") and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(1)
        open(place + "/late init", "w").close()
def run(paths):
    open(place + "/done", "w").close()
    return paths
def shutdown():
    open(f"{place}/shutdown of {os.getpid()}", "w").close()
"""
    (tmp_path / "place").mkdir()
    environment = {"PLACE": str(tmp_path / "place")}
    result = run_on_processes(tmp_path, script, "a", max_concurrency_per_instance=2, environment_variables=environment)
    assert result.status == "Completed"
    names = sorted(path.name for path in (tmp_path / "place").iterdir())
    assert names[:3] == ["done", "late init", "lock"]
    assert len([name for name in names if name.startswith("shutdown of ")]) == 2

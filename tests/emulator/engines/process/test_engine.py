"""What the process engine makes of time, messages and ends, with workers of which only this process knows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_parallelrun import Fault, JobSettings, ParallelJob
from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines import outcome
from pytest_parallelrun.emulator.engines.outcome import (
    AttemptLimits,
    DispatchedTask,
    Judgement,
    judge_raised,
    judge_returned,
)
from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine
from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft, Task
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, WorkerFailed, WorkerStopped
from pytest_parallelrun.emulator.faults import FaultPlan
from pytest_parallelrun.emulator.probe import probe_startup
from pytest_parallelrun.emulator.splitting.model import MiniBatch, PrebuiltInput
from pytest_parallelrun.emulator.worker.messages import (
    Message,
    Raised,
    Returned,
    Run,
    RunBegun,
    RunFinished,
    Shutdown,
)
from pytest_parallelrun.emulator.worker.result_serializer import SerializationError
from tests.emulator.engines.process.in_worker import Seen
from tests.emulator.engines.process.scripts import NAMES, run_on_processes, write_items, write_script

RETURNED_ONE = Returned(running=0.1, count=1, value=["a"])


class Acted(WorkerProcess):
    """A worker without a process: it is up, sends what it is given to send, and dies of what it is told."""

    def __init__(self, slot: int, folder: Path) -> None:
        super().__init__(slot, slot, 0, folder)
        self.up = True
        self.to_send: list[Message] = []
        # A number that no process has.
        self.process: Any = SimpleNamespace(pid=2**31 - 1)
        self.stdout = self.stderr = folder / "nothing"

    def receive(self) -> tuple[list[Message], bool]:
        sent, self.to_send = self.to_send, []
        return sent, False

    def kill(self, why: str = "") -> None:
        self.killed_for = self.killed_for or why

    def reap(self, patience: float = 0.0) -> str:
        return self.killed_for or "it died"


class RecordingPoller:
    """Keeps what is sent to workers, and until when it was waited."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Message]] = []
        self.until: float | None = None

    def send(self, worker: WorkerProcess, message: Message) -> None:
        self.sent.append((worker.number, message))

    def wait(self, until: float | None) -> Sequence[object]:
        self.until = until
        return ()

    def remove(self, worker: WorkerProcess) -> None: ...


class Scene:
    """An engine with such workers, all of them up."""

    def __init__(self, folder: Path, workers: int = 1, **settings: object) -> None:
        chosen = JobSettings.from_mapping({"max_concurrency_per_instance": workers, "timeout": 10, **settings})
        job = ParallelJob(write_script(folder, NAMES), write_items(folder, "a"), chosen, engine="process")
        plan = job.worker_plan("files", folder, folder / "out")
        self.engine = ProcessEngine(plan, PrebuiltInput([["a"]] * 9, kind="files"), chosen, FaultPlan(()))
        self.poller = RecordingPoller()
        self.engine._poller = self.poller  # type: ignore[assignment]
        self.workers = [Acted(slot, folder) for slot in range(len(self.engine._pool.slots))]
        self.engine._pool.slots[:] = self.workers
        self.engine._pool.vacant.clear()

    def submit(self, count: int) -> None:
        for number in range(count):
            self.engine.submit(Task(MiniBatch(id=number, size=1, first_item=number, position=["a"]), 1))

    def give(self, payload: object = (), slot: int = 0) -> Acted:
        """Hands a mini-batch to the worker in the slot."""
        worker = self.workers[slot]
        handed = DispatchedTask(Task(MiniBatch(id=0, size=1, first_item=0, position=["a"]), 1), None)
        self.engine._send(worker, handed, list(payload) if isinstance(payload, tuple) else payload)
        return worker

    def ended(self) -> AttemptEnded:
        [attempt] = self.engine._ended
        return attempt


def error_of(attempt: AttemptEnded) -> tuple[str, str]:
    assert attempt.failure is not None
    return attempt.failure.phase, attempt.failure.error


def test_a_worker_that_pauses_gets_nothing_and_others_do(tmp_path: Path) -> None:
    scene = Scene(tmp_path, workers=2)
    scene.workers[0].pausing_until = real_monotonic() + 1000
    scene.submit(2)
    scene.engine._dispatch()
    assert [(number, type(message)) for number, message in scene.poller.sent] == [(1, Run)]
    assert len(scene.engine._waiting) == 1


def test_a_pause_that_is_injected_is_one(tmp_path: Path) -> None:
    class ParallelRunException(Exception):
        code = "Retry.Sleep"
        delay_seconds = 1000.0

    scene = Scene(tmp_path)
    scene.engine._faults = FaultPlan((Fault.raises(ParallelRunException("later"), mini_batch=0),))
    scene.submit(2)
    for _ in range(2):
        scene.engine._dispatch()
    assert scene.ended().outcome == "exception"
    assert (scene.poller.sent, len(scene.engine._waiting)) == ([], 1)


def test_rows_that_cannot_be_handed_to_a_worker_fail_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path)
    monkeypatch.setattr(scene.engine._splitter, "load", lambda mini_batch: {"x": lambda: None})
    scene.submit(1)
    scene.engine._dispatch()
    assert scene.ended().outcome == "load_error"
    assert error_of(scene.ended())[1].startswith("the rows cannot be sent to a worker process: ")


def test_loading_comes_right_before_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    worker = scene.give()
    worker.assigned[0] = worker.assigned[0]._replace(loading=3.0)
    began = worker.head_since - scene.engine._pool.born
    scene.engine._receive(worker, [RETURNED_ONE])
    assert (scene.ended().started, scene.ended().loading) == (began - 3.0, 3.0)


def test_the_end_of_a_pause_is_waited_for_while_there_is_something_to_do(tmp_path: Path) -> None:
    scene = Scene(tmp_path, workers=4)
    scene.engine._pool.slots[3] = None
    now = real_monotonic()
    for worker, pause in zip(scene.workers, (2000.0, 1000.0, -1.0, 0.0), strict=True):
        worker.pausing_until = now + pause
    until = []
    for count, given in ((0, None), (1, None), (0, now + 1)):
        scene.submit(count)
        scene.engine._wait(given)
        until.append(scene.poller.until)
    assert until == [None, now + 1000, now + 1]


def test_a_pause_before_the_end_is_no_time_of_shutdown(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    [worker] = scene.workers
    worker.pausing_until = real_monotonic() + 1000

    def end(until: float | None) -> None:
        scene.engine._pool.slots[0] = None

    scene.engine._wait = end  # type: ignore[method-assign]
    scene.engine.stop(normal=True)
    assert scene.poller.sent == [(0, Shutdown())]
    assert worker.deadline == worker.pausing_until + 60


def test_what_waits_for_the_end_of_a_pause_outlives_its_worker(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    worker = scene.give()
    worker.pausing_until = real_monotonic() + 1000
    scene.engine._lost(worker, "crashed")
    assert len(scene.engine._waiting) == 1
    [event] = scene.engine.worker_events()
    assert isinstance(event, WorkerStopped)
    assert event.reason == "it died while it had nothing to do"


def test_the_way_of_a_table_and_its_unpacking_are_no_time_of_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path, task_overhead_timeout=500)
    worker = scene.give(b"the pickle of a table")
    assert worker.deadline == worker.head_since + 500
    worker.head_since -= 100
    scene.engine._receive(worker, [RunBegun()])
    assert worker.deadline == worker.head_since + 10
    scene.engine._receive(worker, [RETURNED_ONE])
    assert (scene.ended().outcome, scene.ended().running) == ("succeeded", 0.1)
    assert 100 <= scene.ended().loading < 200


@pytest.mark.parametrize(
    ("rules", "limit", "error"),
    [
        ("documented", 500, ("load", "loading took longer than task_overhead_timeout = 500 s")),
        ("observed", 510, ("run", "run() was killed at its limit of 510 s (timeout + task_overhead_timeout)")),
    ],
)
def test_a_table_that_does_not_arrive_in_time_was_loaded_for_too_long(
    tmp_path: Path, rules: str, limit: float, error: tuple[str, str]
) -> None:
    scene = Scene(tmp_path, task_overhead_timeout=500, rules=rules)
    worker = scene.give(b"the pickle of a table")
    assert worker.deadline == worker.head_since + limit
    worker.head_since -= 600
    scene.engine._overdue(worker)
    assert (scene.ended().outcome, error_of(scene.ended()), scene.ended().running) == ("timeout", error, 0.0)
    assert scene.ended().loading >= 600


def test_results_that_do_not_arrive_in_time_are_no_fault_of_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path, task_overhead_timeout=500)
    worker = scene.give()
    scene.engine._receive(worker, [RunFinished()])
    assert worker.deadline is not None
    assert worker.deadline > worker.head_since + 400
    scene.engine._overdue(worker)
    assert error_of(scene.ended()) == (
        "return",
        "run() returned, but sending its result back took longer than task_overhead_timeout = 500 s",
    )


def test_what_was_done_before_too_much_memory_is_seen_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Acted, "memory_taken", lambda self, limit: 2 * limit)
    scene = Scene(tmp_path)
    worker = scene.give()
    worker.to_send = [RETURNED_ONE]
    scene.engine._watch_memory(1000)
    assert scene.ended().outcome == "succeeded"
    assert scene.engine._pool.slots == [worker]
    scene.engine._watch_memory(1000)
    [event] = scene.engine.worker_events()
    assert isinstance(event, WorkerStopped)
    assert event.reason == "the worker process took 2,000 bytes of memory, more than memory_limit = 1,000"


def seeds_of(folder: Path, **variables: str) -> list[str]:
    script = "import os\ndef run(paths): return [os.environ['PYTHONHASHSEED'] for _ in paths]\n"
    # The first worker does not survive the second mini-batch.
    faults = (Fault.crashes(mini_batch=1, attempt=1),)
    result = run_on_processes(folder, script, "a", "b", faults=faults, max_retries=1, environment_variables=variables)
    return sorted(set(map(str, result.rows)))


def test_workers_have_hash_seeds_of_their_own_that_no_variable_of_this_process_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    assert seeds_of(tmp_path) == ["1", "2"]


def test_the_hash_seed_of_the_job_is_that_of_all_workers(tmp_path: Path) -> None:
    assert seeds_of(tmp_path, PYTHONHASHSEED="5") == ["5"]


def test_a_worker_that_takes_too_long_to_come_up_is_ended(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    [worker] = scene.workers
    worker.up, worker.phase = False, "init"
    scene.engine._overdue(worker)
    [event] = scene.engine.worker_events()
    assert isinstance(event, WorkerFailed)
    assert (event.failure.phase, event.failure.error) == ("init", "init took longer than 60 s (3 x timeout + 30)")
    # Another one may come.
    assert scene.engine._pool.startable() == [0]


def test_a_worker_that_takes_too_long_to_shut_down_is_ended(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    [worker] = scene.workers
    worker.stopping = True
    scene.engine._overdue(worker)
    [event] = scene.engine.worker_events()
    assert isinstance(event, WorkerStopped)
    assert event.failure is not None
    assert (event.failure.phase, event.failure.error) == (
        "shutdown",
        "shutdown took longer than 60 s (3 x timeout + 30)",
    )
    assert scene.engine._pool.startable() == []


def test_what_waited_behind_a_late_return_goes_to_the_next_worker(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    [worker] = scene.workers
    worker.quick = True
    scene.submit(4)
    for _ in range(3):
        scene.engine._dispatch()
    assert len(worker.assigned) == 3
    late = Returned(running=11.0, count=1, value=["a"])
    # What it says after that counts no more.
    scene.engine._receive(worker, [late, RETURNED_ONE])
    assert scene.ended().outcome == "timeout"
    assert error_of(scene.ended())[1] == "run() returned after its limit of 10 s (timeout)"
    assert [task.mini_batch.id for task in scene.engine._waiting] == [1, 2, 3]
    assert scene.engine._pool.slots == [None]


def test_what_was_said_in_time_counts_though_it_is_heard_late(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    worker = scene.give()
    worker.to_send = [RETURNED_ONE]
    scene.engine._overdue(worker)
    assert scene.ended().outcome == "succeeded"
    assert scene.engine._pool.slots == [worker]


def test_a_pause_with_another_mini_batch_in_hand_moves_its_limit(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.give()
    worker = scene.give()
    failure = {"phase": "run", "error": "ParallelRunException: later", "retry_request": ("Retry.Sleep", 1000.0)}
    scene.engine._receive(worker, [Raised(running=0.1, failure=failure, touched=None)])
    assert scene.ended().outcome == "exception"
    assert worker.pausing_until > real_monotonic() + 900
    assert worker.deadline == worker.pausing_until + 10


def test_the_nearest_limit_is_waited_for(tmp_path: Path) -> None:
    scene = Scene(tmp_path, workers=3)
    later = real_monotonic() + 1000
    for worker, deadline in zip(scene.workers, (later + 2, later + 1, later + 3), strict=True):
        worker.deadline = deadline
    scene.engine._wait(None)
    assert scene.poller.until == later + 1


@pytest.mark.parametrize("instances", [1, 2])
def test_an_instance_whose_workers_fail_beside_one_that_is_up_goes_on_with_that(tmp_path: Path, instances: int) -> None:
    scene = Scene(tmp_path, workers=2, instance_count=instances)
    pool = scene.engine._pool
    # All but the first one, which is up, are to come up.
    for slot in range(1, 2 * instances):
        pool.slots[slot] = None
        pool.vacant.add(slot)
    made = 0
    while slots := pool.startable():
        worker = Acted(slots[0], tmp_path)
        worker.up, worker.instance = False, pool.instance_of(slots[0])
        pool.vacant.discard(worker.slot)
        pool.slots[worker.slot] = worker
        pool.failed(worker, Failure(phase="init", error="no model"))
        made += 1
    # 3 x max_concurrency_per_instance failures, of each of them.
    assert made == 6 * instances
    # There is one that works, and another one may take its place.
    pool.require()
    pool.stopped(scene.workers[0], "it died", replace=True)
    assert pool.startable() == [0]


def test_where_nobody_is_up_and_nobody_may_come_the_job_cannot_go_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    pool = scene.engine._pool
    for _ in range(3):
        worker = Acted(0, tmp_path)
        worker.up = False
        pool.slots[0] = worker
        pool.failed(worker, Failure(phase="init", error="no model"))
    with pytest.raises(NoWorkersLeft, match="no model"):
        pool.require()


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
    plan = job.worker_plan("files", folder, folder / "out")
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
import glob, os, time
lock = os.environ["LOCK"]
def init():
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        open(f"{lock}.{os.getpid()}", "w").close()
        raise RuntimeError("only one")
def run(paths):
    end = time.monotonic() + 50
    while len(glob.glob(lock + ".*")) < 3 and time.monotonic() < end:
        time.sleep(0.05)
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

"""Attempts, limits and workers of the in-process engine, seen through jobs."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pytest_parallelrun import Fault, JobSettings, ParallelJob
from pytest_parallelrun.emulator.engines import inprocess
from pytest_parallelrun.emulator.engines import timeout_guard as guard_module
from pytest_parallelrun.emulator.events import WorkerStopped
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from tests.emulator._scripts import errors, make_input, make_job, outcomes, run_script

needs_timers = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")

SLEPT_TOO_LONG = (
    "run() was interrupted at its limit of 60 s (timeout); 60 s of it is simulated sleep ("
    "use --parallelrun-set clock=real if the script waits for an external system)"
)

SLEEPS_ONCE = """
    import os
    import time
    def run(batch):
        if not os.path.exists(FLAG):
            open(FLAG, "w").close()
            time.sleep(100)
        return batch
"""


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def _with_object(folder: Path, run: Any, *, files: int = 2, init: Any = None, **settings: Any) -> JobResult:
    settings.setdefault("max_retries", 0)
    entry = SimpleNamespace(run=run, **({} if init is None else {"init": init}))
    return ParallelJob(entry, make_input(folder, files), JobSettings(**settings)).run()


def _stopped(result: JobResult) -> list[tuple[int, str]]:
    return [(event.worker, event.reason) for event in result.events if isinstance(event, WorkerStopped)]


def test_workers_take_turns(tmp_path: Path) -> None:
    result = run_script(
        tmp_path, "def run(batch): return batch", files=5, instance_count=1, max_concurrency_per_instance=2
    )
    assert [attempt.worker for attempt in result.attempts] == [0, 1, 0, 1, 0]


def test_workers_count_through_the_instances(tmp_path: Path) -> None:
    result = run_script(
        tmp_path, "def run(batch): return batch", files=4, instance_count=2, max_concurrency_per_instance=2
    )
    started = [event for event in result.events if type(event).__name__ == "WorkerStarted"]
    assert [(event.worker, event.instance) for event in started] == [(0, 0), (1, 0), (2, 1), (3, 1)]  # type: ignore[union-attr]


def test_init_runs_once_in_each_worker_and_shutdown_at_a_normal_end(tmp_path: Path) -> None:
    calls: list[str] = []

    def run(batch: list[str]) -> list[str]:
        calls.append("run")
        return batch

    entry = SimpleNamespace(
        init=lambda: calls.append("init"),
        run=run,
        shutdown=lambda: calls.append("shutdown"),
    )
    ParallelJob(entry, make_input(tmp_path), JobSettings(instance_count=2)).run()
    assert calls == ["init", "init", "run", "run", "shutdown", "shutdown"]


def test_shutdown_is_not_called_when_a_threshold_stops_the_job(tmp_path: Path) -> None:
    calls: list[str] = []
    entry = SimpleNamespace(run=lambda batch: None, shutdown=lambda: calls.append("shutdown"))
    result = ParallelJob(entry, make_input(tmp_path), JobSettings(error_threshold=0, max_retries=0)).run()
    assert result.status == "Failed"
    assert calls == []
    assert _stopped(result) == [(0, "the job was stopped")]


def test_an_exception_in_shutdown_is_recorded_and_changes_nothing(tmp_path: Path) -> None:
    result = run_script(tmp_path, "def run(batch): return batch\ndef shutdown(): 1 / 0")
    (stopped,) = [event for event in result.events if isinstance(event, WorkerStopped)]
    assert result.status == "Completed"
    assert stopped.failure is not None
    assert (stopped.failure.phase, stopped.failure.error) == ("shutdown", "ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
    ],
)
def test_whatever_a_script_raises_is_a_failed_attempt(tmp_path: Path, statement: str, error: str) -> None:
    result = run_script(tmp_path, f"def run(batch): {statement}")
    assert outcomes(result) == ["exception"] * 2
    assert errors(result) == [error] * 2
    assert "score.py" in result.mini_batches[0].attempts[0].traceback


def test_a_failure_has_what_its_attempt_printed(tmp_path: Path) -> None:
    script = """
        import sys
        def run(mini_batch):
            name = mini_batch[0][-5:]
            if name != "2.txt":
                print("to stdout", name)
                print("to stderr", name, file=sys.stderr)
            if name != "1.txt":
                raise ValueError(name)
            return mini_batch
    """
    result = run_script(tmp_path, script, files=3, max_retries=0)
    first, second, third = (attempt.failure for attempt in result.attempts)
    assert first is not None
    assert third is not None
    assert (first.output, second, third.output) == ("to stdout 0.txt\nto stderr 0.txt\n", None, "")


def test_after_an_exception_the_same_worker_goes_on(tmp_path: Path) -> None:
    result = run_script(tmp_path, "def run(batch): 1 / 0", files=3)
    assert [attempt.worker for attempt in result.attempts] == [0, 0, 0]


@pytest.mark.parametrize("statement", ["os._exit(3)", "os.abort()"])
def test_a_worker_that_ends_its_process_crashed_and_is_replaced(tmp_path: Path, statement: str) -> None:
    result = run_script(tmp_path, f"import os\ndef run(batch): {statement}")
    assert outcomes(result) == ["crashed"] * 2
    assert "the worker process ended itself" in errors(result)[0]
    assert [attempt.worker for attempt in result.attempts] == [0, 1]


def test_an_init_that_ends_the_process_failed(tmp_path: Path) -> None:
    result = run_script(tmp_path, "import os\ndef init(): os._exit(3)\ndef run(batch): return batch")
    assert result.worker_failures[0].failure.error == "the worker process ended itself with os._exit(3)"


def test_a_job_whose_init_always_fails_ends_after_three_tries_per_worker(tmp_path: Path) -> None:
    result = run_script(tmp_path, "def init(): 1 / 0\ndef run(batch): return batch", max_concurrency_per_instance=2)
    assert result.status == "Failed"
    assert result.init_calls == 6
    assert result.reason is not None
    assert "init() failed 6 times" in result.reason
    assert "ZeroDivisionError" in result.reason


def test_a_job_whose_script_cannot_be_imported_says_so(tmp_path: Path) -> None:
    result = run_script(tmp_path, "import nothing_of_that_name")
    assert result.reason is not None
    assert "loading the entry script failed 3 times" in result.reason


def test_an_init_that_fails_once_is_tried_again(tmp_path: Path) -> None:
    job = make_job(tmp_path, "def init(): pass\ndef run(batch): return batch")
    job.faults = (Fault.init_raises(worker=0),)
    result = job.run()
    assert result.status == "Completed"
    assert [attempt.worker for attempt in result.attempts] == [1, 1]


def _init_that_fails(tmp_path: Path, calls: str) -> str:
    """Source of an init() that fails in those calls, counted over all workers from 0."""
    return f"""
        import time
        CALLS = {str(tmp_path / "calls")!r}
        def init():
            with open(CALLS, "a+") as file:
                number = file.tell()
                file.write("x")
            if number in {calls}:
                raise OSError("model server is busy")
    """


def test_failures_of_init_before_a_worker_came_up_count_no_more(tmp_path: Path) -> None:
    """Four in all, and never three in a row."""
    source = (
        _init_that_fails(tmp_path, "(0, 1, 3, 4)")
        + """
        def run(batch):
            if "item0" in batch[0]: time.sleep(1000)
            return batch
    """
    )
    result = run_script(tmp_path, source)
    assert outcomes(result) == ["timeout", "succeeded"]
    assert len(result.worker_failures) == 4


def test_a_slot_that_never_comes_up_beside_a_good_one_is_given_up_and_costs_it_nothing(tmp_path: Path) -> None:
    """Worker 0 comes up, its neighbour fails six times (3 x 2); after the timeout a seventh failure is allowed."""
    source = (
        _init_that_fails(tmp_path, "(1, 2, 3, 4, 5, 6, 7)")
        + """
        def run(batch):
            if "item0" in batch[0]: time.sleep(1000)
            return batch
    """
    )
    result = run_script(tmp_path, source, files=3, max_concurrency_per_instance=2)
    assert outcomes(result) == ["timeout", "succeeded", "succeeded"]
    assert [attempt.worker for attempt in result.attempts] == [0, 8, 8]
    assert len(result.worker_failures) == 7


def test_workers_that_the_script_stopped_are_not_blamed_on_an_init_that_failed_before(tmp_path: Path) -> None:
    source = (
        _init_that_fails(tmp_path, "(0,)")
        + """
        from azureml.exceptions import ParallelRunException
        def run(batch): raise ParallelRunException("no", "Retry.StopProcess")
    """
    )
    result = run_script(tmp_path, source)
    assert result.reason is not None
    assert "the script stopped all workers" in result.reason


def test_a_timeout_without_skipped_sleep_says_nothing_of_it(tmp_path: Path) -> None:
    job = make_job(tmp_path, "def run(batch): return batch", files=1)
    job.faults = (Fault.times_out(mini_batch=0),)
    assert errors(job.run()) == ["run() was interrupted at its limit of 60 s (timeout)"]


def test_an_old_job_is_given_up_after_fewer_failures(tmp_path: Path) -> None:
    """Beyond two minutes, twice the number of workers is enough; before, it would be three times."""
    result = run_script(
        tmp_path, "import time\ndef init():\n    time.sleep(70)\n    1 / 0\ndef run(batch): return batch"
    )
    assert result.init_calls == 2


def test_an_init_that_takes_too_long_failed(tmp_path: Path) -> None:
    result = run_script(tmp_path, "import time\ndef init(): time.sleep(61)\ndef run(batch): return batch", timeout=10)
    assert result.worker_failures[0].failure.error == "init took longer than 60 s (3 x timeout + 30)"


def test_a_sleep_past_the_limit_is_a_timeout_at_once(tmp_path: Path) -> None:
    started = time.perf_counter()
    result = run_script(tmp_path, "import time\ndef run(batch): time.sleep(1000)", timeout=60)
    assert outcomes(result) == ["timeout"] * 2
    assert errors(result)[0] == SLEPT_TOO_LONG
    assert result.attempts[0].running == pytest.approx(60, abs=5)
    assert time.perf_counter() - started < 60


def test_after_a_timeout_a_new_worker_runs_init_again(tmp_path: Path) -> None:
    flag = str(tmp_path / "flag")
    source = f"FLAG = {flag!r}\n" + "\n".join(line[4:] for line in SLEEPS_ONCE.splitlines())
    result = run_script(tmp_path, source, max_retries=1)
    assert outcomes(result) == ["timeout", "succeeded", "succeeded"]
    assert [attempt.worker for attempt in result.attempts] == [0, 1, 1]
    assert (0, "timeout") in _stopped(result)


def test_a_worker_that_timed_out_last_is_not_replaced(tmp_path: Path) -> None:
    result = run_script(tmp_path, "import time\ndef run(batch): time.sleep(1000)", files=1)
    assert result.init_calls == 1


def test_a_slow_load_is_bounded_by_the_overhead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _load_slowly(monkeypatch, 0.03)
    result = run_script(tmp_path, "def run(batch): return batch", task_overhead_timeout=0.02, timeout=30)
    assert outcomes(result) == ["timeout"] * 2
    assert errors(result)[0] == "loading took longer than task_overhead_timeout = 0.02 s"


@needs_timers
def test_a_load_that_used_up_the_whole_attempt_is_a_timeout_of_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _load_slowly(monkeypatch, 0.05)
    result = _with_object(
        tmp_path,
        lambda batch: _spin(5),
        rules="observed",
        task_overhead_timeout=0.02,
        timeout=0.02,
        clock="real",
    )
    assert outcomes(result) == ["timeout"] * 2
    assert "limit of 0.04 s (timeout + task_overhead_timeout)" in errors(result)[0]


def _load_slowly(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    load = FileSplitter.load

    def slow(self: FileSplitter, mini_batch: Any) -> Any:
        _spin(seconds)
        return load(self, mini_batch)

    monkeypatch.setattr(FileSplitter, "load", slow)


@needs_timers
def test_in_real_time_a_busy_script_is_interrupted_retried_and_stops_the_job(tmp_path: Path) -> None:
    """A timeout, a retry and an abort, once in real time."""
    started = time.perf_counter()
    result = run_script(
        tmp_path,
        "def run(batch):\n    while True: pass",
        files=3,
        timeout=0.1,
        clock="real",
        max_retries=1,
        mini_batch_error_threshold=0,
    )
    elapsed = time.perf_counter() - started
    assert outcomes(result)[:2] == ["timeout", "timeout"]
    assert [attempt.number for attempt in result.attempts].count(2) == 1
    assert (result.status, result.exceeded) == ("Failed", "mini_batch_error_threshold")
    assert 0.4 <= elapsed < 60
    assert result.notes == () or not any("judged" in note for note in result.notes)


def test_the_notes_say_how_far_skipped_sleeps_put_the_clock_ahead(tmp_path: Path) -> None:
    result = run_script(
        tmp_path,
        """\
        import time

        def run(mini_batch):
            time.sleep(5)
            return mini_batch
        """,
    )
    assert [note for note in result.notes if "the clock of the workers is 10 s ahead" in note]


def test_with_a_real_clock_sleeping_takes_its_time(tmp_path: Path) -> None:
    started = time.perf_counter()
    result = run_script(tmp_path, "import time\ndef run(batch):\n    time.sleep(0.05)\n    return batch", clock="real")
    assert result.status == "Completed"
    assert time.perf_counter() - started >= 0.1


@needs_timers
def test_a_script_that_swallows_the_interrupt_is_judged_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "REPEAT_AFTER", 0.02)
    result = run_script(
        tmp_path,
        """
        def spin():
            while True: pass
        def run(batch):
            for _ in range(2):
                try:
                    spin()
                except BaseException:
                    pass
            return batch
        """,
        files=1,
        timeout=0.05,
    )
    assert outcomes(result) == ["timeout"]
    assert errors(result) == ["run() returned after its limit of 0.05 s (timeout); it ignored 2 interrupts"]
    assert any("1 attempt could not be interrupted" in note for note in result.notes)
    assert result.rows == []


@needs_timers
def test_an_exception_that_a_script_makes_of_the_interrupt_is_a_timeout_too(tmp_path: Path) -> None:
    source = """
        def spin():
            while True: pass
        def run(batch):
            try:
                spin()
            except BaseException:
                raise ValueError
    """
    assert outcomes(run_script(tmp_path, source, files=1, timeout=0.05)) == ["timeout"]


@needs_timers
def test_time_at_the_prompt_of_a_debugger_does_not_count(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "pdb", "spin": _spin}
    exec("def run(batch):\n    spin(0.1)\n    return batch", namespace)
    assert outcomes(_with_object(tmp_path, namespace["run"], files=1, timeout=0.05)) == ["succeeded"]


def test_on_a_thread_of_its_own_a_script_is_judged_when_it_returns(tmp_path: Path) -> None:
    main = threading.get_ident()

    def run(batch: list[str]) -> list[bool]:
        _spin(0.05)
        return [threading.get_ident() == main]

    result = _with_object(tmp_path, run, files=1, timeout=0.02, thread="worker")
    assert outcomes(result) == ["timeout"]
    assert errors(result) == ["run() returned after its limit of 0.02 s (timeout)"]
    assert any("judged when run() returned" in note and "thread=worker" in note for note in result.notes)
    assert _with_object(tmp_path, run, files=1, thread="worker").rows == [False]


def test_on_a_thread_of_its_own_a_sleep_past_the_limit_is_a_timeout_at_once(tmp_path: Path) -> None:
    result = run_script(tmp_path, "import time\ndef run(batch): time.sleep(1000)", thread="worker")
    assert errors(result)[0] == SLEPT_TOO_LONG


def test_a_job_on_another_thread_runs_and_says_how_limits_were_judged(tmp_path: Path) -> None:
    results: list[JobResult] = []
    thread = threading.Thread(target=lambda: results.append(run_script(tmp_path, "def run(batch): return batch")))
    thread.start()
    thread.join()
    assert results[0].status == "Completed"
    assert any("not on the main thread" in note for note in results[0].notes)


def test_a_job_may_run_inside_another(tmp_path: Path) -> None:
    inner_folder = tmp_path / "inner"
    inner_folder.mkdir()
    inner = make_job(
        inner_folder, "import os\nimport time\ndef run(batch):\n    time.sleep(5)\n    return [os.getcwd()]"
    )

    def run(batch: list[str]) -> list[object]:
        before = os.getcwd(), sys.stdout, dict(os.environ), time.sleep
        result = inner.run()
        assert (os.getcwd(), sys.stdout, dict(os.environ), time.sleep) == before
        return [result.status]

    assert _with_object(tmp_path, run).rows == ["Completed"] * 2


@pytest.mark.parametrize(
    ("code", "workers"),
    [("Retry.RestartProcess", [0, 1, 1]), ("Retry.Sleep", [0, 0, 0]), ("Retry.Unknown", [0, 0, 0])],
)
def test_a_parallel_run_exception_is_heeded(tmp_path: Path, code: str, workers: list[int]) -> None:
    result = run_script(
        tmp_path,
        f"""
        from azureml.exceptions import ParallelRunException
        def run(batch):
            if batch[0].endswith("item0.txt"):
                raise ParallelRunException("again", {code!r}, 500)
            return batch
        """
        if code != "Retry.Unknown"
        else """
        class ParallelRunException(Exception):
            code = "Retry.Unknown"
        def run(batch):
            if batch[0].endswith("item0.txt"):
                raise ParallelRunException("again")
            return batch
        """,
        files=3,
    )
    assert [attempt.worker for attempt in result.attempts] == workers
    assert (result.duration >= 500) == (code == "Retry.Sleep")


def test_a_mini_batch_that_must_not_be_retried_is_not(tmp_path: Path) -> None:
    source = """
        from azureml.exceptions import ParallelRunException
        def run(batch): raise ParallelRunException("never", "Retry.NoRetry")
    """
    assert len(run_script(tmp_path, source, files=1, max_retries=3).attempts) == 1


def test_a_worker_that_the_script_stopped_is_not_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    source = """
        from azureml.exceptions import ParallelRunException
        def run(batch):
            if batch[0].endswith("item0.txt"):
                raise ParallelRunException("stop", "Retry.StopProcess")
            return batch
    """
    result = run_script(tmp_path, source, files=4, max_concurrency_per_instance=2)
    assert [attempt.worker for attempt in result.attempts] == [0, 1, 1, 1]
    assert (0, "Retry.StopProcess") in _stopped(result)


def test_a_job_ends_when_the_script_stopped_all_workers(tmp_path: Path) -> None:
    source = """
        from azureml.exceptions import ParallelRunException
        def run(batch): raise ParallelRunException("stop", "Retry.StopProcess")
    """
    result = run_script(tmp_path, source, files=3, max_concurrency_per_instance=2)
    assert [attempt.worker for attempt in result.attempts] == [0, 1]
    assert result.reason is not None
    assert "the script stopped all workers" in result.reason


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault.raises(OSError("disk")), "exception"),
        (Fault.times_out(), "timeout"),
        (Fault.crashes(), "crashed"),
        (Fault.returns(None), "wrong_type"),
        (Fault.returns([]), "short"),
        (Fault.drops(1), "short"),
        (Fault.load_fails(), "load_error"),
    ],
)
def test_a_fault_has_the_outcome_that_it_stands_for(tmp_path: Path, fault: Fault, outcome: str) -> None:
    job = make_job(tmp_path, "def run(batch): return batch", files=1)
    job.faults = (fault,)
    assert outcomes(job.run()) == [outcome]


def test_dropping_results_of_a_wrong_type_leaves_them_wrong(tmp_path: Path) -> None:
    job = make_job(tmp_path, "def run(batch): return None", files=1)
    job.faults = (Fault.drops(1),)
    assert outcomes(job.run()) == ["wrong_type"]


def test_an_async_run_returns_a_wrong_type_without_a_warning(tmp_path: Path) -> None:
    result = run_script(tmp_path, "async def run(batch): return batch", files=1)
    gc.collect()
    assert outcomes(result) == ["wrong_type"]
    assert "coroutine" in errors(result)[0]


def test_a_second_parameter_gets_the_context(tmp_path: Path) -> None:
    assert run_script(tmp_path, "def run(batch, context): return [context.minibatch_index]").rows == [0, 1]


def test_what_run_returned_is_copied(tmp_path: Path) -> None:
    shared: list[str] = []

    def run(batch: list[str]) -> list[str]:
        shared[:] = batch
        return shared

    assert len(set(map(str, _with_object(tmp_path, run).rows))) == 2

    frame = pd.DataFrame({"x": [0]})

    def run_frame(batch: list[str]) -> object:
        frame.loc[0, "x"] = int(batch[0][-5])
        return frame  # the same one every time

    assert _with_object(tmp_path, run_frame).rows == [{"x": 0}, {"x": 1}]


def test_an_exception_does_not_keep_what_the_script_held(tmp_path: Path) -> None:
    class Big:
        pass

    held: list[weakref.ref[Big]] = []

    def run(batch: list[str]) -> list[str]:
        big = Big()
        held.append(weakref.ref(big))
        raise ValueError

    gc.disable()
    try:
        result = _with_object(tmp_path, run)
        assert outcomes(result) == ["exception"] * 2
        assert [reference() for reference in held] == [None, None]
    finally:
        gc.enable()


def test_threads_that_a_script_leaves_are_named(tmp_path: Path) -> None:
    done = threading.Event()

    def run(batch: list[str]) -> list[str]:
        threading.Thread(target=done.wait, name="poller").start()
        return batch

    result = _with_object(tmp_path, run)
    done.set()
    assert "the script left 2 threads running: poller, poller" in result.notes


@pytest.mark.skipif(sys.platform != "linux", reason="looks for open files in /proc")
def test_files_that_the_script_leaves_open_are_told_but_those_of_its_logging(
    tmp_path: Path,
) -> None:
    script = """
import logging, os
from azureml_user.parallel_run import EntryScript
kept = os.open("kept open.txt", os.O_CREAT)
handler = logging.FileHandler("logged.txt")
def run(paths):
    EntryScript().logger.info("logged as well")
    open("closed.txt", "w").close()
    return [kept]
"""
    (tmp_path / "score.py").write_text(script, encoding="utf-8")
    result = ParallelJob(tmp_path / "score.py", [str(tmp_path / "score.py")], logs=tmp_path / "kept").run()
    [kept] = result.rows
    assert isinstance(kept, int)
    os.close(kept)
    [note] = [note for note in result.notes if "open" in note]
    assert note.startswith("the script left 1 file open: ")
    assert note.endswith("kept open.txt")


@pytest.mark.parametrize("at", ["init", "run"])
def test_a_child_that_a_script_forked_and_let_come_back_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    class Ended(BaseException):
        pass

    def end(error: BaseException | None) -> None:
        ended.append(error)
        raise Ended

    ended: list[BaseException | None] = []
    here = os.getpid()
    pids = [here]
    monkeypatch.setattr(inprocess, "end_forked_child", end)
    monkeypatch.setattr(os, "getpid", lambda: pids[-1])

    def fork(*arguments: object) -> None:
        pids.append(here + 1)
        raise SystemExit(3)

    functions: dict[str, Any] = {"run": list, "init": None, at: fork}
    with pytest.raises(Ended):
        _with_object(tmp_path, **functions)
    assert isinstance(ended[0], SystemExit)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_real_fork_does_not_double_the_test_run(tmp_path: Path) -> None:
    code = f"""if True:
        import os
        from types import SimpleNamespace
        from pytest_parallelrun import ParallelJob
        def run(batch):
            pid = os.fork()
            if pid:
                return [os.waitpid(pid, 0)[1]]
            raise SystemExit(0)
        result = ParallelJob(SimpleNamespace(run=run), {str(make_input(tmp_path))!r}).run()
        print("once", result.rows)
    """
    answer = subprocess.run([sys.executable, "-c", code], check=True, timeout=100, capture_output=True, text=True)
    assert answer.stdout == "once [0, 0]\n"


@pytest.fixture
def untraced() -> Iterator[None]:
    """No tracing by coverage: a signal that arrives while coverage holds its own lock would hang the test run."""
    tracer, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    # A thread of the script is hit too, where the machine is so slow that it is just starting.
    threading.settrace(None)
    yield
    threading.settrace(of_threads)
    sys.settrace(tracer)


@pytest.mark.usefixtures("untraced")
@needs_timers
@pytest.mark.parametrize("swallow", [False, True])
@pytest.mark.parametrize("thread", ["main", "worker"])
@pytest.mark.parametrize("busy", ["pass", "time.sleep(0.01)"])
def test_a_real_ctrl_c_ends_the_job(tmp_path: Path, swallow: bool, thread: Any, busy: str) -> None:
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    job = make_job(
        tmp_path,
        f"""
        import time
        def spin():
            end = time.monotonic() + 1
            while time.monotonic() < end:
                {busy}
        def run(batch):
            try:
                spin()
            except BaseException:
                if not {swallow}: raise
            return batch
        """,
        files=1 if thread == "worker" else 50,
        timeout=30,
        thread=thread,
        clock="real",
    )
    before = signal.getsignal(signal.SIGINT)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            job.run()
    finally:
        timer.join()
    assert signal.getsignal(signal.SIGINT) is before


@needs_timers
def test_a_real_ctrl_c_that_init_swallows_ends_the_job(tmp_path: Path) -> None:
    job = make_job(
        tmp_path,
        """
        import os
        import signal
        def press():
            os.kill(os.getpid(), signal.SIGINT)
            while True: pass
        def init():
            try:
                press()
            except BaseException:
                pass
        def run(batch): return batch
        """,
    )
    with pytest.raises(KeyboardInterrupt):
        job.run()


@needs_timers
@pytest.mark.parametrize("swallow", [False, True])
def test_the_limit_of_the_test_run_is_not_the_scripts_failure(tmp_path: Path, swallow: bool) -> None:
    class OuterLimit(BaseException):
        pass

    def handler(signum: int, frame: object) -> None:
        raise OuterLimit

    source = f"""
        def spin():
            while True: pass
        def run(batch):
            try:
                spin()
            except BaseException:
                if not {swallow}: raise
            return batch
    """
    job = make_job(tmp_path, source, max_retries=2)
    before = signal.signal(signal.SIGALRM, handler)
    # Long enough that run() has begun by then, on a busy machine too.
    timer = signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(OuterLimit):
            job.run()
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def test_a_job_leaves_no_thread_file_or_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    job = make_job(
        tmp_path,
        """
        from azureml_user.parallel_run import EntryScript
        def init(): EntryScript().logger.info("up")
        def run(batch): return batch
        """,
        thread="worker",
        instance_count=3,
        output_action="append_row",
    )
    job.run()
    gc.collect()
    threads, files = set(threading.enumerate()), _open_files()
    result = job.run()
    assert result.status == "Completed"
    del result
    gc.collect()
    assert set(threading.enumerate()) == threads
    assert _open_files() == files
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("opens", ["open(__file__)", "socket.create_server(('127.0.0.1', 0))", "subprocess_pipe()"])
def test_what_a_script_leaves_open_warns_nobody_later(tmp_path: Path, opens: str) -> None:
    job = make_job(
        tmp_path,
        f"""
        import os, socket
        def subprocess_pipe():
            return [os.fdopen(number) for number in os.pipe()]
        def init():
            global held
            held = {opens}
        def run(batch): return batch
        """,
    )
    assert job.run().status == "Completed"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(warning.message) for warning in seen] == []


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

"""What a worker process may do to itself: it costs its own attempt, and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_parallelrun import JobResult, JobSettings, ParallelJob
from tests.emulator.engines.process.scripts import (
    NAMES,
    attempts_by_name,
    none_left,
    run_on_processes,
    write_items,
    write_script,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

FAULTY = """
import ctypes, faulthandler, os, signal, subprocess, sys, threading, time

class OwnClass:
    def __str__(self):
        return "own"
    __repr__ = __str__

def run(paths):
    what = os.path.basename(paths[0])
    if what == "exception":
        raise ValueError("bad item")
    if what == "system_exit":
        sys.exit(3)
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "exit":
        os._exit(7)
    if what == "segfault":
        ctypes.string_at(0)
    if what == "abort":
        os.abort()
    if what == "native_sleep":
        # Unlike CDLL this one keeps the lock of the interpreter.
        ctypes.PyDLL(None).sleep(60)
    if what == "swallowed":
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass
    if what == "deadlock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    if what == "child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if what == "child_of_its_own_session":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    if what == "crash_with_child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        os._exit(1)
    if what == "forked":
        if os.fork() == 0:
            return ["never told"]
        os.wait()
    if what == "fork_bomb":
        for _ in range(5):
            os.fork()
        time.sleep(60)
    if what == "closed":
        sys.stdout.close()
        sys.stderr.close()
        for number in (0, 1, 2):
            try:
                os.close(number)
            except OSError:
                pass
    if what == "lambda":
        return [lambda: None]
    if what == "own_class":
        return [OwnClass()]
    if what == "generator":
        return [(number for number in range(3))]
    if what == "terminated":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    if what == "folder_gone":
        import shutil
        shutil.rmtree(os.getcwd())
    return [what]
"""

OUTCOMES = {
    "abort": "crashed",
    "child": "succeeded",
    "child_of_its_own_session": "succeeded",
    "closed": "succeeded",
    "crash_with_child": "crashed",
    "deadlock": "timeout",
    "exception": "exception",
    "exit": "crashed",
    "folder_gone": "succeeded",
    "fork_bomb": "timeout",
    "forked": "succeeded",
    "generator": "succeeded",
    "interrupt": "exception",
    "lambda": "succeeded",
    "native_sleep": "timeout",
    "own_class": "succeeded",
    "segfault": "crashed",
    "sound1": "succeeded",
    "sound2": "succeeded",
    "swallowed": "timeout",
    "system_exit": "exception",
    "terminated": "crashed",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults of a müll worker")


@pytest.fixture(scope="module")
def result(folder: Path) -> JobResult:
    """One job in which every mini-batch but two misbehaves in its own way."""
    environment = {"PARALLELRUN_TEST": str(folder)}
    return run_on_processes(
        folder, FAULTY, *OUTCOMES, timeout=3, max_concurrency_per_instance=2, environment_variables=environment
    )


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_fault_is_the_outcome_of_its_own_attempt(result: JobResult, name: str) -> None:
    [attempt] = attempts_by_name(result)[name]
    assert attempt.outcome == OUTCOMES[name], attempt.error


def test_the_counts_are_those_of_the_faults_alone(result: JobResult) -> None:
    sound = sum(outcome == "succeeded" for outcome in OUTCOMES.values())
    assert (result.succeeded_items, result.failed_items) == (sound, len(OUTCOMES) - sound)
    assert result.status == "Completed"


def test_nothing_is_left_running(result: JobResult, folder: Path) -> None:
    assert none_left(str(folder))


def error_of(result: JobResult, name: str) -> str:
    [attempt] = attempts_by_name(result)[name]
    return attempt.error or ""


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("exception", "ValueError: bad item"),
        ("system_exit", "SystemExit: 3"),
        ("exit", "the worker process ended itself with exit code 7"),
        ("segfault", "the worker process was killed by SIGSEGV, a segmentation fault of native code"),
        ("abort", "the worker process was killed by SIGABRT, an abort of native code"),
        ("terminated", "the worker process was killed by SIGTERM"),
        ("native_sleep", "run() was killed at its limit of 3 s (timeout)"),
    ],
)
def test_the_error_says_how_it_ended(result: JobResult, name: str, error: str) -> None:
    assert error_of(result, name) == error


def test_a_crash_of_native_code_shows_the_line_of_the_script(result: JobResult) -> None:
    [failure] = [each.failure for each in result.attempts if each.failure and "SIGSEGV" in each.failure.error]
    assert ("score.py", "run") in [(Path(frame.file).name, frame.function) for frame in failure.frames]
    assert failure.traceback.count(", line ") == len(failure.frames)
    assert "score.py" in failure.traceback


def test_an_object_that_cannot_cross_is_shown_by_its_texts(result: JobResult) -> None:
    shown = {str(row) for row in result.rows}
    assert "own" in shown
    assert any(text.startswith("<function run.<locals>.<lambda>") for text in shown)
    assert any("cannot be pickled" in note for note in result.notes)


def test_much_that_is_printed_holds_nothing_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "def run(paths):\n    for _ in range(100):\n        print('x' * 1_000_000)\n    return paths"
    assert run_on_processes(tmp_path, script, "a").succeeded_items == 1
    assert "99,900,100 bytes left out" in capsys.readouterr().out


def test_a_large_result_arrives_whole_and_its_way_is_no_time_of_run(tmp_path: Path) -> None:
    script = "def run(paths):\n    return ['x' * 200_000_000]"
    result = run_on_processes(tmp_path, script, "a")
    assert [len(str(row)) for row in result.rows] == [200_000_000]
    assert result.attempts[0].running < result.duration


DYING = """
import os, sys
def end(when):
    if os.environ["WHEN"] == when:
        (sys.exit if "HOW" in os.environ else os._exit)(9)
end("import")
def init():
    end("init")
def run(paths):
    return paths
def shutdown():
    end("shutdown")
"""


@pytest.mark.parametrize(
    ("phase", "how", "error"),
    [
        ("import", {}, "the worker process ended itself with exit code 9"),
        ("init", {}, "the worker process ended itself with exit code 9"),
        ("init", {"HOW": "politely"}, "SystemExit: 9"),
    ],
)
def test_an_exit_while_a_worker_comes_up_fails_the_job_after_three_times_the_workers(
    tmp_path: Path, phase: str, how: dict[str, str], error: str
) -> None:
    result = run_on_processes(tmp_path, DYING, "a", "b", environment_variables={"WHEN": phase, **how})
    assert result.status == "Failed"
    assert "3 x max_concurrency_per_instance = 3 failures" in (result.reason or "")
    assert [event.failure.phase for event in result.worker_failures] == [phase] * 3
    assert result.worker_failures[0].failure.error == error


def test_an_exit_in_shutdown_is_noted_and_costs_nothing(tmp_path: Path) -> None:
    result = run_on_processes(tmp_path, DYING, "a", environment_variables={"WHEN": "shutdown"})
    assert (result.status, result.succeeded_items) == ("Completed", 1)
    assert any("shutdown() of worker 0 failed" in note and "exit code 9" in note for note in result.notes)


def test_shutdown_is_called_at_the_normal_end_alone(tmp_path: Path) -> None:
    script = """
import os
def run(paths):
    if paths[0].endswith(os.environ["BAD"]):
        raise ValueError
    return paths
def shutdown():
    open(os.environ["CALLED"], "a").close()
"""
    called = tmp_path / "called"
    for bad, status, there in (("b", "Failed", False), ("none", "Completed", True)):
        environment = {"CALLED": str(called), "BAD": bad}
        result = run_on_processes(tmp_path, script, "a", "b", error_threshold=0, environment_variables=environment)
        assert (result.status, called.exists()) == (status, there)


def test_memory_past_its_limit_is_a_crash_that_says_so(tmp_path: Path) -> None:
    script = """
import time
def run(paths):
    if paths[0].endswith("hog"):
        hog = bytearray(300_000_000)
        time.sleep(60)
    return paths
"""
    result = run_on_processes(tmp_path, script, "hog", "modest", memory_limit=150_000_000, timeout=20)
    [hog], [modest] = attempts_by_name(result)["hog"], attempts_by_name(result)["modest"]
    assert (hog.outcome, modest.outcome) == ("crashed", "succeeded")
    assert "more than memory_limit = 150,000,000" in (hog.error or "")


SPOILING = """
import os, resource, shutil
def run(paths):
    name = os.path.basename(paths[0])
    if name == "b_spoils":
        if os.environ["HOW"] == "removed":
            shutil.rmtree(os.environ["AZUREML_BI_OUTPUT_PATH"])
        else:
            # A quota: a full disk refuses in the same way.
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    return [name * 3]
"""


@pytest.mark.parametrize("how", ["removed", "full"])
def test_results_that_cannot_be_appended_fail_their_attempts(tmp_path: Path, how: str) -> None:
    result = run_on_processes(
        tmp_path, SPOILING, "a", "b_spoils", "c", output_action="append_row", environment_variables={"HOW": how}
    )
    found = attempts_by_name(result)
    assert found["a"][0].outcome == "succeeded"
    assert found["b_spoils"][0].outcome == "exception"
    assert "the results cannot be appended to" in (found["b_spoils"][0].error or "")
    # The disk is as full, and the folder as gone, for what comes after it on the only worker.
    assert (found["c"][0].outcome, result.succeeded_items, result.failed_items) == ("exception", 1, 2)
    gone = "is gone: the script has removed or replaced it, and the rows in it" in (result.reason or "")
    assert (result.status, gone) == (("Failed", True) if how == "removed" else ("Completed", False))


READ_ONLY = """
import os
# What is imported after init() might be in a folder that nobody else may read.
import pytest_parallelrun.emulator.output
def init():
    os.chmod(os.environ["AZUREML_BI_OUTPUT_PATH"], 0o555)
    if not os.geteuid():
        # Who may do everything becomes one who may not.
        os.seteuid(65534)
def run(paths):
    return paths
"""


def test_an_output_folder_that_is_read_only_fails_the_attempts(tmp_path: Path) -> None:
    output = tmp_path / "output"
    result = run_on_processes(tmp_path, READ_ONLY, "a", "b", output=output, output_action="append_row")
    output.chmod(0o755)
    assert [attempt.outcome for attempt in result.attempts] == ["exception"] * 2
    assert "the results cannot be appended to" in str(result.attempts[0].failure)
    assert "Permission denied" in str(result.attempts[0].failure)
    assert (result.status, result.succeeded_items, result.failed_items) == ("Failed", 0, 2)


def test_a_killed_worker_has_a_successor_that_calls_init(tmp_path: Path) -> None:
    script = """
import os
def init():
    print("init of", os.getpid())
def run(paths):
    if paths[0].endswith("b"):
        os._exit(1)
    return paths
"""
    result = run_on_processes(tmp_path, script, "a", "b", "c", "d", max_retries=1)
    assert result.init_calls == 2
    assert [attempt.outcome for attempt in attempts_by_name(result)["b"]] == ["crashed", "crashed"]
    assert (result.succeeded_items, result.failed_items) == (3, 1)


def test_each_worker_has_a_folder_arguments_and_an_environment_of_its_own(tmp_path: Path) -> None:
    script = """
import os, sys
def init():
    os.environ["MINE"] = str(os.getpid())
    sys.argv.append(str(os.getpid()))
    open("mine.txt", "w").write(str(os.getpid()))
def run(paths):
    pid = str(os.getpid())
    return [(os.environ["MINE"] == pid, sys.argv[-1] == pid, open("mine.txt").read() == pid, sys.argv[1])]
"""
    result = run_on_processes(tmp_path, script, "a", "b", "c", "d", max_concurrency_per_instance=2)
    assert result.rows == [(True, True, True, "--client_sdk_version")] * 4


def test_an_idle_worker_that_is_killed_is_replaced_where_it_is_needed(tmp_path: Path) -> None:
    # The child kills its parent when that has nothing in hand.
    script = """
import os, signal, time
def run(paths):
    if paths[0].endswith("a"):
        if os.fork() == 0:
            time.sleep(0.3)
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(0)
    elif paths[0].endswith("b"):
        time.sleep(1)
    return paths
"""
    result = run_on_processes(tmp_path, script, "a", "b", max_retries=1)
    assert result.succeeded_items == 2
    assert [attempt.outcome for attempt in attempts_by_name(result)["b"]] == ["crashed", "succeeded"]


def test_an_object_is_refused_with_what_to_do(tmp_path: Path) -> None:
    class Entry:
        def run(self, paths: list[str]) -> list[str]:
            return paths

    with pytest.raises(Exception, match=r"takes the path of a script: <Entry object> lives in this process"):
        ParallelJob(Entry(), write_items(tmp_path, "a"), engine="process")


def test_without_an_output_folder_nothing_is_written_beside_the_script(tmp_path: Path) -> None:
    script = write_script(tmp_path, "import side\n" + NAMES)
    write_script(tmp_path, "VALUE = 1", "side.py")
    result = ParallelJob(script, write_items(tmp_path, "a"), JobSettings(), engine="process").run()
    assert result.rows == ["a"]
    assert sorted(os.listdir(script.parent)) == ["score.py", "side.py"]

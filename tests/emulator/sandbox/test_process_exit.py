from __future__ import annotations

import atexit
import multiprocessing.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from pytest_parallelrun.emulator.sandbox import process_exit
from pytest_parallelrun.emulator.sandbox.process_exit import ExitHandlers, ScriptProcesses, call_handlers
from tests.emulator._scripts import make_input, make_job, run_script, write_files

LEAVES_A_POOL = """
    import multiprocessing as mp
    def score(path):
        return len(path) and 1
    def init():
        global pool
        pool = mp.get_context(METHOD).Pool(2)
    def run(batch):
        return pool.map(score, batch)
"""

USES_IT_THREE_TIMES = """
    import gc
    import multiprocessing
    from pytest_parallelrun import ParallelJob
    from pytest_parallelrun.emulator.probe import probe_startup

    if __name__ == "__main__":
        for _ in range(3):
            result = ParallelJob("code/score.py", "data").run()
            assert result.rows == [1, 1], result.explain()
            attempt = probe_startup(ParallelJob("code/score.py", "data"), first_attempt=True).attempt
            assert attempt.outcome == "succeeded", attempt
            gc.collect()
        assert multiprocessing.active_children() == []
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script on Windows cannot make a pool in init()")
def test_a_pool_that_a_script_keeps_in_a_global_ends_with_the_job(tmp_path: Path) -> None:
    write_files(tmp_path, {"code/score.py": LEAVES_A_POOL.replace("METHOD", "'fork'"), "main.py": USES_IT_THREE_TIMES})
    make_input(tmp_path)
    subprocess.run([sys.executable, "main.py"], cwd=tmp_path, timeout=100, check=True)


def _terminate_pool(*arguments: object) -> None:
    """Has the name by which the finalizer of a Pool is known."""
    for argument in arguments:
        argument()  # type: ignore[operator]


@pytest.fixture
def called() -> Iterator[list[str]]:
    before = dict(multiprocessing.util._finalizer_registry)  # type: ignore[attr-defined]
    yield []
    for key in multiprocessing.util._finalizer_registry.keys() - before.keys():  # type: ignore[attr-defined]
        del multiprocessing.util._finalizer_registry[key]  # type: ignore[attr-defined]


def _register(*calls: object, priority: int = 15, callback: Callable[..., object] = _terminate_pool) -> None:
    multiprocessing.util.Finalize(None, callback, args=calls, exitpriority=priority)


def test_finalizers_run_by_priority_and_each_once(called: list[str], tmp_path: Path) -> None:
    with ScriptProcesses(tmp_path):
        _register(lambda: called.append("early"), priority=5)
        _register(lambda: called.append("late"), priority=15)
    with ScriptProcesses(tmp_path):
        pass
    assert called == ["late", "early"]


def test_finalizers_that_were_there_before_are_left_alone(called: list[str], tmp_path: Path) -> None:
    _register(lambda: called.append("of the host"))
    with ScriptProcesses(tmp_path):
        pass
    assert called == []


def test_finalizers_of_what_may_outlive_the_job_are_left_alone(called: list[str], tmp_path: Path) -> None:
    with ScriptProcesses(tmp_path):
        _register(callback=lambda: called.append("of a queue"))
    assert called == []


def test_a_finalizer_that_fails_harms_nobody(called: list[str], tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("handle is closed")

    with ScriptProcesses(tmp_path):
        _register(lambda: called.append("next"), priority=5)
        _register(fail, priority=15)
    assert called == ["next"]


def test_a_finalizer_that_ends_another_is_enough_for_both(called: list[str], tmp_path: Path) -> None:
    with ScriptProcesses(tmp_path):
        _register(lambda: called.append("inner"), priority=5)
        inner = max(multiprocessing.util._finalizer_registry, key=lambda key: key[1])  # type: ignore[attr-defined]
        _register(lambda: multiprocessing.util._finalizer_registry.pop(inner), priority=15)  # type: ignore[attr-defined]
    assert called == []


def test_a_finalizer_that_never_ends_is_not_waited_for(
    called: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_exit, "FINALIZER_TIME", 0.05)
    forever = threading.Event()
    started = time.perf_counter()
    with ScriptProcesses(tmp_path):
        _register(forever.wait)
    assert time.perf_counter() - started < 60
    forever.set()


def test_without_a_registry_of_finalizers_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(multiprocessing.util, "_finalizer_registry")
    with ScriptProcesses(tmp_path):
        pass


LEAVES_PROCESSES = """
    import multiprocessing, os, subprocess, sys
    STRAY = [sys.executable, "-c", f"import time; time.sleep(600) # {os.environ['TAG']}"]
    def started():
        subprocess.Popen(STRAY)
    def without_environment():
        subprocess.Popen(STRAY, env={}, cwd="/", start_new_session=True)
    def orphan():
        subprocess.run(["sh", "-c", '"$@" &', "sh", *STRAY], cwd="/", start_new_session=True)
    def shell():
        import shlex
        os.system(shlex.join(STRAY) + " &")
    def daemon():
        if os.fork() == 0:
            os.setsid()
            os.chdir("/")
            if os.fork() == 0:
                os.execve(STRAY[0], STRAY, {})
            os._exit(0)
        os.wait()
    def of_multiprocessing():
        multiprocessing.get_context("fork").Process(target=subprocess.run, args=[STRAY], name="scorer").start()
    def init():
        globals()[os.environ["HOW"]]()
        if os.environ["FAILS"]:
            raise ValueError("no model")
    def run(batch):
        return batch
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("number", process_exit.TERMINATIONS)
def test_a_signal_ends_a_forked_child_at_once_as_multiprocessing_expects(tmp_path: Path, number: int) -> None:
    body = (
        f"child = os.fork(); child or (os.kill(os.getpid(), {number:d}), signal.pause()); "
        "return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for _ in batch]"
    )
    script = f"import os, signal\ndef run(batch):\n    {body}\n"
    assert run_script(tmp_path, script, files=1).rows == [-number]


def running_with(tag: str) -> int:
    """How many processes have it in their command line."""
    return sum(tag in " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("engine", ["inprocess", "process"])
@pytest.mark.parametrize(
    ("how", "fails"),
    [
        ("started", False),
        ("started", True),
        ("without_environment", False),
        ("orphan", False),
        ("shell", False),
        ("daemon", False),
        ("of_multiprocessing", False),
    ],
)
def test_no_process_of_a_script_outlives_its_job(tmp_path: Path, engine: str, how: str, fails: bool) -> None:
    if engine == "process" and how == "of_multiprocessing":
        pytest.skip("Python waits for the child, and the engine 10 s for Python")
    tag = f"stray-{tmp_path.name}-{os.getpid()}"
    environment = {"HOW": how, "FAILS": "1" if fails else "", "TAG": tag}
    host = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(600) # {tag}"])
    try:
        job = make_job(tmp_path, LEAVES_PROCESSES, environment_variables=environment)
        job.engine = engine
        result = job.run()
        assert running_with(tag) == 1
        assert host.poll() is None
    finally:
        host.kill()
        host.wait()
    assert [note for note in result.notes if "running, killed at the end of the job: " in note], result.notes


@pytest.fixture
def exits() -> Iterator[ExitHandlers]:
    """The module atexit as a script has it; this very file counts as one of the script."""
    handlers = ExitHandlers(lambda file: file.endswith("weakref.py"))
    handlers.take_over()
    yield handlers
    handlers.give_back()


def test_handlers_of_a_script_wait_for_the_end_of_its_worker_in_reverse_order(exits: ExitHandlers) -> None:
    called: list[object] = []
    assert atexit.register(called.append, 1) == called.append
    atexit.register(lambda **options: called.append(options), x=2)
    atexit.register(print, "taken back")
    atexit.unregister(print)
    call_handlers(exits.current)
    assert called == [{"x": 2}, 1]
    assert exits.current == []


def test_a_script_that_runs_or_clears_the_handlers_reaches_its_own_alone(exits: ExitHandlers) -> None:
    called: list[int] = []
    atexit.register(called.append, 1)
    atexit._run_exitfuncs()
    atexit.register(called.append, 2)
    atexit._clear()
    call_handlers(exits.current)
    assert called == [1]


def test_a_handler_of_an_installed_package_stays_with_the_package(
    exits: ExitHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed_on: list[object] = []
    code = compile("import atexit; atexit.register(print)", "/site-packages/weakref.py", "exec")
    # Taken back before `exits` gives the module back.
    with monkeypatch.context() as patched:
        patched.setitem(exits._of_host, "register", passed_on.append)
        exec(code, {})
    assert (passed_on, exits.current) == ([print], [])


def test_an_exception_of_a_handler_is_shown_and_the_others_are_called(
    exits: ExitHandlers, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[int] = []
    atexit.register(called.append, 1)
    atexit.register(lambda: 1 / 0)
    atexit.register(sys.exit, 3)
    call_handlers(exits.current)
    assert called == [1]
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shutdown", "status", "written"),
    [("", "Completed", "exit 0 exit 1 "), ("def shutdown(): note('shut ')", "Completed", "shut exit 0 shut exit 1 ")],
)
def test_a_worker_calls_its_handlers_when_it_ends(tmp_path: Path, shutdown: str, status: str, written: str) -> None:
    file = tmp_path / "notes"
    source = f"""
        import atexit, os
        def note(text):
            with open({str(file)!r}, "a") as out:
                out.write(text)
        {shutdown}
        atexit.register(lambda: note("exit " + os.path.basename(os.getcwd())[-1] + " "))
        def run(batch):
            return batch
    """
    result = run_script(tmp_path, source, max_concurrency_per_instance=2)
    assert (result.status, file.read_text()) == (status, written)


def test_handlers_are_not_called_after_a_stop_nor_by_the_host(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    source = f"""
        import atexit
        atexit.register(open, {str(file)!r}, "w")
        def run(batch):
            raise ValueError
    """
    result = run_script(tmp_path, source, error_threshold=0)
    assert result.status == "Failed"
    atexit.unregister(open)
    assert not file.exists()


@pytest.fixture
def hangup() -> Iterator[None]:
    """The signal as it is without nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangup")
def test_a_signal_to_end_the_run_is_an_interrupt_and_the_handlers_of_others_stay() -> None:
    with process_exit.terminations_as_interrupts():
        handler = signal.getsignal(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt, match="ended by SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
        # A second one would end the process.
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert handler is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_in_another_thread_signals_are_left_alone() -> None:
    seen: list[object] = []

    def enter() -> None:
        with process_exit.terminations_as_interrupts():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


def test_what_runs_is_noted_once_when_a_process_is_about_to_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def descendants(pid: int) -> list[psutil.Process]:
        looked.append(pid)
        return []

    monkeypatch.setattr(process_exit, "descendants", descendants)
    processes = ScriptProcesses(tmp_path)
    monkeypatch.setattr(process_exit, "_active", [processes])
    for event in ("open", "os.fork", "subprocess.Popen"):
        process_exit._on_event(event, ())
    assert looked == [os.getpid()]


def test_an_error_of_the_watch_does_not_come_out_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    # It has no method of that name.
    monkeypatch.setattr(process_exit, "_active", [object()])
    process_exit._on_event("os.fork", ())


@pytest.mark.parametrize("forks", [True, False])
def test_starts_are_watched_once(monkeypatch: pytest.MonkeyPatch, forks: bool) -> None:
    watching: list[object] = []
    monkeypatch.setattr(process_exit, "_watched", [])
    monkeypatch.setattr(sys, "addaudithook", watching.append)
    monkeypatch.setattr(os, "register_at_fork", lambda after_in_child: watching.append(after_in_child))
    if not forks:
        monkeypatch.delattr(os, "register_at_fork")
    process_exit._watch_starts()
    process_exit._watch_starts()
    assert len(watching) == 1 + forks


def test_the_fork_server_is_stopped_by_multiprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[bool] = []
    server = SimpleNamespace(_forkserver=SimpleNamespace(_stop=lambda: stopped.append(True)))
    monkeypatch.setitem(sys.modules, "multiprocessing.forkserver", server)
    process_exit._stop_fork_server()
    assert stopped == [True]

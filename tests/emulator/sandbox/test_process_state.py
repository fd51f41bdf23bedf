"""What is put back when a job ends, one thing at a time. Whole scripts: tests/emulator/test_hostile_scripts.py."""

from __future__ import annotations

import builtins
import concurrent.futures
import io
import logging
import logging.config
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_parallelrun.emulator.sandbox import process_exit
from pytest_parallelrun.emulator.sandbox.process_exit import (
    ScriptProcesses,
    WorkerExit,
    apply_start_method,
    end_forked_child,
    start_method,
)
from pytest_parallelrun.emulator.sandbox.process_state import (
    apply_environment,
    process_state_restored,
    randomness_restored,
    seed_from_system,
)


def test_the_working_folder_is_put_back(tmp_path: Path) -> None:
    before = os.getcwd()
    with process_state_restored():
        os.chdir(tmp_path)
    assert os.getcwd() == before


def test_a_thread_that_dies_is_told_as_by_a_plain_interpreter(capsys: pytest.CaptureFixture[str]) -> None:
    def dies() -> None:
        raise ValueError("no such row")

    before = threading.excepthook, sys.unraisablehook
    with process_state_restored():
        thread = threading.Thread(target=dies)
        thread.start()
        thread.join()
        assert sys.unraisablehook is sys.__unraisablehook__
    assert (threading.excepthook, sys.unraisablehook) == before
    assert "ValueError: no such row" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["argv", "path"])
def test_a_list_of_sys_is_the_same_object_with_the_same_content(name: str) -> None:
    before = getattr(sys, name)
    content = list(before)
    with process_state_restored():
        before.append("more")
        setattr(sys, name, ["another"])
        setattr(sys, name, content)
    assert getattr(sys, name) is before
    assert before == content


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "before")
    environ, before = os.environ, dict(os.environ)
    with process_state_restored():
        os.environ["KEPT"] = "changed"
        os.environ["ADDED"] = "1"
        os.environ = {}  # type: ignore[assignment]  # noqa: B003
    assert os.environ is environ
    assert dict(os.environ) == before


def test_the_environment_is_touched_only_where_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[str] = []

    class Watched(dict[str, str]):
        def __setitem__(self, key: str, value: str) -> None:
            touched.append(key)
            super().__setitem__(key, value)

        def __delitem__(self, key: str) -> None:
            touched.append(key)
            super().__delitem__(key)

    watched = Watched(same="1", other="1", gone="1")
    monkeypatch.setattr(os, "environ", watched)
    apply_environment({"same": "1", "other": "2", "new": "1"})
    assert watched == {"same": "1", "other": "2", "new": "1"}
    assert sorted(touched) == ["gone", "new", "other"]
    touched.clear()
    apply_environment(dict(watched))
    assert touched == []


def test_signal_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with process_state_restored():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before


def test_on_another_thread_signal_handlers_are_out_of_reach() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with process_state_restored():
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (threading, "excepthook"),
        (builtins, "print"),
    ],
)
def test_functions_of_the_interpreter_are_put_back(module: object, name: str) -> None:
    before = getattr(module, name)
    with process_state_restored():
        setattr(module, name, "mine")
    assert getattr(module, name) is before


def test_a_name_that_was_added_to_the_builtins_is_gone() -> None:
    with process_state_restored():
        builtins.profile = print  # type: ignore[attr-defined]
    assert not hasattr(builtins, "profile")


def test_the_recursion_limit_is_put_back() -> None:
    before = sys.getrecursionlimit()
    with process_state_restored():
        sys.setrecursionlimit(before + 1000)
    assert sys.getrecursionlimit() == before


def test_warning_filters_are_put_back() -> None:
    before = list(warnings.filters)
    with process_state_restored():
        warnings.simplefilter("error")
    assert list(warnings.filters) == before


def test_a_script_runs_under_the_warning_filters_of_a_fresh_interpreter() -> None:
    with warnings.catch_warnings(record=True) as shown, process_state_restored():
        warnings.simplefilter("default", UserWarning)
        warnings.warn("seen", UserWarning, stacklevel=1)
        warnings.warn("not seen", ResourceWarning, stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["seen"]


def test_loggers_are_put_back() -> None:
    log = logging.getLogger("tests.host.known")
    handler, own_filter = logging.NullHandler(), logging.Filter("x")
    log.addHandler(handler)
    log.addFilter(own_filter)
    try:
        with process_state_restored():
            log.setLevel(logging.DEBUG)
            log.propagate, log.disabled = False, True
            log.handlers.clear()
            log.filters.clear()
            logging.disable(logging.CRITICAL)
        assert (log.level, log.propagate, log.disabled) == (logging.NOTSET, True, False)
        assert (log.handlers, log.filters) == ([handler], [own_filter])
        assert logging.root.manager.disable == logging.NOTSET
    finally:
        log.removeHandler(handler)
        log.removeFilter(own_filter)


def test_a_logger_of_the_script_keeps_neither_handlers_nor_level() -> None:
    with process_state_restored():
        log = logging.getLogger("tests.host.new")
        log.addHandler(logging.NullHandler())
        log.setLevel(logging.DEBUG)
    assert (log.handlers, log.level) == ([], logging.NOTSET)


def test_records_of_a_script_reach_the_handlers_of_the_host(caplog: pytest.LogCaptureFixture) -> None:
    with process_state_restored():
        logging.getLogger("score").warning("three rows")
    assert caplog.messages == ["three rows"]


def test_the_level_of_a_handler_of_the_host_holds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The handler is that of all tests.
    monkeypatch.setattr(caplog.handler, "level", logging.ERROR)
    with process_state_restored():
        logging.getLogger("score").warning("three rows")
    assert caplog.messages == []


def test_a_root_logger_without_handlers_stays_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    with process_state_restored():
        assert logging.root.handlers == []


@pytest.mark.parametrize(
    "configure",
    [
        lambda: logging.basicConfig(force=True),
        lambda: logging.config.dictConfig({"version": 1, "disable_existing_loggers": True}),
        lambda: logging.root.handlers[0].close(),
        logging.shutdown,
    ],
)
def test_a_log_file_of_the_host_stays_open_whatever_a_script_configures(tmp_path: Path, configure: object) -> None:
    file = logging.FileHandler(tmp_path / "pytest.log", mode="w", encoding="utf-8")
    file.set_name("pytest")
    logging.root.addHandler(file)
    try:
        before = list(logging.root.handlers)
        with process_state_restored():
            configure()  # type: ignore[operator]
        assert logging.root.handlers == before
        logging.getLogger("host").error("after the job")
    finally:
        logging.root.removeHandler(file)
        file.close()
    assert "after the job" in (tmp_path / "pytest.log").read_text(encoding="utf-8")


def test_handlers_that_a_script_opened_are_closed(tmp_path: Path) -> None:
    with process_state_restored():
        handler = logging.FileHandler(tmp_path / "score.log")
        handler.emit(logging.makeLogRecord({"msg": "x"}))
        stream: Any = handler.stream
        gone = logging.NullHandler()
        del gone
    assert stream.closed


def test_a_handler_that_cannot_be_closed_does_not_disturb(tmp_path: Path) -> None:
    class Broken(logging.Handler):
        def close(self) -> None:
            raise RuntimeError("stuck")

    with process_state_restored():
        broken = Broken()
    assert broken.level == logging.NOTSET


def test_a_handler_that_was_let_go_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    references: list[object] = []
    monkeypatch.setattr(logging, "_handlerList", references, raising=False)
    with process_state_restored():
        references.append(lambda: None)
    assert references == []


def test_factories_of_logging_are_put_back() -> None:
    class MyLogger(logging.Logger):
        pass

    record_factory, logger_class = logging.getLogRecordFactory(), logging.getLoggerClass()
    show = warnings.showwarning
    with process_state_restored():
        logging.setLogRecordFactory(lambda *a, **k: logging.makeLogRecord({}))
        logging.setLoggerClass(MyLogger)
        logging.captureWarnings(True)
    assert (logging.getLogRecordFactory(), logging.getLoggerClass()) == (record_factory, logger_class)
    assert warnings.showwarning is show
    logging.captureWarnings(True)
    assert warnings.showwarning is not show
    logging.captureWarnings(False)
    assert warnings.showwarning is show


def test_streams_are_put_back() -> None:
    before = sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    with process_state_restored():
        sys.stdin = sys.stdout = sys.stderr = io.StringIO()
        sys.__stdout__ = sys.__stderr__ = None  # type: ignore[misc]
    assert (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) == before


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_file_number_that_was_closed_or_replaced_leads_where_it_led(number: int) -> None:
    before = os.fstat(number)
    with process_state_restored():
        os.close(number)
    assert os.path.samestat(os.fstat(number), before)
    with tempfile.TemporaryFile() as other, process_state_restored():
        os.dup2(other.fileno(), number)
    assert os.path.samestat(os.fstat(number), before)


def test_the_file_behind_stdout_is_put_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "captured", "w", encoding="utf-8") as captured:
        monkeypatch.setattr(sys, "stdout", captured)
        before = os.fstat(captured.fileno())
        with tempfile.TemporaryFile() as other, process_state_restored():
            os.dup2(other.fileno(), sys.stdout.fileno())
        assert os.path.samestat(os.fstat(captured.fileno()), before)


def test_a_file_number_that_was_closed_before_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = os.dup(0)
    os.close(0)
    try:
        with process_state_restored():
            pass
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(0)
    finally:
        os.dup2(saved, 0)
        os.close(saved)


def test_threads_of_a_script_are_daemons() -> None:
    start = threading.Thread.start
    done = threading.Event()
    with process_state_restored():
        thread = threading.Thread(target=done.wait, daemon=False)
        thread.start()
    assert thread.daemon
    assert threading.Thread.start is start
    done.set()
    thread.join()


def test_starting_a_thread_twice_is_the_error_that_it_is_elsewhere() -> None:
    with process_state_restored():
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()


def test_threads_of_a_pool_that_never_end_do_not_keep_the_interpreter_from_ending() -> None:
    code = """if True:
        import concurrent.futures, time
        from pytest_parallelrun.emulator.sandbox.process_state import process_state_restored
        with process_state_restored():
            pool = concurrent.futures.ThreadPoolExecutor()
            pool.submit(time.sleep, 600)
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_a_pool_of_a_script_works_on_but_is_not_waited_for() -> None:
    with process_state_restored():
        pool = concurrent.futures.ThreadPoolExecutor(1)
        thread = pool.submit(threading.current_thread).result()
    assert thread not in concurrent.futures.thread._threads_queues
    assert pool.submit(divmod, 7, 2).result() == (3, 1)
    pool.shutdown()


def test_a_pool_of_the_host_is_waited_for_as_before() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        known = set(concurrent.futures.thread._threads_queues)
        with process_state_restored():
            pass
        assert set(concurrent.futures.thread._threads_queues) == known


def test_a_child_process_that_a_script_left_is_ended(tmp_path: Path) -> None:
    with ScriptProcesses(tmp_path) as processes:
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
        child.start()
    assert child.exitcode is not None
    assert processes.left == [child.name]


def test_child_processes_of_the_host_and_of_joblib_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[str] = []

    class Child:
        pid, daemon = None, True

        def __init__(self, name: str) -> None:
            self.name = name

        def kill(self) -> None:
            killed.append(self.name)

        def join(self) -> None: ...

    class OfJoblib(Child):
        __module__ = "joblib.externals.loky.backend.process"

    children = [Child("host")]
    monkeypatch.setattr(process_exit, "_children", lambda: children)
    with ScriptProcesses(tmp_path) as processes:
        children += [Child("script"), OfJoblib("joblib")]
    assert (killed, processes.left) == (["script"], [])


def test_without_multiprocessing_there_are_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing")
    assert process_exit._children() == []
    assert start_method() is None


def test_the_start_method_of_processes_can_be_decided_by_each_worker() -> None:
    before = start_method()
    try:
        apply_start_method("spawn")
        assert multiprocessing.get_start_method() == "spawn"
        apply_start_method(None)
        assert start_method() is None
        multiprocessing.set_start_method("spawn")
    finally:
        apply_start_method(before)
    assert start_method() == before


@pytest.mark.parametrize(
    ("name", "arguments", "said"), [("_exit", (3,), r"with os\._exit\(3\)"), ("abort", (), r"with os\.abort\(\)")]
)
def test_ending_the_process_ends_the_worker(name: str, arguments: tuple[int, ...], said: str) -> None:
    before = os._exit, os.abort
    with process_state_restored(), pytest.raises(WorkerExit, match=said):
        getattr(os, name)(*arguments)
    assert (os._exit, os.abort) == before


def test_a_child_that_was_forked_may_end_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(os, "abort", lambda: ended.append("abort"))
    with process_exit.exits_guarded():
        pid = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: pid)
        for name, arguments in (("_exit", (3,)), ("abort", ())):
            with pytest.raises(WorkerExit):
                getattr(os, name)(*arguments)
    assert ended == [3, "abort"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, 0), (SystemExit(), 0), (SystemExit(4), 4), (SystemExit("text"), 1), (ValueError(), 1)],
)
def test_a_child_that_came_back_ends_with_the_status_that_it_asked_for(
    monkeypatch: pytest.MonkeyPatch, error: BaseException | None, status: int
) -> None:
    end: Any = end_forked_child
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    end(error)
    assert ended == [status]


def test_the_host_goes_on_where_it_was() -> None:
    random.seed(3)
    np.random.seed(3)
    with randomness_restored():
        seed_from_system()
        random.random()
        np.random.random()
    assert random.random() == random.Random(3).random()
    assert np.random.random() == np.random.RandomState(3).random()


def test_seeds_come_from_the_system() -> None:
    drawn = set()
    with randomness_restored():
        for _ in range(2):
            random.seed(3)
            np.random.seed(3)
            seed_from_system()
            drawn.add((random.random(), np.random.random()))
    first, second = drawn
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_without_numpy_it_is_about_random_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "numpy.random")
    random.seed(3)
    with randomness_restored():
        seed_from_system()
    assert random.random() == random.Random(3).random()
    assert "numpy.random" not in sys.modules


def test_numpy_is_not_loaded_for_it() -> None:
    code = (
        "import sys; from pytest_parallelrun.emulator.sandbox import process_state as r\n"
        "with r.randomness_restored(): r.seed_from_system()\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

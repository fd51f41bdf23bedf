"""Whatever a script does to its process, the job has a result and the host is as it was.

Each script runs as a job of two workers and three mini-batches, on the thread of the test and on one of its
own. The state of the process is read before and after.
"""

from __future__ import annotations

import atexit
import builtins
import codecs
import faulthandler
import importlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from importlib.machinery import BuiltinImporter, FileFinder, PathFinder
from pathlib import Path
from textwrap import dedent
from zipimport import zipimporter

import pytest

from pytest_parallelrun.emulator.sandbox.interpreter import _read_all
from tests.emulator._scripts import make_input, outcomes, run_script, write_files


def _host() -> dict[str, object]:
    """All that a script must leave as it was, in a form that can be compared."""
    return {
        "argv": (id(sys.argv), list(sys.argv)),
        "environ": (id(os.environ), dict(os.environ)),
        "cwd": os.getcwd(),
        "path": (id(sys.path), list(sys.path)),
        "meta_path": (id(sys.meta_path), list(sys.meta_path)),
        "modules": {
            # What is installed may stay loaded; the modules that were there are the same ones.
            name: id(module)
            for name, module in sys.modules.items()
            if name in _MODULES or not _is_installed(module)
        },
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "timer": _timer_is_running(),
        "alarm": [getattr(signal, name, None) for name in ("alarm", "setitimer")],
        "warnings": (id(warnings.filters), list(warnings.filters), warnings.showwarning),
        "root logger": _logger(logging.root),
        "loggers": {
            name: _logger(log)
            for name, log in logging.root.manager.loggerDict.items()
            if isinstance(log, logging.Logger) and name in _LOGGERS
        },
        "logging": (logging.root.manager.disable, logging.getLogRecordFactory(), logging.getLoggerClass()),
        "streams": (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__),
        "open": (sys.stdout.closed, sys.stderr.closed),
        "files": [(stat.st_dev, stat.st_ino) for stat in map(os.fstat, (0, 1, 2))],
        "thread": threading.Thread.start,
        "exits": (os._exit, os.abort),
        "time": {name: getattr(time, name) for name in dir(time)},
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook),
        "builtins": dict(vars(builtins)),
        "start method": multiprocessing.get_start_method(allow_none=True),
        "tempdir": tempfile.tempdir,
        "path_hooks": (id(sys.path_hooks), list(sys.path_hooks)),
        "classes": {cls: dict(vars(cls)) for cls in (PathFinder, FileFinder, BuiltinImporter, zipimporter)},
        "codecs": (codecs.register, codecs.lookup_error("strict"), _codec("of_script")),
        "exit": (atexit.register, atexit._run_exitfuncs, faulthandler.disable, faulthandler.is_enabled()),
        "interpreter": _read_all(),
    }


def _codec(name: str) -> object:
    try:
        return codecs.lookup(name)
    except LookupError:
        return None


_MODULES: set[str] = set()
_LOGGERS: set[str] = set()


def _is_installed(module: object) -> bool:
    file = getattr(module, "__file__", None)
    return file is None or file.startswith((sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)))


def _logger(log: logging.Logger) -> tuple[object, ...]:
    return log.level, log.propagate, log.disabled, list(log.handlers), list(log.filters)


def _timer_is_running() -> bool:
    return hasattr(signal, "getitimer") and signal.getitimer(signal.ITIMER_REAL)[0] > 0


SCRIPTS: dict[str, tuple[str, str]] = {
    # name: what is in run(), expected outcome of each attempt
    "exits": ("sys.exit(0)", "exception"),
    "interrupts": ("raise KeyboardInterrupt", "exception"),
    "ends its process": ("os._exit(0)", "crashed"),
    "aborts": ("os.abort()", "crashed"),
    "changes the folder": ("os.chdir('/'); return batch", "succeeded"),
    "removes its folder": ("os.rmdir(os.getcwd()); return batch", "succeeded"),
    "changes the environment": ("os.environ.clear(); os.environ['X'] = '1'; return batch", "succeeded"),
    "binds the environment": ("os.environ = {'X': '1'}; return batch", "succeeded"),
    "changes the arguments": ("sys.argv.clear(); return batch", "succeeded"),
    "binds the arguments": ("sys.argv = ['x']; return batch", "succeeded"),
    "changes the path": ("sys.path.insert(0, '/nowhere'); sys.path.append(os.getcwd()); return batch", "succeeded"),
    "binds the path": ("sys.path = list(sys.path) + ['/nowhere']; return batch", "succeeded"),
    "changes the finders": ("sys.meta_path.insert(0, sys.meta_path.pop()); return batch", "succeeded"),
    "binds the finders": ("sys.meta_path = list(sys.meta_path)[:-1] + [sys.meta_path[-1]]; return batch", "succeeded"),
    "adds modules": ("sys.modules['made_by_script'] = types.ModuleType('made_by_script'); return batch", "succeeded"),
    "replaces modules": ("sys.modules['json'] = types.ModuleType('json'); return batch", "succeeded"),
    "removes modules": ("sys.modules.pop('csv', None); sys.modules.pop('json', None); return batch", "succeeded"),
    "closes stdout": ("sys.stdout.close(); sys.stderr.close(); return batch", "succeeded"),
    "closes the buffer": ("sys.stdout.buffer.close(); return batch", "succeeded"),
    "closes the first stdout": ("sys.__stdout__.close(); sys.__stderr__.close(); return batch", "succeeded"),
    "closes stdin": ("sys.stdin.close(); return batch", "succeeded"),
    "detaches stdout": ("with contextlib.suppress(ValueError): sys.stdout.detach(); return batch", "succeeded"),
    "wraps stdout": (
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8'); print('ü', end=''); return batch",
        "succeeded",
    ),
    "binds stdout": ("sys.stdout = io.StringIO(); sys.stderr = None; return batch", "succeeded"),
    "closes file 1": ("os.closerange(1, 2); return batch", "succeeded"),
    "replaces file 2": ("os.dup2(os.open(os.devnull, os.O_WRONLY), 2); return batch", "succeeded"),
    "replaces the file behind stdout": ("os.dup2(2, sys.stdout.fileno()); return batch", "succeeded"),
    "configures logging": (
        "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': True}); return batch",
        "succeeded",
    ),
    "forces logging": ("logging.basicConfig(level='DEBUG', force=True); return batch", "succeeded"),
    "disables logging": ("logging.disable(logging.CRITICAL); logging.captureWarnings(True); return batch", "succeeded"),
    "shuts logging down": ("logging.shutdown(); return batch", "succeeded"),
    "turns warnings into errors": ("warnings.simplefilter('error'); return batch", "succeeded"),
    "silences warnings": ("warnings.showwarning = print; warnings.resetwarnings(); return batch", "succeeded"),
    "starts a thread that never ends": ("threading.Thread(target=END.wait).start(); return batch", "succeeded"),
    "patches threads": ("threading.Thread.start = print; return batch", "succeeded"),
    "patches time": ("time.sleep = time.time = time.monotonic = len; return batch", "succeeded"),
    "patches builtins": ("builtins.print = builtins.open = len; builtins.extra = 1; return batch", "succeeded"),
    "replaces hooks": ("sys.excepthook = threading.excepthook = print; return batch", "succeeded"),
    "decides how processes start": ("mp.set_start_method('spawn', force=True); return batch", "succeeded"),
    "takes methods from finders": (
        "finders = importlib.machinery; finders.PathFinder.find_distributions = len; finders.FileFinder.more = 1; "
        "return batch",
        "succeeded",
    ),
    "binds the path hooks": ("sys.path_hooks = [print]; return batch", "succeeded"),
    "adds a path hook": ("sys.path_hooks.insert(0, lambda path: print); return batch", "succeeded"),
    "registers codecs": (
        "codecs.register(lambda name: codecs.lookup('utf-8') if name == 'of_script' else None); "
        "codecs.register_error('strict', lambda error: ('', error.end)); codecs.lookup('of_script'); return batch",
        "succeeded",
    ),
    "registers exit handlers": ("atexit.register(print, 'not shown'); atexit._clear(); return batch", "succeeded"),
    "takes the fault handler": (
        "faulthandler.disable(); faulthandler.dump_traceback_later(0.01, exit=True); return batch",
        "succeeded",
    ),
    "is in another place": (
        "locale.setlocale(locale.LC_ALL, 'C'); os.environ['TZ'] = 'Asia/Tokyo'; time.tzset(); os.umask(0o777); "
        "return batch",
        "succeeded",
    ),
    "sets up the interpreter": (
        "gc.disable(); gc.set_threshold(1); sys.setswitchinterval(1); sys.displayhook = print; "
        "sys.dont_write_bytecode = not sys.dont_write_bytecode; sys.tracebacklimit = 0; threading.stack_size(65536); "
        "sys.settrace(None); sys.setprofile(lambda *it: None); threading.settrace(lambda *it: None); return batch",
        "succeeded",
    ),
    "sets up libraries": (
        "import numpy, decimal, csv, socket, asyncio, ssl, tracemalloc; numpy.seterr(all='raise'); "
        "numpy.set_printoptions(precision=1, threshold=2); decimal.getcontext().prec = 3; csv.field_size_limit(9); "
        "socket.setdefaulttimeout(0.1); asyncio.run(asyncio.sleep(0)); tracemalloc.start(); "
        "ssl._create_default_https_context = ssl._create_unverified_context; return batch",
        "succeeded",
    ),
    "warns of nothing": ("warnings.warn = lambda *it, **more: None; return batch", "succeeded"),
    "moves temporary files": ("tempfile.tempdir = os.getcwd(); return batch", "succeeded"),
}

MAIN_THREAD_ONLY: dict[str, str] = {
    "sets an alarm and cancels it": "old = signal.signal(signal.SIGALRM, print); signal.alarm(100); signal.alarm(0); "
    "signal.signal(signal.SIGALRM, old)",
    "sets an alarm and leaves it": "signal.signal(signal.SIGALRM, print); signal.alarm(100)",
    "sets an alarm without a handler": "signal.alarm(100)",
    "handles Ctrl-C": "signal.signal(signal.SIGINT, print)",
    "handles every signal": "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)]",
}

HEADER = """
    import atexit, builtins, codecs, contextlib, faulthandler, gc, importlib.machinery, io, locale
    import logging, logging.config, os, signal, sys
    import multiprocessing as mp, tempfile, threading, time, types, warnings
    END = threading.Event()
    def run(batch):
"""


def _source(body: str) -> str:
    return dedent(HEADER) + "".join(f"    {statement}\n" for statement in body.split("; "))


def _check(folder: Path, body: str, outcome: str, thread: str = "main") -> None:
    _MODULES.update(sys.modules)
    _LOGGERS.update(logging.root.manager.loggerDict)
    before = _host()
    result = run_script(folder, _source(body), files=3, max_concurrency_per_instance=2, thread=thread)
    after = _host()
    differences = {name: (value, after[name]) for name, value in before.items() if after[name] != value}
    assert differences == {}
    assert outcomes(result) == [outcome] * 3, result.explain()
    print("stdout of the host still works")


@pytest.fixture(autouse=True)
def _no_modules_of_before() -> None:
    # State of a module that a job is the first to load is that of nobody before.
    for name in ("asyncio", "csv", "decimal", "json", "numpy", "socket", "ssl", "tracemalloc", "urllib.request"):
        importlib.import_module(name)


@pytest.mark.parametrize("thread", ["main", "worker"])
@pytest.mark.parametrize(("body", "outcome"), SCRIPTS.values(), ids=SCRIPTS)
def test_the_host_is_as_it_was_after_a_script_that(tmp_path: Path, body: str, outcome: str, thread: str) -> None:
    _check(tmp_path, body, outcome, thread=thread)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
@pytest.mark.parametrize("body", MAIN_THREAD_ONLY.values(), ids=MAIN_THREAD_ONLY)
def test_signals_are_as_they_were_after_a_script_that(tmp_path: Path, body: str) -> None:
    _check(tmp_path, f"{body}; return batch", "succeeded")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
def test_an_alarm_that_a_script_sets_on_a_thread_of_its_own_is_taken_away(tmp_path: Path) -> None:
    _check(tmp_path, "signal.alarm(1000); return batch", "succeeded", thread="worker")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_is_forked_and_ends_itself_is_no_crash(tmp_path: Path) -> None:
    body = "pid = os.fork(); pid or os._exit(7); return [os.waitpid(pid, 0)[1] >> 8]"
    result = run_script(tmp_path, _source(body))
    assert result.rows == [7, 7]


def test_a_script_that_closes_stdout_does_not_lose_what_it_printed_before(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_script(tmp_path, _source("print('before', end=''); sys.stdout.close(); return batch"), files=1)
    print(" and after")
    assert capfd.readouterr().out == "before and after\n"


def test_a_script_that_closes_stdout_and_prints_fails_as_it_would_on_the_service(tmp_path: Path) -> None:
    result = run_script(tmp_path, _source("sys.stdout.close(); print('x'); return batch"), files=1)
    assert outcomes(result) == ["exception"]


def test_a_script_that_makes_errors_of_warnings_does_not_make_ours_fail(tmp_path: Path) -> None:
    result = run_script(tmp_path, _source("warnings.simplefilter('error'); return batch * 2"), files=3)
    assert result.status == "Completed"


def _run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", dedent(code)], cwd=folder, timeout=100, capture_output=True, text=True, check=True
    )


@pytest.fixture
def pytest_run(tmp_path: Path) -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """Runs pytest in a process of its own over a job of that script; returns what it printed."""

    def run(script: str, after: str) -> subprocess.CompletedProcess[str]:
        write_files(tmp_path, {"code/score.py": script})
        make_input(tmp_path)
        write_files(
            tmp_path,
            {
                "test_job.py": f"""
                from pytest_parallelrun import ParallelJob

                def test_job():
                    result = ParallelJob("code/score.py", "data").run()
                    assert result.status == "Completed", result.explain()
                    {after}

                def test_after():
                    print("hello")
                """
            },
        )
        command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_job.py"]
        return subprocess.run(command, cwd=tmp_path, timeout=100, capture_output=True, text=True, check=False)

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "forever",
    [
        "threading.Thread(target=threading.Event().wait, daemon=False).start()",
        "concurrent.futures.ThreadPoolExecutor().submit(threading.Event().wait)",
        "mp.get_context('spawn').Process(target=time.sleep, args=(600,)).start()",
    ],
    ids=["thread", "pool", "process"],
)
def test_pytest_ends_although_a_script_left_something_that_does_not(
    pytest_run: Callable[[str, str], subprocess.CompletedProcess[str]], forever: str
) -> None:
    script = f"""
        import concurrent.futures, threading, time
        import multiprocessing as mp
        def run(batch):
            {forever}
            return batch
    """
    answer = pytest_run(script, "pass")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "2 passed" in answer.stdout


@pytest.mark.slow
def test_pytest_goes_on_after_a_script_that_closed_every_stream(
    pytest_run: Callable[[str, str], subprocess.CompletedProcess[str]],
) -> None:
    script = """
        import os, sys
        def run(batch):
            for stream in (sys.__stdout__, sys.__stderr__, sys.stdout, sys.stderr):
                stream.close()
            os.close(1)
            os.close(2)
            return batch
    """
    answer = pytest_run(script, "pass")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "2 passed" in answer.stdout


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_works_inside_a_job_and_after_it(
    pytest_run: Callable[[str, str], subprocess.CompletedProcess[str]], backend: str
) -> None:
    pytest.importorskip("joblib")
    call = f"joblib.Parallel(n_jobs=2, backend={backend!r})(joblib.delayed(abs)(-i) for i in range(4))"
    script = f"""
        import joblib
        def run(batch):
            assert {call} == [0, 1, 2, 3]
            return batch
    """
    answer = pytest_run(script, f"import joblib; assert {call} == [0, 1, 2, 3]")
    assert answer.returncode == 0, answer.stdout + answer.stderr

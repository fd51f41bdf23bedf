"""Ends of processes: a worker that exits must not end the test run, nor leave children, threads or files to it."""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import psutil

from pytest_parallelrun.emulator.clock import real_sleep
from pytest_parallelrun.emulator.process_tree import Traces, descendants, is_of_python, kill, left_by, names_of
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.emulator.worker.file_watch import unwatched
from pytest_parallelrun.emulator.worker.process_resources import (
    close_files_left,
    files_left,
    open_descriptors,
    report_fork,
)
from pytest_parallelrun.emulator.worker_plan import WorkerPlan

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    # Its priority, and the number in the order of registration.
    _FinalizerKey = tuple[int | None, int]


class WorkerExit(BaseException):
    """The script ended its process with os._exit() or os.abort()."""


TERMINATIONS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals with which a run is ended from outside."""


@contextmanager
def terminations_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP end the run as Ctrl-C does, with all that is to be cleaned up; a second one ends it at once.

    Handlers of others stay, as does a signal that is ignored: nohup.
    """

    def interrupt(number: int, frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")

    ours = []
    if threading.current_thread() is threading.main_thread():
        ours = [number for number in TERMINATIONS if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours:
            if signal.getsignal(number) is interrupt:
                signal.signal(number, signal.SIG_DFL)


@contextmanager
def exits_guarded() -> Iterator[None]:
    """os._exit() and os.abort() raise WorkerExit here, and work in a forked child."""
    me = os.getpid()
    before = os._exit, os.abort

    def exit_process(status: int = 0) -> NoReturn:
        if os.getpid() != me:
            before[0](status)
        raise WorkerExit(f"the worker process ended itself with os._exit({status})")

    def abort() -> NoReturn:
        if os.getpid() != me:
            before[1]()
        raise WorkerExit("the worker process ended itself with os.abort()")

    os._exit, os.abort = exit_process, abort
    try:
        yield
    finally:
        os._exit, os.abort = before


def end_forked_child(error: BaseException | None) -> NoReturn:
    """Ends a forked child that returned from the script, since it must not continue the test run.

    error: the exception with which it returned.
    """
    if error is None:
        status = 0
    elif isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        status = error.code or 0
    else:
        status = 1
    os._exit(status)


Handler = Callable[[], object]


class ExitHandlers:
    """atexit handlers of scripts are called when their worker ends, not at the end of pytest.

    Handlers of an installed package stay with the package.
    """

    def __init__(self, is_installed: Callable[[str], bool]) -> None:
        """is_installed: whether a file is shared by all workers."""
        self._is_installed = is_installed
        self.current: list[tuple[object, Handler]] = []
        """Functions of the active worker, and what calls each with its arguments."""

    def take_over(self) -> None:
        names = ("register", "unregister", "_clear", "_run_exitfuncs")
        self._of_host = {name: getattr(atexit, name) for name in names}
        mine = (self._register, self._unregister, self._clear, self._run)
        for name, function in zip(names, mine, strict=True):
            setattr(atexit, name, function)

    def give_back(self) -> None:
        for name, function in self._of_host.items():
            setattr(atexit, name, function)

    def _register(self, function: Callable[..., object], /, *arguments: object, **options: object) -> object:
        if self._is_installed(sys._getframe(1).f_code.co_filename):
            return self._of_host["register"](function, *arguments, **options)
        self.current.append((function, functools.partial(function, *arguments, **options)))
        return function

    def _unregister(self, function: object, /) -> None:
        self.current[:] = [handler for handler in self.current if handler[0] != function]
        self._of_host["unregister"](function)

    def _clear(self) -> None:
        self.current.clear()

    def _run(self) -> None:
        call_handlers(self.current)


def call_handlers(handlers: list[tuple[object, Handler]]) -> None:
    """Like the interpreter at its end: the last one first, and an exception is shown and ignored."""
    while handlers:
        _, call = handlers.pop()
        try:
            call()
        except (Exception, SystemExit):
            traceback.print_exc()


FINALIZER_TIME = 5.0
"""Seconds for one of the finalizers of multiprocessing."""


class ScriptProcesses:
    """The processes that a script starts from this one; what it leaves is ended with the job.

    Those of the host are left alone, also those that it starts while it has the process between two questions. To look
    at all processes takes milliseconds: it is done only where the script has started one.
    """

    def __init__(self, folder: Path) -> None:
        """folder: the one that workers work in."""
        self.mark = os.urandom(8).hex()
        """The value of MARK in the environment of the script."""
        self.left: list[str] = []
        """Names of what had to be killed."""
        self._me = os.getpid()
        # The system tells when a process started by another clock, which may be a second behind.
        self._traces = Traces(mark=self.mark, folder=folder, since=time.time() - 2.0, forked=folder / "forked")
        self._before: set[psutil.Process] | None = None
        self._found: set[psutil.Process] = set()
        self._any = False

    def __enter__(self) -> ScriptProcesses:
        self._outer = _active[0] if _active else None
        self._children_before, self._finalizers_before = set(_children()), set(_finalizers())
        _watch_starts()
        self.take_over()
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.give_back()
        finally:
            _active[:] = [self._outer] if self._outer else []
        _run_finalizers(self._finalizers_before)
        for child in _children():
            # The pool of joblib outlives its users on purpose, and is used again by the next job.
            if child not in self._children_before and "loky" not in type(child).__module__:
                self._any = True
                self._found.update(descendants(child.pid or 0))
                if not child.daemon:
                    self.left.append(child.name)
                child.kill()
                child.join()
        if self._any:
            _stop_fork_server()
            if self._traces.forked.exists():
                # A child of a child, whose parent has ended already, may not have said so yet.
                real_sleep(_FORK_TIME)
            strays = {process for process in {*self._found, *left_by(self._traces)} if not is_of_python(process)}
            strays |= {below for process in strays for below in descendants(process.pid)}
            self.left += names_of(strays)
            kill(strays, self._traces)

    def take_over(self) -> None:
        """What is started from now on is the script's."""
        self._before = None
        _active[:] = [self]

    def give_back(self) -> None:
        _active.clear()
        if self._before is not None:
            with unwatched():
                self._found.update(set(descendants(self._me)) - self._before)
            self._before = None

    def starting(self) -> None:
        """A process is about to be started."""
        if os.getpid() == self._me and self._before is None:
            self._any = True
            with unwatched():
                self._before = set(descendants(self._me))

    def forked(self) -> None:  # pragma: no cover - in a forked child
        report_fork(self._traces.forked)


_active: list[ScriptProcesses] = []
"""That of the job which has the process; none while the host has it."""
_STARTS = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"})
_watched: list[bool] = []
_PACKAGE = __name__.partition(".")[0]
_FORK_TIME = 0.05
"""Seconds within which a forked child writes its number."""


def _watch_starts() -> None:
    # Neither can be taken back, so there is one of each, which do nothing while no job has the process.
    if not _watched:
        _watched.append(True)
        sys.addaudithook(_on_event)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_in_child)


def _on_event(event: str, arguments: tuple[object, ...]) -> None:
    if _active and event in _STARTS:
        # An exception here would come out of the script's own call.
        with suppress(Exception):
            _active[0].starting()


def _in_child() -> None:  # pragma: no cover - in a forked child
    if _active:
        _active[0].forked()
        for number in TERMINATIONS:
            # multiprocessing ends its workers with SIGTERM. One that gets an exception instead may keep a lock.
            if str(getattr(signal.getsignal(number), "__module__", None)).startswith(_PACKAGE):
                signal.signal(number, signal.SIG_DFL)


def _stop_fork_server() -> None:
    """Multiprocessing starts it again where it is needed, and must hear of its end."""
    server = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    if server is not None:
        with suppress(Exception):
            server._stop()


def _run_finalizers(before: set[_FinalizerKey]) -> None:
    """Runs the final steps of multiprocessing for pools and managers created since then.

    A Pool must be ended this way. Killed workers may hold the locks of its queues, and then its own finalizer blocks
    when it is garbage collected.
    """
    registry = _finalizers()
    # In the order of multiprocessing. Keys without a priority are left to the garbage collector.
    for key in sorted((key for key in registry.keys() - before if key[0] is not None), reverse=True):
        finalizer = registry.get(key)
        if finalizer is None or not _ends_with_the_job(finalizer):
            continue
        thread = threading.Thread(target=_finalize, args=(finalizer,), name="parallelrun-finalizer", daemon=True)
        thread.start()
        thread.join(FINALIZER_TIME)


def _finalize(finalizer: Callable[[], object]) -> None:
    # Anything that the script left in a bad state fails here, where it does no harm.
    with suppress(BaseException):
        finalizer()


def _ends_with_the_job(finalizer: object) -> bool:
    # Of a Pool and of a Manager; and the folder of their sockets, which is below that of the job. Queues and locks may
    # belong to the pool of joblib, or to an installed package that keeps them.
    name = getattr(getattr(finalizer, "_callback", None), "__name__", "")
    return name in ("_terminate_pool", "_finalize_manager", "_remove_temp_dir")


def _finalizers() -> dict[_FinalizerKey, Callable[[], object]]:
    # Not public; without it the children are killed all the same.
    return getattr(sys.modules.get("multiprocessing.util"), "_finalizer_registry", {})


def _children() -> list[BaseProcess]:
    multiprocessing = sys.modules.get("multiprocessing")
    return [] if multiprocessing is None else multiprocessing.active_children()


def start_method() -> str | None:
    """The start method of multiprocessing, None if it is not set."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None:
        return None
    method: str | None = multiprocessing.get_start_method(allow_none=True)
    return method


def apply_start_method(method: str | None) -> None:
    """A script may set it once in a process, and every worker is one."""
    if start_method() != method:
        sys.modules["multiprocessing"].set_start_method(method, force=True)


_MAX_LEFT_NAMED = 5


class Leftovers:
    """Those of a job in this process, which had threads and files before."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._threads = set(threading.enumerate())
        self._open = open_descriptors()
        self._left: list[str] = []
        self.processes: Sequence[str] = ()
        """Names of those that were killed."""

    def look(self) -> None:
        """Remembers the files that are open while the script is there, whose modules hold them."""
        logs, appended = self._plan.log_folder, self._plan.appended
        left = files_left(self._open, {None if appended is None else str(appended)})
        self._left = [path for path in left if not Path(path).is_relative_to(logs)]

    def close(self, processes: Sequence[str]) -> None:
        """Closes what is still open after the script is gone. processes: names of those that were killed."""
        self.processes = processes
        for thread in self._left_running():
            # Its folders are gone, so its errors say nothing of the script, and pytest would warn of each.
            thread._invoke_excepthook = lambda thread: None  # type: ignore[attr-defined]
        if self.processes or open_descriptors() - self._open:
            close_files_left()

    def notes(self) -> Iterator[str]:
        threads = [thread.name for thread in self._left_running()]
        return left_behind(processes=self.processes, threads=threads, files=self._left)

    def _left_running(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in self._threads]


def left_behind(
    *, processes: Sequence[str] = (), threads: Sequence[str] = (), files: Sequence[str] = ()
) -> Iterator[str]:
    """A line each of what a script left, by the names of these."""
    for names, noun, state in (
        (processes, "process", "running, killed at the end of the job"),
        (threads, "thread", "running"),
        (files, "file", "open"),
    ):
        if names:
            yield f"the script left {count_text(len(names), noun)} {state}: {', '.join(names[:_MAX_LEFT_NAMED])}"

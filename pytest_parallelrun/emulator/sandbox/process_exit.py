"""Ends of processes: a worker that exits must not end the test run, nor leave children to it."""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    # Its priority, and the number in the order of registration.
    _FinalizerKey = tuple[int | None, int]


class WorkerExit(BaseException):
    """The script ended its process with os._exit() or os.abort()."""


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


@contextmanager
def children_ended() -> Iterator[None]:
    """Ends the processes that the script started with multiprocessing: pytest would wait for them."""
    before, finalizers_before = set(_children()), set(_finalizers())
    try:
        yield
    finally:
        _run_finalizers(finalizers_before)
        for child in _children():
            # The pool of joblib deliberately outlives its users, and is used again by the next job.
            if child not in before and "loky" not in type(child).__module__:
                child.kill()
                child.join()


def _run_finalizers(before: set[_FinalizerKey]) -> None:
    """Runs the final steps of multiprocessing for pools and managers created since then.

    A Pool must be ended this way. Killed workers may hold the locks of its queues, and then its own finalizer blocks
    when it is garbage collected.
    """
    registry = _finalizers()
    # In the order of multiprocessing. Keys without a priority are left to the garbage collector.
    for key in sorted((key for key in registry.keys() - before if key[0] is not None), reverse=True):
        finalizer = registry.get(key)
        if finalizer is None or not _ends_processes(finalizer):
            continue
        thread = threading.Thread(target=_finalize, args=(finalizer,), name="parallelrun-finalizer", daemon=True)
        thread.start()
        thread.join(FINALIZER_TIME)


def _finalize(finalizer: Callable[[], object]) -> None:
    # Anything that the script left in a bad state fails here, where it does no harm.
    with suppress(BaseException):
        finalizer()


def _ends_processes(finalizer: object) -> bool:
    # Of a Pool and of a Manager. Queues and locks may belong to the pool of joblib, or to an installed package that
    # keeps them.
    name = getattr(getattr(finalizer, "_callback", None), "__name__", "")
    return name in ("_terminate_pool", "_finalize_manager")


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

"""The process of the host, put back as it was after a job, whatever the script did to it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn


class WorkerExit(BaseException):
    """The script ended its process with os._exit() or os.abort()."""


@contextmanager
def host_restored() -> Iterator[None]:
    """Restores working folder, sys.argv, sys.path, os.environ, signal handlers, warnings, logging, streams.

    Modules are the business of the workers, the real-time timer that of the timeout guard.
    """
    with ExitStack() as stack:
        for keeper in _KEEPERS:
            stack.enter_context(keeper())
        yield


@contextmanager
def _folder() -> Iterator[None]:
    before = os.getcwd()
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _lists() -> Iterator[None]:
    # The list objects stay the same ones: others hold references to them.
    before = [(name, value, list(value)) for name in ("argv", "path", "meta_path") for value in [_list(name)]]
    try:
        yield
    finally:
        for name, value, content in before:
            value[:] = content
            setattr(sys, name, value)


def _list(name: str) -> list[object]:
    value: list[object] = getattr(sys, name)
    return value


def apply_environment(wanted: dict[str, str]) -> None:
    """Makes os.environ equal to `wanted`, touching only what differs."""
    now = dict(os.environ)
    if now == wanted:
        return
    for name in now.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if now.get(name) != value:
            os.environ[name] = value


@contextmanager
def _environment() -> Iterator[None]:
    environ, before = os.environ, dict(os.environ)
    try:
        yield
    finally:
        os.environ = environ  # noqa: B003 - a script may have bound another mapping to the name
        apply_environment(before)


@contextmanager
def _handlers() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: set by C code, which Python can neither name nor put back.
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


@contextmanager
def _warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # As a fresh interpreter has them: `-W error` of a test run is not what the script runs under.
        warnings.resetwarnings()
        for category in (ResourceWarning, ImportWarning, PendingDeprecationWarning, DeprecationWarning):
            warnings.simplefilter("ignore", category, append=True)
        yield


@contextmanager
def _logging() -> Iterator[None]:
    root, manager = logging.root, logging.root.manager
    known = {name: log for name, log in manager.loggerDict.items() if isinstance(log, logging.Logger)}
    before = [_logger_state(log) for log in (root, *known.values())]
    disabled = manager.disable
    try:
        yield
    finally:
        # Through the method, since it drops the cached answers of isEnabledFor().
        logging.disable(disabled)
        for restore in before:
            restore()
        for name, log in manager.loggerDict.items():
            if name not in known and isinstance(log, logging.Logger):
                log.handlers = []
                log.setLevel(logging.NOTSET)


def _logger_state(log: logging.Logger) -> Callable[[], None]:
    level, propagate, disabled = log.level, log.propagate, log.disabled
    handlers, filters = list(log.handlers), list(log.filters)

    def restore() -> None:
        if log.level != level:
            log.setLevel(level)
        log.propagate, log.disabled = propagate, disabled
        log.handlers[:] = handlers
        log.filters[:] = filters

    return restore


@contextmanager
def _streams() -> Iterator[None]:
    before = sys.stdin, sys.stdout, sys.stderr
    copies = [(number, os.dup(number)) for number in (1, 2) if _is_open(number)]
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        for number, copy in copies:
            if not _is_open(number) or not os.path.sameopenfile(number, copy):
                os.dup2(copy, number)
            os.close(copy)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@contextmanager
def _threads() -> Iterator[None]:
    """Threads that the script starts are daemons: one that never ends must not keep pytest from ending."""
    start = threading.Thread.start
    before = set(threading.enumerate())

    def start_as_daemon(thread: threading.Thread) -> None:
        if not thread.daemon and thread not in before and not thread.is_alive() and thread.ident is None:
            thread.daemon = True
        start(thread)

    threading.Thread.start = start_as_daemon  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


@contextmanager
def _exits() -> Iterator[None]:
    """A worker that ends its process must not end the test run; a child that it forked may."""
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


_KEEPERS = (
    _folder,
    _lists,
    _environment,
    _handlers,
    _warnings,
    _logging,
    _streams,
    _threads,
    _exits,
)

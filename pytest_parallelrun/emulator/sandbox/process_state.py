"""Restores the host's process after a job, whatever the script did to it."""

from __future__ import annotations

import builtins
import logging
import os
import random
import signal
import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from pytest_parallelrun.emulator.sandbox.process_exit import exits_guarded
from pytest_parallelrun.emulator.service.mlflow_tracking import autologging_restored


@contextmanager
def process_state_restored() -> Iterator[None]:
    """Restores working folder, sys.argv, sys.path, os.environ, signal handlers, warnings, logging, streams, random.

    The workers handle modules, the timeout guard the real-time timer. What the host also needs between two questions to
    workers is switched by `registrations` and `interpreter`.
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
    # The list objects stay the same: others refer to them.
    names = ("argv", "path")
    before = [(name, value, list(value)) for name in names for value in [_list(name)]]
    try:
        yield
    finally:
        for name, value, content in before:
            value[:] = content
            setattr(sys, name, value)


def _list(name: str) -> list[object]:
    value: list[object] = getattr(sys, name)
    return value


class _Environment:
    """The content of os.environ. To decode it takes longer than all else that a switch of workers needs."""

    def __init__(self) -> None:
        self._known: deque[tuple[object, dict[str, str]]] = deque(maxlen=4)
        """Encoded and decoded: those of the host and of the workers take turns."""

    def read(self) -> dict[str, str]:
        encoded = getattr(os.environ, "_data", None)
        for known, decoded in self._known:
            if known == encoded:
                return decoded.copy()
        decoded = dict(os.environ)
        if encoded is not None:
            self._known.append((encoded.copy(), decoded))
        return decoded.copy()


read_environment = _Environment().read
"""A copy of os.environ."""


def apply_environment(wanted: dict[str, str]) -> None:
    """Makes os.environ equal to `wanted`, changing only differences."""
    now = read_environment()
    if now == wanted:
        return
    for name in now.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if now.get(name) != value:
            os.environ[name] = value


@contextmanager
def _environment() -> Iterator[None]:
    environ, before = os.environ, read_environment()
    try:
        yield
    finally:
        os.environ = environ  # noqa: B003 - a script may have bound another mapping to the name
        apply_environment(before)


_SIGNALS = tuple(signal.valid_signals())
_handler_of: Callable[[int], Any] = getattr(signal.getsignal, "__wrapped__", signal.getsignal)
"""Without conversion to an enum, which takes nearly all of its time."""


@contextmanager
def _handlers() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, _handler_of(number)) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            # None: set by C code, which Python can neither name nor restore.
            if handler is not None and _handler_of(number) is not handler:
                signal.signal(number, handler)


@contextmanager
def _attributes() -> Iterator[None]:
    """Functions of the interpreter that scripts replace, such as `builtins.print` by one that flushes."""
    places = ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook"))
    before = [(module, name, getattr(module, name)) for module, name in places]
    namespace, builtins_before = vars(builtins), dict(vars(builtins))
    recursion_limit = sys.getrecursionlimit()
    # As a plain interpreter reports a dying thread: pytest would turn it into a warning, and `-W error` into a failure.
    threading.excepthook = threading.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        for name in namespace.keys() - builtins_before.keys():
            del namespace[name]
        namespace.update(builtins_before)
        if sys.getrecursionlimit() != recursion_limit:
            sys.setrecursionlimit(recursion_limit)


@contextmanager
def _warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # As in a new interpreter: `-W error` of a test run does not apply to the script.
        warnings.resetwarnings()
        for category in (ResourceWarning, ImportWarning, PendingDeprecationWarning, DeprecationWarning):
            warnings.simplefilter("ignore", category, append=True)
        yield


@contextmanager
def _streams() -> Iterator[None]:
    before = sys.stdin, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    numbers = {0, 1, 2}
    for stream in (sys.stdout, sys.stderr):
        # Under pytest these are its own files, and fileno() shows a script which.
        with suppress(AttributeError, OSError, ValueError):
            numbers.add(stream.fileno())
    copies = [(number, os.dup(number), os.get_inheritable(number)) for number in sorted(numbers) if _is_open(number)]
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before[:3]
        sys.__stdout__, sys.__stderr__ = before[3:]  # type: ignore[misc]
        for number, copy, inheritable in copies:
            if not _is_open(number) or not os.path.sameopenfile(number, copy):
                os.dup2(copy, number, inheritable)
            os.close(copy)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@contextmanager
def _threads() -> Iterator[None]:
    """Threads started by the script are daemons: one that never ends must not keep pytest from ending."""
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
        # At its end the interpreter would wait for the threads of a pool, daemons or not.
        queues = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {})
        for thread in [thread for thread in queues if thread not in before]:
            del queues[thread]


@contextmanager
def randomness_restored() -> Iterator[None]:
    """Restores the host's state of `random`, and of numpy.random if that was loaded."""
    before = random.getstate()
    numpy = sys.modules.get("numpy.random")
    numpy_before = None if numpy is None else numpy.get_state()
    try:
        yield
    finally:
        random.setstate(before)
        if numpy is not None:
            numpy.set_state(numpy_before)


def seed_from_system() -> None:
    """Seeds what a new worker process would find seeded from the system."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


@contextmanager
def logging_restored() -> Iterator[None]:
    """Restores loggers, handlers and factories, and closes new handlers."""
    root, manager = logging.root, logging.root.manager
    known = {name: log for name, log in manager.loggerDict.items() if isinstance(log, logging.Logger)}
    before = [_logger_state(log) for log in (root, *known.values())]
    disabled = manager.disable
    record_factory, logger_class = logging.getLogRecordFactory(), logging.getLoggerClass()
    captured = getattr(logging, "_warnings_showwarning", None)
    with _handlers_hidden():
        if root.handlers:
            root.handlers[:] = [_HostHandlers(root.handlers)]
        try:
            yield
        finally:
            # With the method, which drops the cached answers of isEnabledFor().
            logging.disable(disabled)
            logging.setLogRecordFactory(record_factory)
            logging.setLoggerClass(logger_class)
            # captureWarnings() stores here whether it is on; warnings themselves are restored elsewhere.
            setattr(logging, "_warnings_showwarning", captured)  # noqa: B010 - no name that a type checker knows
            for restore in before:
                restore()
            for name, log in manager.loggerDict.items():
                if name not in known and isinstance(log, logging.Logger):
                    log.handlers = []
                    log.setLevel(logging.NOTSET)


class _HostHandlers(logging.Handler):
    """Passes records to the handlers of the host's root logger.

    basicConfig(force=True) closes the handlers of the root logger, and pytest's --log-file would stay closed.
    """

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        super().__init__()
        self._handlers = tuple(handlers)

    def emit(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            if record.levelno >= handler.level:
                handler.handle(record)


@contextmanager
def _handlers_hidden() -> Iterator[None]:
    """logging.config closes every handler known to the module `logging`: hide those of the host."""
    references: list[weakref.ref[logging.Handler]] = getattr(logging, "_handlerList")  # noqa: B009 - private
    named: MutableMapping[str, logging.Handler] = getattr(logging, "_handlers")  # noqa: B009 - private
    references_before, named_before = list(references), dict(named)
    references.clear()
    named.clear()
    try:
        yield
    finally:
        for reference in reversed(references):
            handler = reference()
            if handler is not None:
                # A handler may be broken in any way: its stream is gone, or it is a class of the script.
                with suppress(Exception):
                    handler.close()
        references[:] = references_before
        named.clear()
        named.update(named_before)


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


_KEEPERS = (
    randomness_restored,
    _folder,
    _lists,
    _environment,
    _handlers,
    _attributes,
    _warnings,
    logging_restored,
    _streams,
    _threads,
    exits_guarded,
    autologging_restored,
)

"""Settings of the whole process, such as the locale or the garbage collector: those of the host, and of the workers.

Reading all of them takes about twenty microseconds, too long for every change of worker: the workers of a job share
them.
"""

from __future__ import annotations

import faulthandler
import gc
import locale
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

Pair = tuple[Callable[[], Any], Callable[[Any], object]]
"""Functions that read and set a setting."""

_UNLOADED: Any = None
"""Value if the module is not loaded."""
_ABSENT = object()
"""Value of a missing attribute."""
_modules: set[str] = set()
"""Those that a setting is of."""
_known: dict[str, Any] = {}
"""Modules as the host had loaded them: a script may have replaced them."""


def _loaded(name: str) -> Any:
    return _known.get(name) or sys.modules.get(name)


def _of_module(name: str, read: Callable[[Any], Any], write: Callable[[Any, Any], object]) -> Pair:
    """A setting of a module, if that is loaded. write: with _UNLOADED it sets the initial value."""
    _modules.add(name)

    def read_loaded() -> Any:
        module = _loaded(name)
        return _UNLOADED if module is None else read(module)

    return read_loaded, lambda value: write(_loaded(name), value)


def _attributes(name: str, *attributes: str, default: Callable[[Any], object] | None = None) -> Pair:
    """Attributes of a module. default: the value of each if the script was the first to load it."""

    def read(module: Any) -> list[Any]:
        return [vars(module).get(attribute, _ABSENT) for attribute in attributes]

    def write(module: Any, values: Any) -> None:
        if values is _UNLOADED:
            # The initial value of some is unknown.
            values = [default(module) if default else vars(module)[attribute] for attribute in attributes]
        for attribute, value in zip(attributes, values, strict=True):
            if value is _ABSENT:
                vars(module).pop(attribute, None)
            else:
                setattr(module, attribute, value)

    return _of_module(name, read, write)


def _where_there_are(module: Any, read: str, write: str) -> list[Pair]:
    """Two functions that not every platform or version of Python has."""
    return [(getattr(module, read), getattr(module, write))] if hasattr(module, write) else []


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_FROZEN_BEFORE = gc.get_freeze_count()
"""Not always 0: Python 3.12.1 starts with some."""


def _is_frozen() -> bool:
    return gc.get_freeze_count() > _FROZEN_BEFORE


def _zone() -> tuple[str | None, object, object]:
    return os.environ.get("TZ"), time.tzname, time.timezone


def _set_zone(zone: tuple[str | None, object, object]) -> None:
    # The environment may have changed, which does not matter here.
    now = os.environ.get("TZ")
    _put_zone(zone[0])
    time.tzset()
    _put_zone(now)


def _put_zone(name: str | None) -> None:
    if name is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = name


def _unless_debugging(read: Callable[[], Any], write: Callable[[Any], object]) -> Pair:
    """A debugger started in the script continues after it."""

    def write_function(function: Any) -> None:
        now = read()
        origins = {cls.__module__ for cls in type(getattr(now, "__self__", now)).__mro__}
        if not any(name.startswith(("bdb", "pydevd", "_pydevd")) for name in origins):
            write(function)

    return read, write_function


def _numpy_state(numpy: Any) -> Any:
    return numpy.geterr(), numpy.geterrcall(), numpy.get_printoptions()


def _set_numpy_state(numpy: Any, state: Any) -> None:
    errors, call, printing = state or _NUMPY_STATE
    numpy.seterr(**errors)
    numpy.seterrcall(call)
    now = numpy.get_printoptions()
    # Only differences: not every version accepts every option.
    numpy.set_printoptions(**{name: value for name, value in printing.items() if now[name] != value})


_NUMPY_STATE = (
    {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
    None,
    {
        "edgeitems": 3,
        "threshold": 1000,
        "floatmode": "maxprec",
        "precision": 8,
        "suppress": False,
        "linewidth": 75,
        "nanstr": "nan",
        "infstr": "inf",
        "sign": "-",
        "formatter": None,
        "legacy": False,
    },
)


def _resource_limits() -> list[Pair]:
    with suppress(ImportError):
        import resource  # noqa: F401
    module: Any = sys.modules.get("resource")
    names = [name for name in ("RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NOFILE") if hasattr(module, name)]
    return [_resource_limit(module, getattr(module, name)) for name in names]


def _resource_limit(resource: Any, number: int) -> Pair:
    return lambda: resource.getrlimit(number), lambda limits: resource.setrlimit(number, limits)


_SETTINGS: tuple[Pair, ...] = (
    (_umask, os.umask),
    (lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    *([(_zone, _set_zone)] if hasattr(time, "tzset") else []),
    (gc.isenabled, lambda on: (gc.enable if on else gc.disable)()),
    (_is_frozen, lambda frozen: (gc.freeze if frozen else gc.unfreeze)()),
    (gc.get_threshold, lambda threshold: gc.set_threshold(*threshold)),
    (lambda: list(gc.callbacks), lambda callbacks: gc.callbacks.__setitem__(slice(None), callbacks)),
    (sys.getswitchinterval, sys.setswitchinterval),
    _unless_debugging(sys.gettrace, sys.settrace),
    _unless_debugging(sys.getprofile, sys.setprofile),
    _unless_debugging(threading.gettrace, threading.settrace),
    _unless_debugging(threading.getprofile, threading.setprofile),
    (threading.stack_size, threading.stack_size),
    *_where_there_are(sys, "get_int_max_str_digits", "set_int_max_str_digits"),
    *_where_there_are(sys, "getdlopenflags", "setdlopenflags"),
    *(
        [(lambda: os.sched_getaffinity(0), lambda cpus: os.sched_setaffinity(0, cpus))]
        if sys.platform == "linux"
        else []
    ),
    *_resource_limits(),
    _attributes("sys", "dont_write_bytecode", "pycache_prefix", "tracebacklimit"),
    _attributes("logging", "raiseExceptions"),
    _attributes("tempfile", "tempdir", default=lambda tempfile: None),
    _attributes("ssl", "_create_default_https_context", default=lambda ssl: ssl.create_default_context),
    _attributes("urllib.request", "_opener", default=lambda request: None),
    _attributes("asyncio.events", "_event_loop_policy", default=lambda events: None),
    # A folder for sockets, which is below the temporary one.
    _of_module(
        "multiprocessing.process",
        lambda it: it.current_process()._config.get("tempdir"),
        lambda it, value: it.current_process()._config.update(tempdir=value),
    ),
    _of_module("socket", lambda it: it.getdefaulttimeout(), lambda it, value: it.setdefaulttimeout(value)),
    _of_module("csv", lambda it: it.field_size_limit(), lambda it, value: it.field_size_limit(value or 131072)),
    _of_module("tracemalloc", lambda it: it.is_tracing(), lambda it, on: (it.start if on else it.stop)()),
    _of_module("decimal", lambda it: it.getcontext(), lambda it, value: it.setcontext(value or it.DefaultContext)),
    _of_module("numpy", _numpy_state, _set_numpy_state),
)
_FAULT_HANDLER = (
    "enable",
    "disable",
    "dump_traceback_later",
    "cancel_dump_traceback_later",
    "register",
    "unregister",
)
"""Functions that would remove pytest's handler, or end its process later: they do nothing in a job."""


class Interpreter:
    """Switches between the settings of the host and those of the workers of a job."""

    def __init__(self) -> None:
        self._of_workers: Sequence[Any] | None = None

    def take_over(self) -> None:
        _known.update({name: sys.modules[name] for name in _modules if name in sys.modules})
        self._of_host = _read_all()
        self._fault_handler = {
            name: getattr(faulthandler, name) for name in _FAULT_HANDLER if hasattr(faulthandler, name)
        }
        for name in self._fault_handler:
            setattr(faulthandler, name, _do_nothing)
        if self._of_workers is not None:
            _apply(self._of_workers, self._of_host)
            return
        # As in a new process: a script may change these objects, so comparing them would show nothing.
        if "asyncio.events" in _known:
            _known["asyncio.events"]._event_loop_policy = None
        with suppress(KeyError):
            _known["multiprocessing.process"].current_process()._config["tempdir"] = None
        if "decimal" in _known:
            _known["decimal"].setcontext(_known["decimal"].DefaultContext)

    def give_back(self) -> None:
        for name, function in self._fault_handler.items():
            setattr(faulthandler, name, function)
        self._policy: Any = getattr(_loaded("asyncio.events"), "_event_loop_policy", None)
        self._of_workers = _read_all()
        _apply(self._of_host, self._of_workers)

    def end(self) -> None:
        """Closes the event loop that a script left on this thread, which would cause a warning in the host."""
        with suppress(Exception):
            self._policy._local._loop.close()


def _read_all() -> list[Any]:
    try:
        return [read() for read, _ in _SETTINGS]
    except Exception:
        # A script may have replaced a module that the host has not loaded by anything.
        return [_read(read) for read, _ in _SETTINGS]


def _read(read: Callable[[], Any]) -> Any:
    with suppress(Exception):
        return read()
    return _UNLOADED


def _apply(wanted: Sequence[Any], now: Sequence[Any]) -> None:
    for (_, write), value, value_now in zip(_SETTINGS, wanted, now, strict=True):
        if value_now != value:
            # For example, a hard limit stays lowered.
            with suppress(Exception):
                write(value)


def _do_nothing(*arguments: object, **options: object) -> None:
    pass

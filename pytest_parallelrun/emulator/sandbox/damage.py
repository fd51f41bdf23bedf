"""What a script breaks of the process that it shares with pytest: found and mended after each call of it.

In a process of its own it would have broken its worker: modules without which nothing can be imported, functions of
`os` that are no functions any more, file descriptors that others have opened.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import chain
from operator import attrgetter
from pathlib import Path

from pytest_parallelrun.emulator.sandbox.process_exit import WorkerExit

_OS = {(owner, name): value for owner in (os, os.path) for name, value in vars(owner).items() if callable(value)}
_of_os = attrgetter(
    *("chdir", "close", "fspath", "getcwd", "getpid", "listdir", "lstat", "makedirs", "mkdir", "open", "read"),
    *("remove", "rename", "rmdir", "scandir", "stat", "unlink", "walk", "write"),
)
_PATHS = os.path
_of_paths = attrgetter("abspath", "dirname", "exists", "isdir", "isfile", "join", "realpath", "relpath")
_OWNERS = (os.path.join(os.path.dirname(os.__file__), ""), os.path.join(str(Path(__file__).parents[2]), ""))
_NEEDED = frozenset({"builtins", "os", "sys", "threading", "time", "warnings", __name__.partition(".")[0]})


class Damage:
    """A context manager around a job; `mend` is to be called whenever the script has given control back."""

    def __enter__(self) -> Damage:
        self._table, self._modules = sys.modules, sys.modules.copy()
        # The first three, and files that pytest has put in place of them, are put back elsewhere.
        files = {number: _file_of(number) for number in _descriptors() if number > 2}
        self._open = {number: file for number, file in files.items() if file is not None}
        self._closed = False
        self._functions: tuple[tuple[object, ...], ...] = ()
        """The commonest ones when they were callable: the rest is looked at only where they are others now."""
        self._me = os.getpid()
        self._close, self._close_range = os.close, os.closerange
        os.close, os.closerange = self._close_one, self._close_several  # type: ignore[assignment]
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close, os.closerange = self._close, self._close_range

    def checked(self, call: Callable[..., object]) -> Callable[..., object]:
        """A function that calls functions of the script, and ends the worker where one has broken something."""
        # On the thread of the script, which may be another one.
        return lambda function, *arguments: call(self._call, function, arguments)

    def _call(self, function: Callable[..., object], arguments: tuple[object, ...]) -> object:
        try:
            return function(*arguments)
        finally:
            # Before anything else: what handles an exception needs them, too.
            broken = self._mend()
            if broken and os.getpid() == self._me:
                raise WorkerExit(f"the script {' and '.join(broken)}: its worker cannot continue")

    def _mend(self) -> list[str]:
        broken = []
        if sys.modules is not self._table or not self._table.keys() >= _NEEDED:
            sys.modules = self._table
            for name, module in self._modules.items():
                self._table.setdefault(name, module)
            broken.append("removed modules from sys.modules that Python needs")
        functions: tuple[tuple[object, ...], ...]
        try:
            functions = _of_os(os), _of_paths(_PATHS)
        except AttributeError:
            functions = ()
        if not functions or functions != self._functions:
            self._functions = functions if all(map(callable, chain(*functions))) else ()
        if not self._functions:
            replaced = [place for place in _OS if not callable(getattr(*place, None))]
            for owner, name in replaced:
                setattr(owner, name, _OS[owner, name])
            names = [f"{'os' if owner is os else 'os.path'}.{name}" for owner, name in replaced]
            broken.append(f"replaced {', '.join(sorted(names)[:3])} with something that is not callable")
        if self._closed:
            self._closed = False
            broken.append("closed file descriptors that it had not opened")
        return broken

    def _is_of_others(self, number: int) -> bool:
        """Whether it is open since before the job; meanwhile its number may be that of another file."""
        if number not in self._open or _file_of(number) != self._open[number]:
            return False
        return bool(_OS[os, "getpid"]() == self._me)

    def _close_one(self, number: int) -> None:
        # The owner may close it meanwhile: an object of the standard library or of this package that is collected.
        if sys._getframe(1).f_code.co_filename.startswith(_OWNERS):
            self._close(number)
        elif self._is_of_others(number):
            self._closed = True
        else:
            self._close(number)

    def _close_several(self, low: int, high: int) -> None:
        for number in sorted(self._open):
            if low <= number < high and self._is_of_others(number):
                self._closed = True
                self._close_range(low, number)
                low = number + 1
        self._close_range(low, high)


def _file_of(number: int) -> tuple[int, int] | None:
    try:
        status = _OS[os, "fstat"](number)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        # Those that are none harm nothing.
        return list(range(256))

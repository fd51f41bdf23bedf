"""Functions and classes of the standard library that a script replaces: `json.dumps`, `os.unlink`, `builtins.open`.

The host gets its own back, because pytest and this package need them; the workers of the job keep the replacements.
Replacements by an installed package stay: `gevent` patches once, and more than could be restored, so the process would
hang.
"""

from __future__ import annotations

import argparse
import json
import logging
import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

_CLASSES: tuple[type, ...] = (
    argparse.ArgumentParser,
    json.JSONDecoder,
    json.JSONEncoder,
    logging.Handler,
    logging.Logger,
    pathlib.Path,
    pathlib.PurePath,
    subprocess.Popen,
    threading.Thread,
)
"""Classes whose methods scripts are known to replace."""
_MODULES = (
    *("argparse", "ast", "asyncio", "asyncio.events", "builtins", "codecs", "collections", "contextlib", "copy", "csv"),
    *("datetime", "fnmatch", "functools", "gc", "getpass", "glob", "hashlib", "http.client", "importlib"),
    *("importlib.metadata", "importlib.util", "inspect", "io", "itertools", "json", "linecache", "locale", "logging"),
    *("math", "multiprocessing", "ntpath", "operator", "os", "pathlib", "pickle", "pkgutil", "platform", "posixpath"),
    *("queue", "random", "re", "select", "selectors", "shutil", "signal", "socket", "ssl", "stat", "subprocess", "sys"),
    *("tempfile", "textwrap", "threading", "time", "tokenize", "traceback", "typing", "unittest.mock", "urllib.parse"),
    *("urllib.request", "uuid", "warnings", "zipfile"),
)
"""Those that pytest, its plugins and this package live on. To look at all there are would cost a gate a second."""
_OF_PYTEST = {
    "_pytest.runner": (),
    "_pytest.reports": ("TestReport",),
    "_pytest.terminal": ("TerminalReporter",),
    "_pytest.python": ("Function",),
    "_pytest.main": ("Session",),
    "pluggy._hooks": ("HookCaller",),
    "pluggy._manager": ("PluginManager",),
}
"""Modules and classes of the host that a script must not change for it, where they are loaded."""
_ABSENT = object()

_Place = tuple[Any, str]
"""A module or class, and the name of an attribute."""


class _Content:
    """What a module or class consisted of at one time."""

    def __init__(self, owner: Any) -> None:
        self.attributes = vars(owner).copy()
        # To compare lists takes half of the time of dictionaries, and this is done twice for each attempt.
        self._values = list(self.attributes.values())

    def is_that_of(self, owner: Any) -> bool:
        try:
            return list(vars(owner).values()) == self._values
        except Exception:
            # Of values that cannot be compared.
            return False


class Patches:
    """Switches between the functions of the host and those of the workers of a job."""

    seen: dict[Any, _Content] = {}  # noqa: RUF012 - one for all jobs
    """Content of a module or class when it was last checked."""

    def __init__(self, is_kept: Callable[[object], bool]) -> None:
        """is_kept: whether a function or class belongs to an installed package, which outlives the job."""
        self._is_kept = is_kept
        self._of_workers: dict[_Place, Any] = {}
        self._of_host: dict[Any, _Content] = {}

    def take_over(self) -> None:
        """From the host to the workers. Call it when everything else that we replace is in place.

        The host is looked at once: while it asks workers, it patches nothing.
        """
        self._of_host = self._of_host or {owner: self._seen(owner) for owner in _owners()}
        for place, value in self._of_workers.items():
            _put(place, value)

    def _seen(self, owner: Any) -> _Content:
        """A copy of its content, the last one if that is still correct."""
        seen = self.seen.get(owner)
        if seen is None or not seen.is_that_of(owner):
            seen = self.seen[owner] = _Content(owner)
        return seen

    def give_back(self) -> None:
        """From the workers to the host. Call it before everything else that we replace is restored."""
        replaced: dict[_Place, Any] = {}
        for owner, before in self._of_host.items():
            if not before.is_that_of(owner):
                now = vars(owner)
                # State that a module merely keeps there does not matter.
                places = (
                    name
                    for name, value in before.attributes.items()
                    if now.get(name, _ABSENT) is not value
                    and (callable(value) or isinstance(value, (classmethod, staticmethod)))
                )
                replaced |= {(owner, name): now.get(name, _ABSENT) for name in places}
        by_package = any(map(self._is_kept, replaced.values()))
        self._of_workers = {
            place: value
            for place, value in replaced.items()
            if not self._is_kept(value) and not (by_package and _is_standard(value))
        }
        for owner, name in self._of_workers:
            _put((owner, name), self._of_host[owner].attributes[name])


def _is_standard(value: object) -> bool:
    """Whether it is of the standard library or missing, which packages that patch put in place of other things."""
    top = str(getattr(value, "__module__", None)).partition(".")[0]
    return value is None or value is _ABSENT or top in sys.stdlib_module_names


def _owners() -> Iterator[Any]:
    for name in _MODULES:
        module = sys.modules.get(name)
        # Not what a script has put in its place.
        if type(module) is ModuleType:
            yield module
    yield from _CLASSES
    for name, classes in _OF_PYTEST.items():
        if name in sys.modules:
            yield sys.modules[name]
            yield from (getattr(sys.modules[name], each) for each in classes)


def _put(place: _Place, value: Any) -> None:
    owner, name = place
    with suppress(AttributeError, TypeError):
        if value is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, value)

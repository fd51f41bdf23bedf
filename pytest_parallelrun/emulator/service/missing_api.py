"""Errors for calls that the stand-ins do not cover, which are recorded because a script may hide them.

Each is also the built-in error that a script would expect there, so that scripts with a fallback (`except ImportError`,
`hasattr`) use it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from io import FileIO
from typing import ClassVar, NamedTuple, NoReturn

SIDE_INPUTS = 'Give side inputs to the script as program arguments: --parallelrun-args="--lookup PATH".'


class StandInGap(NamedTuple):
    """A call that the stand-ins do not cover. thing: its dotted Azure name. advice: what to do."""

    thing: str
    advice: str


class GapWatch:
    """Calls a listener for each gap inside the context, once: run() may cause it a million times.

    Gaps in forked children come through a pipe, and `collect()` reports them.
    """

    def __init__(self, listener: Callable[[StandInGap], None]) -> None:
        self._listener = listener
        self._seen: set[StandInGap] = set()
        self._process = os.getpid()
        self._pipe: tuple[FileIO, ...] = ()

    def __enter__(self) -> GapWatch:
        if hasattr(os, "fork"):
            ends = os.pipe()
            for end in ends:
                # A child must not wait for the reader, nor the parent for the child.
                os.set_blocking(end, False)
            # Not os.read(): a script may have replaced it by one that waits (eventlet).
            self._pipe = FileIO(ends[0], "r"), FileIO(ends[1], "w")
            _watch_forks()
        _WATCHES.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _WATCHES.remove(self)
        self.collect()
        for end in self._pipe:
            with suppress(OSError):
                end.close()

    def met(self, gap: StandInGap) -> None:
        """Called for each gap, in the process where it happened."""
        if os.getpid() == self._process:
            self._report(gap)
        elif self._pipe:
            with suppress(OSError):
                self._pipe[1].write(json.dumps(gap).encode() + b"\n")

    def collect(self) -> None:
        """Reports gaps of forked children since the last call."""
        if not _forks:
            # To read would be a tenth of what a trivial mini-batch costs.
            return
        data = b""
        with suppress(OSError):
            while self._pipe and (part := self._pipe[0].read(65536)):
                data += part
        for line in data.splitlines():
            with suppress(ValueError, TypeError):
                self._report(StandInGap(*json.loads(line)))

    def _report(self, gap: StandInGap) -> None:
        if gap not in self._seen:
            self._seen.add(gap)
            self._listener(gap)


_WATCHES: list[GapWatch] = []
_forks: set[int] = set()
"""Processes that have forked."""


@cache
def _watch_forks() -> None:
    # Once, since it cannot be taken back.
    os.register_at_fork(after_in_parent=lambda: _forks.add(os.getpid()))


def record_gap(thing: str, advice: str) -> None:
    """Calls all listeners, whatever happens to the error."""
    for watch in list(_WATCHES):
        watch.met(StandInGap(thing, advice))


class NotCoveredError(Exception):
    """Base of the errors for calls that a stand-in does not cover."""


class NotCoveredImportError(NotCoveredError, ModuleNotFoundError):
    """A module, or a name imported from one."""


class NotCoveredAttributeError(NotCoveredError, AttributeError):
    """An attribute of a module, a class or an object."""


class NotCoveredKeyError(NotCoveredError, KeyError):
    """An entry of a mapping, or a secret."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which is wrong for a sentence.
        return str(self.args[0])


def not_covered(thing: str, advice: str | None = None) -> str:
    """Records the gap; returns the message of its error: the dotted Azure name, and what to do."""
    root = thing.partition(".")[0]
    alternative = f"put a package '{root}' of your own (with an __init__.py) below the code root"
    if root == "azureml":
        alternative = f"Install the real package and give --parallelrun-set azureml=installed, or {alternative}."
    else:
        alternative = f"{alternative[0].upper()}{alternative[1:]}."
    record_gap(thing, advice or alternative)
    return f"{thing} is not covered by the stand-in for '{root}' in emulated workers. {advice or alternative}"


def refuse_attribute(owner: str, attribute: str, advice: str | None = None) -> NoReturn:
    """Raises the error for an attribute that `owner`, a dotted Azure name, does not have."""
    if attribute.startswith("__") and attribute.endswith("__"):
        raise AttributeError(f"{owner!r} has no attribute {attribute!r}")
    raise NotCoveredAttributeError(not_covered(f"{owner}.{attribute}", advice))


class _StandInType(type):
    advice: str | None

    def __getattr__(cls, name: str) -> NoReturn:
        refuse_attribute(f"{cls.__module__}.{cls.__qualname__}", name, cls.advice)


class StandIn(metaclass=_StandInType):
    """Base of the stand-in classes: unknown attributes are refused with a reason, on the class and on objects.

    advice: what to do instead, if the general advice does not fit.
    """

    advice: ClassVar[str | None] = None

    def __getattr__(self, name: str) -> NoReturn:
        refuse_attribute(f"{type(self).__module__}.{type(self).__qualname__}", name, self.advice)

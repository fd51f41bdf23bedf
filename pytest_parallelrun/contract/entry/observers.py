"""Observers of a worker: how a script defines its functions, and which errors it catches.

They run in worker processes, which import this module by name: do not import pytest or Hypothesis here.
"""

from __future__ import annotations

import glob
import inspect
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from pytest_parallelrun.contract.bounds import MAX_CAUGHT
from pytest_parallelrun.emulator.engines.tracebacks import failure_of, is_of_user

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from typing_extensions import Self

    from pytest_parallelrun.emulator.events import Failure
    from pytest_parallelrun.emulator.worker.script import EntryFunctions


class SeenFunctions:
    """A sentence for each problem, and a default that shows a mistake."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._default: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing to restore."""

    def inspect(self, functions: EntryFunctions) -> None:
        self._problems = problems_of(functions)
        self._default = None if self._problems else _default_of_context(functions)

    def result(self) -> tuple[list[str], str | None]:
        """The problems, and the second parameter of run() with its default, if no context seems to be expected."""
        return self._problems, self._default


def problems_of(functions: EntryFunctions) -> list[str]:
    """A sentence for each function that the service cannot call."""
    problems = [
        *_wrong_parameters("run", functions.run, (1, 2), "run(mini_batch) or run(mini_batch, context)"),
        *(_wrong_parameters("init", functions.init, (0,), "init()") if functions.init else ()),
        *(_wrong_parameters("shutdown", functions.shutdown, (0,), "shutdown()") if functions.shutdown else ()),
    ]
    if inspect.iscoroutinefunction(functions.run):
        problems.append("run() is async: the service does not await it and gets a coroutine. Make it a plain def.")
    elif inspect.isgeneratorfunction(functions.run) or inspect.isasyncgenfunction(functions.run):
        problems.append(
            "run() is a generator (it has a yield): the service gets the generator, not its results. "
            "Collect them in a list and return that."
        )
    return problems


def _default_of_context(functions: EntryFunctions) -> str | None:
    """The second parameter of run() with its default, if it shows that no context is expected."""
    if not functions.takes_context:
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(functions.run).parameters.values()
    second = [parameter for parameter in parameters if parameter.kind in positional][1]
    return None if second.default is inspect.Parameter.empty or second.default is None else str(second)


def _wrong_parameters(name: str, function: object, allowed: tuple[int, ...], shape: str) -> list[str]:
    """A sentence if the function cannot be called with any allowed number of arguments."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []
    for number in allowed:
        try:
            signature.bind(*[None] * number)
        except TypeError:
            continue
        return []
    return [f"{name}{signature} cannot be called as the service does: it calls {shape}."]


_LOOKING = ("exists", "lexists", "isfile", "is_file", "isdir", "is_dir", "glob", "iglob")


class CaughtErrors:
    """Records the exceptions that import and init() caught in the user's code, and the paths that they looked for."""

    def __init__(self) -> None:
        self._caught: dict[tuple[str, int, type], Failure] = {}
        self._absent: dict[str, None] = {}
        self._last: tuple[BaseException | None, tuple[str, int, type] | None] = None, None

    def __enter__(self) -> Self:
        self._before = sys.gettrace(), threading.gettrace()
        sys.settrace(self._trace)
        threading.settrace(self._trace)
        return self

    def inspect(self, functions: object) -> None:
        """The definitions do not matter here."""

    def result(self) -> tuple[list[Failure], list[str]]:
        """The exceptions, each with all frames that it passed, and the paths that do not exist."""
        return list(self._caught.values()), list(self._absent)

    def __exit__(self, *exc_info: object) -> None:
        sys.settrace(self._before[0])
        threading.settrace(self._before[1])
        self._last = None, None

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception":
            self._raised(frame, argument)
        elif event == "call" and is_of_user(frame.f_code.co_filename):
            frame.f_trace_lines = False
            return self._trace
        elif event == "call" and frame.f_code.co_name in _LOOKING:
            self._looked_for(frame)
            return None
        return self._trace if event != "call" else None

    def _raised(self, frame: FrameType, raised: tuple[type, BaseException, TracebackType | None]) -> None:
        kind, error, traceback = raised
        key: tuple[str, int, type] | None = (frame.f_code.co_filename, frame.f_lineno, kind)
        if error is self._last[0]:
            # It passes on to the function that called the first one.
            key = self._last[1]
        elif key in self._caught or len(self._caught) >= MAX_CAUGHT:
            key = None
        if key is not None and isinstance(error, Exception):
            self._caught[key] = failure_of("init", error.with_traceback(traceback))
        self._last = error, key

    def _looked_for(self, frame: FrameType) -> None:
        caller, names = frame.f_back, frame.f_code.co_varnames
        value = frame.f_locals.get(names[0]) if names else None
        if caller is None or not is_of_user(caller.f_code.co_filename) or not isinstance(value, (str, os.PathLike)):
            return
        path = os.path.abspath(os.fspath(value))
        if len(self._absent) < MAX_CAUGHT and not glob.glob(path):
            self._absent[str(path)] = None

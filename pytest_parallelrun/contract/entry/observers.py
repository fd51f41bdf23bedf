"""Observers of a worker: how a script defines its functions, and what it reads from sys.argv.

They run in worker processes, which import this module by name: do not import pytest or Hypothesis here.
"""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from pytest_parallelrun.emulator.folders import without_job_folder

if TYPE_CHECKING:
    from typing_extensions import Self

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


class Parsing(NamedTuple):
    """One call of a parser: options by flag -> dest, positional dests, the resulting values, and which were given."""

    allow_abbrev: bool
    options: dict[str, str]
    positionals: list[str]
    values: dict[str, object]
    given: set[str]


class RecordedParsers:
    """Records every successful parsing, and every error of a parser."""

    def __init__(self) -> None:
        self.parsings: list[Parsing] = []
        self.complaints: list[str] = []

    def __enter__(self) -> RecordedParsers:
        self._parse = parse = argparse.ArgumentParser.parse_known_args
        self._error = error = argparse.ArgumentParser.error
        parsings, complaints = self.parsings, self.complaints

        def recorded(
            parser: argparse.ArgumentParser,
            args: Sequence[str] | None = None,
            namespace: argparse.Namespace | None = None,
        ) -> tuple[argparse.Namespace, list[str]]:
            values, unknown = parse(parser, args, namespace)
            options = {flag: action.dest for action in parser._actions for flag in action.option_strings}
            positionals = [action.dest for action in parser._actions if not action.option_strings]
            # A default may be another one in each process: a time, a random name.
            given = {name for name, value in vars(values).items() if value is not parser.get_default(name)}
            parsings.append(
                Parsing(
                    allow_abbrev=parser.allow_abbrev,
                    options=options,
                    positionals=positionals,
                    values=dict(vars(values)),
                    given=given,
                )
            )
            return values, unknown

        def complaining(parser: argparse.ArgumentParser, message: str) -> NoReturn:
            complaints.append(message)
            error(parser, message)

        argparse.ArgumentParser.parse_known_args = recorded  # type: ignore[method-assign, assignment]
        argparse.ArgumentParser.error = complaining  # type: ignore[method-assign, assignment]
        return self

    def inspect(self, functions: object) -> None:
        """The definitions do not matter here."""

    def result(self) -> tuple[list[Parsing], list[str]]:
        """The parsings and the errors."""
        return [parsed._replace(values=_comparable(parsed.values)) for parsed in self.parsings], self.complaints

    def __exit__(self, *exc_info: object) -> None:
        argparse.ArgumentParser.parse_known_args = self._parse  # type: ignore[method-assign]
        argparse.ArgumentParser.error = self._error  # type: ignore[method-assign]


def _comparable(values: dict[str, object]) -> dict[str, object]:
    """The values without objects created by a type=, which are never equal, and with paths of a job as in any other."""
    return {
        name: without_job_folder(os.fspath(value)) if isinstance(value, (str, os.PathLike)) else value
        for name, value in values.items()
        if type(value).__eq__ is not object.__eq__
    }

"""Watches argparse while a script reads its arguments, to see which of them the runtime's argv changed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple, NoReturn

from pytest_parallelrun.emulator.arguments import PASSED_BY_THE_RUNTIME

# The thresholds are the user's own arguments as well, so they are not in that set.
RUNTIME_FLAGS = sorted(
    {*PASSED_BY_THE_RUNTIME, "--allowed_failed_count", "--allowed_failed_percent", "--error_threshold"}
)


class Parsing(NamedTuple):
    """One call of a parser: its options by flag -> dest, its positional dests, and the values that it made of them."""

    allow_abbrev: bool
    options: dict[str, str]
    positionals: list[str]
    values: dict[str, object]


class Taken(NamedTuple):
    """A flag of the runtime that argparse took for an option of the script."""

    flag: str
    option: str
    got: object
    wanted: object


class Misplaced(NamedTuple):
    """A positional argument of the script that got a value of the runtime. `wanted`: None where none was given."""

    name: str
    got: object
    wanted: object


class RecordedParsers:
    """An observer of a worker: it records every successful parsing, and every complaint of a parser."""

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
            values, rest = parse(parser, args, namespace)
            options = {flag: action.dest for action in parser._actions for flag in action.option_strings}
            positionals = [action.dest for action in parser._actions if not action.option_strings]
            parsings.append(Parsing(parser.allow_abbrev, options, positionals, dict(vars(values))))
            return values, rest

        def complaining(parser: argparse.ArgumentParser, message: str) -> NoReturn:
            complaints.append(message)
            error(parser, message)

        argparse.ArgumentParser.parse_known_args = recorded  # type: ignore[method-assign, assignment]
        argparse.ArgumentParser.error = complaining  # type: ignore[method-assign, assignment]
        return self

    def look(self, functions: object) -> None:
        """What the script defines says nothing here."""

    def told(self) -> tuple[list[Parsing], list[str]]:
        """The parsings and the complaints."""
        return [parsed._replace(values=_comparable(parsed.values)) for parsed in self.parsings], self.complaints

    def __exit__(self, *exc_info: object) -> None:
        argparse.ArgumentParser.parse_known_args = self._parse  # type: ignore[method-assign]
        argparse.ArgumentParser.error = self._error  # type: ignore[method-assign]


def _comparable(values: dict[str, object]) -> dict[str, object]:
    """The values without objects that a type= made anew, which are never equal and tell nothing."""
    return {name: value for name, value in values.items() if type(value).__eq__ is not object.__eq__}


def abbreviated(with_runtime: Sequence[Parsing], without: Sequence[Parsing]) -> list[Taken]:
    """The runtime's flags that changed a value because they begin like an option of the script.

    An option that the script declares under the very name of a runtime's flag reads it on purpose.
    """
    taken = []
    for parsed, own in zip(with_runtime, without, strict=False):
        if not parsed.allow_abbrev:
            continue
        for flag in RUNTIME_FLAGS:
            if flag in parsed.options:
                continue
            for option, dest in parsed.options.items():
                got, wanted = parsed.values.get(dest), own.values.get(dest)
                if option.startswith(flag) and got != wanted:
                    taken.append(Taken(flag, option, got, wanted))
    return taken


def misplaced(with_runtime: Sequence[Parsing], without: Sequence[Parsing]) -> list[Misplaced]:
    """The positional arguments that took what the runtime put before the script's own.

    A parsing that failed without the runtime's arguments lacked the script's own.
    """
    found = []
    for parsed, own in zip_longest(with_runtime, without[: len(with_runtime)]):
        for name in parsed.positionals:
            got, wanted = parsed.values.get(name), None if own is None else own.values.get(name)
            if got != wanted:
                found.append(Misplaced(name, got, wanted))
    return found

"""What a script reads from sys.argv, seen by an observer of its worker.

Every gate has two worker processes import this module before the script, so it imports little.
"""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Parsing(NamedTuple):
    """One call of a parser: options by flag -> dest, positional dests, the resulting values, and which were given."""

    allow_abbrev: bool
    options: dict[str, str]
    positionals: list[str]
    values: dict[str, object]
    given: set[str]


class RecordedParsers:
    """Records every successful parsing."""

    def __init__(self) -> None:
        self.parsings: list[Parsing] = []

    def __enter__(self) -> RecordedParsers:
        self._parse = parse = argparse.ArgumentParser.parse_known_args
        parsings = self.parsings

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

        argparse.ArgumentParser.parse_known_args = recorded  # type: ignore[method-assign, assignment]
        return self

    def inspect(self, functions: object) -> None:
        """The definitions do not matter here."""

    def result(self) -> list[Parsing]:
        """The parsings."""
        return [parsed._replace(values=_comparable(parsed.values)) for parsed in self.parsings]

    def __exit__(self, *exc_info: object) -> None:
        argparse.ArgumentParser.parse_known_args = self._parse  # type: ignore[method-assign]


def _comparable(values: dict[str, object]) -> dict[str, object]:
    """The values without objects created by a type=, which are never equal; paths as text."""
    return {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in values.items()
        if type(value).__eq__ is not object.__eq__
    }

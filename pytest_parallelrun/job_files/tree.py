"""A job definition as a tree of values, each with its location, and the problems in it.

YAML and Python files both become one. A tree may share nodes (aliases of YAML) and has no cycles.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pytest_parallelrun.emulator.errors import ParallelRunError

MAX_SHOWN = 50
"""Problems that an error lists."""


@dataclass(frozen=True)
class SourceLocation:
    """Where something stands; line and column count from 1. cell: of a notebook, whose lines are those of the cell."""

    file: Path
    line: int = 1
    column: int = 1
    cell: int | None = None

    def __str__(self) -> str:
        return f"{self.origin}:{self.column}" if self.cell is None else f"{self.origin}, column {self.column}"

    @property
    def origin(self) -> str:
        """File and line, which is what a value is said to come from."""
        if self.cell is not None:
            return f"{shown(self.file)}, cell {self.cell}, line {self.line}"
        return f"{shown(self.file)}:{self.line}"


def shown(path: Path) -> str:
    """A path as messages have it: relative to the working folder where it lies below."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else os.fspath(path)


@dataclass(frozen=True)
class Scalar:
    """A text, number, truth value or null; `value` may also be a date of YAML, which no setting takes."""

    location: SourceLocation
    value: object


@dataclass(frozen=True)
class Listing:
    location: SourceLocation
    items: Sequence[Node]


@dataclass(frozen=True)
class Table:
    """Values by name; `keys` has the locations of the names."""

    location: SourceLocation
    entries: Mapping[str, Node]
    keys: Mapping[str, SourceLocation]

    def with_entries(self, other: Table) -> Table:
        """This table, with the entries of another one over its own."""
        return Table(self.location, {**self.entries, **other.entries}, {**self.keys, **other.keys})

    def without(self, *names: str) -> Table:
        kept = {name: node for name, node in self.entries.items() if name not in names}
        return Table(self.location, kept, {name: self.keys[name] for name in kept})


@dataclass(frozen=True)
class Opaque:
    """An expression of a Python file that is no literal: `text` is its source, `why` says what would have helped.

    input_name: of `data.as_named_input("name")`, which names an input of v1. output_name: of `PipelineData("name")`.
    """

    location: SourceLocation
    text: str
    why: str
    input_name: str | None = None
    output_name: str | None = None


STARS = "**"
"""The name of what a call gets by `**expression`, where that cannot be read: it may hold any keyword."""

Node: TypeAlias = Scalar | Listing | Table | Opaque


def present(node: Node | None) -> Node | None:
    """The node; None also where there is a key with nothing behind it."""
    return None if isinstance(node, Scalar) and node.value is None else node


def text_of(node: Node | None) -> str | None:
    """The text of a scalar that is one, else None."""
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None


def entry_text(table: Table, name: str) -> str | None:
    """The text that a table has by a name."""
    return text_of(table.entries.get(name))


def type_of(table: Table) -> str:
    """What a table has as its `type`, in small letters; "" where it has none."""
    return (entry_text(table, "type") or "").lower()


def kind_of(node: Node) -> str:
    """What a value is, in words of a message."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Listing):
        return "a list"
    if isinstance(node, Opaque):
        return f"the expression `{node.text}`"
    if isinstance(node.value, (str, int, float)):
        return repr(node.value)
    return "empty" if node.value is None else f"a {type(node.value).__name__}"


def value_text(node: Node) -> str:
    """What a value is where it should be something else, with what would help."""
    return f"{kind_of(node)}: {node.why}" if isinstance(node, Opaque) else kind_of(node)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a definition, and where."""

    location: SourceLocation
    message: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


class Problems(list[Problem]):
    """Collects problems while a definition is read, so that the user learns of all at once."""

    def add(self, location: SourceLocation, message: str) -> None:
        self.append(Problem(location, message))


def _order(problem: Problem) -> tuple[object, ...]:
    location = problem.location
    return location.file, location.cell or 0, location.line, location.column, problem.message


class JobFileError(ParallelRunError):
    """A job definition that cannot be gated; the text has a line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=_order))
        more = len(self.problems) - MAX_SHOWN
        lines = [*map(str, self.problems[:MAX_SHOWN]), *([f"and {more} more"] if more > 0 else [])]
        super().__init__("\n".join(lines))

"""A job file as a tree of values, each with its location, and its problems.

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
"""Maximum problems in an error."""


@dataclass(frozen=True)
class SourceLocation:
    """A location; line and column count from 1. cell: of a notebook, whose lines are those of the cell.

    label: of an object that is in no file, shown instead; the folder of `file` is where its relative paths start.
    """

    file: Path
    line: int = 1
    column: int = 1
    cell: int | None = None
    label: str = ""

    def __str__(self) -> str:
        if self.label:
            return self.label
        return f"{self.origin}:{self.column}" if self.cell is None else f"{self.origin}, column {self.column}"

    @property
    def origin(self) -> str:
        """File and line, used as origin of a value."""
        if self.label:
            return self.label
        if self.cell is not None:
            return f"{shown(self.file)}, cell {self.cell}, line {self.line}"
        return f"{shown(self.file)}:{self.line}"


def shown(path: Path) -> str:
    """A path in messages: relative to the working folder if it is below."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else os.fspath(path)


@dataclass(frozen=True)
class Scalar:
    """A string, number, boolean or null; `value` may also be a date of YAML, which no setting accepts."""

    location: SourceLocation
    value: object

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        if isinstance(self.value, (str, int, float)):
            return repr(self.value)
        return "empty" if self.value is None else f"a {type(self.value).__name__}"

    @property
    def described(self) -> str:
        """The same, with advice, where it should be something else."""
        return self.kind


@dataclass(frozen=True)
class Listing:
    location: SourceLocation
    items: Sequence[Node]

    kind = described = "a list"


@dataclass(frozen=True)
class Table:
    """Values by name; `keys` has the locations of the names."""

    location: SourceLocation
    entries: Mapping[str, Node]
    keys: Mapping[str, SourceLocation]

    kind = described = "a mapping"

    @property
    def type(self) -> str:
        """Its `type`, in lower case; "" if it has none."""
        return (self.text("type") or "").lower()

    def get(self, name: str) -> Node | None:
        """The value of a key; None also if it is empty."""
        return present(self.entries.get(name))

    def text(self, name: str) -> str | None:
        return text_of(self.entries.get(name))

    def with_entries(self, other: Table) -> Table:
        """This table, overridden by the entries of another one."""
        return Table(self.location, {**self.entries, **other.entries}, {**self.keys, **other.keys})

    def with_entry(self, name: str, node: Node, key: SourceLocation) -> Table:
        return Table(self.location, {**self.entries, name: node}, {**self.keys, name: key})

    def without(self, *names: str) -> Table:
        kept = {name: node for name, node in self.entries.items() if name not in names}
        return Table(self.location, kept, {name: self.keys[name] for name in kept})


@dataclass(frozen=True)
class Opaque:
    """An expression of a Python file that is not a literal: `text` is its source, `why` says what would have helped.

    input_name: of `data.as_named_input("name")`, which names an input of v1. output_name: of `PipelineData("name")`.
    """

    location: SourceLocation
    text: str
    why: str
    input_name: str | None = None
    output_name: str | None = None

    @property
    def kind(self) -> str:
        return f"the expression `{self.text}`"

    @property
    def described(self) -> str:
        return f"{self.kind}: {self.why}"


STARS = "**"
"""The name for `**expression` in a call that cannot be read: it may contain any keyword."""

Node: TypeAlias = Scalar | Listing | Table | Opaque


def tree_of(value: object, location: SourceLocation) -> Node:
    """Plain values as a tree that is all at one location."""
    if isinstance(value, Mapping):
        entries = {str(key): tree_of(item, location) for key, item in value.items()}
        return Table(location, entries, dict.fromkeys(entries, location))
    if isinstance(value, (list, tuple)):
        return Listing(location, [tree_of(item, location) for item in value])
    return Scalar(location, value)


def present(node: Node | None) -> Node | None:
    """The node; None also for a key without a value."""
    return None if isinstance(node, Scalar) and node.value is None else node


def text_of(node: Node | None) -> str | None:
    """The text of a scalar that is a string, otherwise None."""
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None


@dataclass(frozen=True)
class Problem:
    """A problem of a job file, with its location."""

    location: SourceLocation
    message: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


class Problems(list[Problem]):
    """Collects problems while a job file is read, so that the user sees all at once."""

    def add(self, location: SourceLocation, message: str) -> None:
        self.append(Problem(location, message))


def _order(problem: Problem) -> tuple[object, ...]:
    location = problem.location
    return location.file, location.cell or 0, location.line, location.column, problem.message


class JobFileError(ParallelRunError):
    """A job file that cannot be gated; the text has a line for each problem, and the hint."""

    def __init__(self, problems: Iterable[Problem], hint: str = "") -> None:
        self.problems = tuple(sorted(set(problems), key=_order))
        more = len(self.problems) - MAX_SHOWN
        lines = [
            *map(str, self.problems[:MAX_SHOWN]),
            *([f"and {more} more"] if more > 0 else []),
            *([hint] if hint else []),
        ]
        super().__init__("\n".join(lines))

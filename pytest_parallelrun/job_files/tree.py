"""A job definition as a tree of values, each with its place; YAML and Python files both become one.

A tree may share nodes (aliases of YAML) and has no cycles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pytest_parallelrun.job_files.problems import Place


@dataclass(frozen=True)
class Scalar:
    """A text, number, truth value or null; `value` may also be a date of YAML, which no setting takes."""

    place: Place
    value: object


@dataclass(frozen=True)
class Listing:
    place: Place
    items: Sequence[Node]


@dataclass(frozen=True)
class Table:
    """Values by name; `keys` has the places of the names."""

    place: Place
    entries: Mapping[str, Node]
    keys: Mapping[str, Place]

    def with_entries(self, other: Table) -> Table:
        """This table, with the entries of another one over its own."""
        return Table(self.place, {**self.entries, **other.entries}, {**self.keys, **other.keys})

    def without(self, *names: str) -> Table:
        kept = {name: node for name, node in self.entries.items() if name not in names}
        return Table(self.place, kept, {name: self.keys[name] for name in kept})


@dataclass(frozen=True)
class Opaque:
    """An expression of a Python file that is no literal: `text` is its source, `why` says what would have helped.

    input_name: of `data.as_named_input("name")`, which names an input of v1.
    """

    place: Place
    text: str
    why: str
    input_name: str | None = None


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

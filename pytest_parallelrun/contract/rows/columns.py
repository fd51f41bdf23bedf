"""What values that run() returned are made of: columns, their order, and the kinds of their values."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.rows.values import is_null, plain

if TYPE_CHECKING:
    import pandas as pd


class Shape(NamedTuple):
    """What a table, or an element of a list, is made of.

    form: "a DataFrame", "a dict", "a list of 3", "a text"... columns: names in order. kinds: of their values, where
    there are any that are not null.
    """

    form: str
    columns: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    ordered: bool = True


def shapes_of(value: object) -> list[tuple[Shape, object]]:
    """That of a DataFrame with rows, or of each element of a list, with what it is the shape of; nulls are left out."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return [(_of_frame(value), value)] if len(value) else []
    elements = list(value) if isinstance(value, (list, tuple)) else []
    shapes = ((_of_element(element), element) for element in elements)
    return [(shape, element) for shape, element in shapes if shape is not None]


def difference_of(one: Shape, other: Shape) -> str:
    """What differs between two, in words; "" where nothing does that matters."""
    if one.form != other.form:
        return f"{one.form} and {other.form}"
    if set(one.columns) != set(other.columns):
        only = [
            f"{which} alone has {_listed(name for name in mine if name not in theirs)}"
            for which, mine, theirs in (
                ("the first", one.columns, other.columns),
                ("the second", other.columns, one.columns),
            )
            if any(name not in theirs for name in mine)
        ]
        return f"other columns: {', '.join(only)}"
    if one.columns != other.columns and one.ordered:
        return f"another order of columns: {_listed(one.columns)} and {_listed(other.columns)}"
    kinds = dict(other.kinds)
    for column, kind in one.kinds:
        if kinds.get(column, kind) != kind:
            where = f" in column {column!r}" if column else ""
            return f"other types{where}: {kind} and {kinds[column]}"
    return ""


def _of_frame(frame: pd.DataFrame) -> Shape:
    columns = tuple(str(name) for name in frame.columns)
    kinds = []
    for position, name in enumerate(columns):
        # An empty text is one; pandas' NA cannot be compared with it.
        held = frame.iloc[:, position].tolist()
        found = {_kind(value) for value in held if not is_null(value) or (isinstance(value, str) and not value)}
        if len(found) == 1:
            kinds.append((name, found.pop()))
        elif found:
            kinds.append((name, " and ".join(sorted(found))))
    return Shape("a DataFrame", columns, tuple(kinds))


def _of_element(element: object) -> Shape | None:
    """None for a null, which any row may be."""
    if element is None or (isinstance(element, float) and is_null(element)):
        return None
    if isinstance(element, dict):
        kinds = tuple((str(name), _kind(value)) for name, value in element.items() if not is_null(value))
        return Shape("a dict", tuple(map(str, element)), kinds)
    if isinstance(element, (list, tuple)):
        kinds = tuple((f"position {n}", _kind(value)) for n, value in enumerate(element) if not is_null(value))
        return Shape(f"a {type(element).__name__} of {len(element)}", (), kinds)
    if isinstance(element, str):
        held = _json_object(element)
        # JSON has no order of keys.
        return Shape("a text") if held is None else Shape("a JSON object", tuple(held), ordered=False)
    return Shape(f"a {_kind(element)}" if _kind(element) == "number" else _kind(element))


def _json_object(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        held = json.loads(text)
    except ValueError:
        return None
    return held if isinstance(held, dict) else None


def _kind(value: object) -> str:
    value = plain(value)
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (datetime.date, datetime.time)):
        return "time"
    return type(value).__name__


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))

"""The single values of a row, and their spots."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Hashable, Iterator

Spot = tuple[Hashable, ...]
"""A spot in a row: a column, a position, a word of a string."""

_WORD = re.compile(r"[^\s,;|=\t\[\](){}\"']+")
_NULLS = ("", "none", "null", "nan", "n/a", "na", "nil", "<na>", "nat")


def values_of(row: object) -> dict[Spot, object]:
    """Its values by spot: elements of dicts and sequences, parts of JSON strings, words of other strings.

    A null of any kind is None; words that are numbers are floats.
    """
    return dict(_walk(row, ()))


def text_of(row: object) -> str:
    """All of its text, to search for names."""
    if isinstance(row, str):
        held = json_in(row)
        return row if held is None else f"{row} {text_of(held)}"
    return " ".join(str(value) for value in _whole_values(row))


def is_plain_array(value: object) -> bool:
    """Whether it is a numpy array of numbers, booleans or strings, not of objects."""
    return (
        type(value).__module__ == "numpy" and getattr(value, "ndim", 0) > 0 and not value.dtype.hasobject  # type: ignore[attr-defined]
    )


def is_null(value: object) -> bool:
    """Whether it is a missing value: None, NaN, an empty string, or a word for one."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return isinstance(value, str) and value.strip().lower() in _NULLS


def number_in(value: object) -> float | None:
    """A number, or a string that is one; otherwise None."""
    value = plain(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value) if abs(value) < 1e300 or isinstance(value, float) else None
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def plain(value: object) -> object:
    """A numpy scalar as a Python object; anything else unchanged."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value


def kind_of(value: object) -> str:
    """Its type as users name it, the same for numpy and pandas."""
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


def json_in(text: str) -> dict[str, object] | list[object] | None:
    """The content of a JSON string with several values; None for any other string."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return None
    try:
        held = json.loads(stripped)
    except ValueError:
        return None
    return held if isinstance(held, (dict, list)) else None


def _walk(value: object, spot: Spot) -> Iterator[tuple[Spot, object]]:
    if isinstance(value, dict):
        for name, element in value.items():
            yield from _walk(element, (*spot, str(name)))
    elif isinstance(value, (list, tuple)):
        for position, element in enumerate(value):
            yield from _walk(element, (*spot, position))
    elif isinstance(value, str):
        held = json_in(value)
        if held is not None:
            yield from _walk(held, spot)
            return
        words = _WORD.findall(value)
        if not words:
            yield (*spot, ("word", 0)), None
        for position, word in enumerate(words):
            bare = word.rstrip(":")
            yield (*spot, ("word", position)), _plain(bare)
    elif type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        yield from _walk(value.tolist(), spot)
    else:
        yield spot, None if is_null(value) else value


def _plain(word: str) -> object:
    if is_null(word):
        return None
    number = number_in(word)
    return word if number is None else number


def _whole_values(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for element in value.values():
            yield from _whole_values(element)
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from _whole_values(element)
    elif type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        yield from _whole_values(value.tolist())
    else:
        yield value

"""The values of a row, each with its spot: a column, a position, a word of a text.

`leaves_of` is for comparing rows; `values_of` for reading a single one, where words may be numbers and nulls.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Hashable, Iterator, Sequence

_TOKEN = re.compile(r"[^\s,;|\t\[\](){}]+")
_WORKER = re.compile(
    r"process\d{3}|/\S*parallelrun-[\w-]+/(?:[a-z]+-\w{8}/)?|[\w:]*\\\S*parallelrun-[\w-]+\\(?:[a-z]+-\w{8}\\)?"
)
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+[eE][-+]?\d+|\d+\.\d*[eE][-+]?\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf", re.I)
_NAME = re.compile(r"['\"]?[^\W\d]")
_CLOCK = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d{8}T?\d*")
_UNIQUE = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_TIMING = re.compile(
    r"(^|[^a-z])(elapsed|took|latency|runtime"
    r"|(processing|inference|scoring|run|wall|cpu|exec|execution|predict|prediction)_?(time|seconds|secs|ms|duration))"
    r"($|[^a-z])",
    re.IGNORECASE,
)
"""Names of durations, which always differ and are not results."""
_YEAR = 366 * 24 * 3600
_DAY = 24 * 3600
_MINUTES = 10
"""Until then a time of day is that of this run."""
DURATION = "a duration"
"""Stands for the value of a number whose name says that it is a duration."""
MANY = 8
"""Length from which on a sequence is a vector, whose elements have one scale."""
Key = tuple[Hashable, ...]
"""A spot in a row: a column, a position, a word of a string."""
_WORD = re.compile(r"[^\s,;|=\t\[\](){}\"']+")
_NULLS = ("", "none", "null", "nan", "n/a", "na", "nil", "<na>", "nat")


def leaves_of(row: object) -> dict[Key, object]:
    """The values that are compared, by their spot."""
    return dict(walk(row, ()))


def walk(value: object, key: Key) -> Iterator[tuple[Key, Hashable]]:
    if isinstance(value, dict):
        for name in sorted(value, key=repr):
            if isinstance(value[name], (int, float)) and _TIMING.search(str(name)):
                yield (*key, repr(name)), DURATION
                continue
            for location, leaf in walk(value[name], (*key, repr(name))):
                # returns_same_columns reports whether a column without values exists.
                if not _is_null(leaf):
                    yield location, leaf
        yield (*key, "{}"), True
    elif isinstance(value, (list, tuple)):
        for position, element in enumerate(value):
            yield from walk(element, (*key, position if len(value) <= MANY else ("of many", position)))
        yield (*key, "[]"), len(value)
    elif isinstance(value, (set, frozenset)):
        yield key, tuple(sorted(map(repr, value)))
    elif isinstance(value, str):
        yield from _words(value, key)
    elif is_plain_array(value) and value.size > MANY and value.dtype.kind in "biuSU":  # type: ignore[attr-defined]
        # No tolerance applies, and a mask may have a million values.
        yield key, (value.dtype.str, value.shape, value.tobytes())  # type: ignore[attr-defined]
    elif type(value).__module__ == "numpy":
        # Arrays and scalars as plain values.
        yield from walk(value.tolist(), key)  # type: ignore[attr-defined]
    elif type(value).__name__ in ("NAType", "NaTType"):
        yield key, None
    elif isinstance(value, (bool, int, float, bytes, type(None), datetime.date, datetime.time)):
        yield key, value
    elif hasattr(value, "to_dict"):
        yield from walk(value.to_dict(), key)
    else:
        # The default repr contains the address of the object, which differs every time.
        yield key, re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def without_workers(text: str) -> str:
    """A text in which names of workers and their folders are the same in every run."""
    # Without its words the pattern takes minutes for a long text.
    return _WORKER.sub("~", text) if "parallelrun-" in text or "process" in text else text


def _words(text: str, key: Key) -> Iterator[tuple[Key, Hashable]]:
    plain = without_workers(text)
    words = _TOKEN.findall(plain)
    of_timing = False
    for position, word in enumerate(words):
        location: Key = (*key, ("word", position))
        # "score=0.5" and "score:0.5" contain a number too.
        name, separator, value = word.rpartition("=") if "=" in word else word.rpartition(":")
        if _FLOAT.fullmatch(value.strip("'\"")) and (not name or _NAME.match(name)):
            yield (*location, "name"), name + separator
            is_duration = of_timing or _TIMING.search(name)
            yield location, DURATION if is_duration else float(value.strip("'\""))
        else:
            yield location, word
        # '"elapsed": 0.1' has its name in the word before.
        of_timing = word[-1] in ":=" and bool(_TIMING.search(word))
    yield (*key, "text"), _TOKEN.sub("", plain)


def column_of(key: Key) -> Key:
    return tuple(part[0] if isinstance(part, tuple) and part[0] == "of many" else part for part in key)


def name_of(key: Key) -> str:
    """The name of a value for users: of a column, "word 2" of a text, "position 0" of a list, "row" for the whole."""
    first = key[0] if key else "row"
    if isinstance(first, tuple):
        return f"position {first[1]}" if first[0] == "of many" else f"word {first[1] + 1}"
    if isinstance(first, str):
        return "row" if first in ("{}", "[]", "row") else first.strip("'\"")
    return f"position {first}"


def names_of_now(rows: Sequence[object]) -> set[str]:
    """The values, by `name_of`, that are the time of this run in every row: they differ in the next one."""
    named: list[set[str]] = [{name_of(key) for key, value in walk(row, ()) if _is_now(value)} for row in rows]
    return set.intersection(*named) if named else set()


def _is_now(value: object) -> bool:
    """Whether it is the current day, or a time of day of the last minutes."""
    moments = (datetime.datetime.now(), datetime.datetime.now(datetime.timezone.utc))
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()[:10] in {moment.date().isoformat() for moment in moments}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return any(abs(value / unit - moments[1].timestamp()) < _DAY for unit in (1, 1e3, 1e6, 1e9))
    if not isinstance(value, str):
        return False
    if any(text in value for moment in moments for text in (moment.strftime("%Y-%m-%d"), moment.strftime("%Y%m%d"))):
        return True
    match = re.fullmatch(r"\D*(\d\d):(\d\d)(?::\d\d.*)?", value)
    minutes = -1 if match is None else int(match[1]) * 60 + int(match[2])
    return any(0 <= moment.hour * 60 + moment.minute - minutes < _MINUTES for moment in moments) and match is not None


def spot_text(key: Key) -> str:
    if not key:
        return "the value"
    first = key[0]
    if isinstance(first, str):
        return f"column {first}" if first not in ("text", "{}", "[]") else "the text"
    if isinstance(first, tuple):
        return f"position {first[1]}" if first[0] == "of many" else f"word {first[1] + 1} of the text"
    return f"position {first}"


def tells_nothing(value: object) -> bool:
    """Whether it is a time of day or a generated id."""
    if isinstance(value, (datetime.date, datetime.time)):
        return True
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        now = datetime.datetime.now(datetime.timezone.utc).timestamp()
        return any(abs(value / unit - now) < _YEAR for unit in (1, 1e3, 1e6, 1e9))
    return isinstance(value, str) and bool(_CLOCK.search(value) or _UNIQUE.search(value))


def values_of(row: object) -> dict[Key, object]:
    """Its values by spot: elements of dicts and sequences, parts of JSON strings, words of other strings.

    A null of any kind is None; words that are numbers are floats.
    """
    return dict(_single_values(row, ()))


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


def _single_values(value: object, spot: Key) -> Iterator[tuple[Key, object]]:
    if isinstance(value, dict):
        for name, element in value.items():
            yield from _single_values(element, (*spot, str(name)))
    elif isinstance(value, (list, tuple)):
        for position, element in enumerate(value):
            yield from _single_values(element, (*spot, position))
    elif isinstance(value, str):
        held = json_in(value)
        if held is not None:
            yield from _single_values(held, spot)
            return
        words = _WORD.findall(value)
        if not words:
            yield (*spot, ("word", 0)), None
        for position, word in enumerate(words):
            bare = word.rstrip(":")
            yield (*spot, ("word", position)), _word_value(bare)
    elif type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        yield from _single_values(value.tolist(), spot)
    else:
        yield spot, None if is_null(value) else value


def _word_value(word: str) -> object:
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

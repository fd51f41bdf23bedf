"""Whether two runs returned the same rows, as far as the service promises that they are the same.

The order of rows is not promised, so they are multisets. Floats are equal within a tolerance, since libraries sum in
another order for another size. What names a worker or its folder is not a result.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass

RELATIVE = 1e-4
"""Tolerance of a float, of its own size; float32 models differ by 1e-5 between sizes of a mini-batch."""
ABSOLUTE = 1e-6
"""The same, of the largest float among the rows: what is left where large ones cancel out."""

_TOKEN = re.compile(r"[^\s,;|\t\[\](){}]+")
_WORKER = re.compile(r"process\d{3}|/\S*parallelrun-[\w-]+/|[\w:]*\\\S*parallelrun-[\w-]+\\")
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+[eE][-+]?\d+|\d+\.\d*[eE][-+]?\d+)(?:[eE][-+]?\d+)?|nan|[-+]?inf", re.I)
_CLOCK = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d{8}T?\d*")
_UNIQUE = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_YEAR = 366 * 24 * 3600

Key = tuple[Hashable, ...]
"""Where in a row a value stands: a column, a position, a word of a text."""


@dataclass(frozen=True)
class Changing:
    """What differs between two runs that should be the same. `all_rows`: their number already does.

    harmless: every difference is a time of day or a generated id, which say nothing about a result.
    """

    keys: frozenset[Key]
    all_rows: bool = False
    harmless: bool = False

    def __str__(self) -> str:
        if self.all_rows:
            return "the number of rows"
        names = sorted({_name(key) for key in self.keys})
        return ", ".join(names[:5])


def changing(first: Sequence[object], second: Sequence[object]) -> Changing | None:
    """What differs between the rows of two runs in the same order; None where nothing does."""
    if len(first) != len(second):
        return Changing(frozenset(), all_rows=True)
    keys: set[Key] = set()
    harmless = True
    scale = _scale([*first, *second])
    for left, right in zip(map(_leaves, first), map(_leaves, second), strict=True):
        if left.keys() != right.keys():
            keys.update(left.keys() ^ right.keys())
            harmless = False
        for key in left.keys() & right.keys():
            if not _equal(left[key], right[key], scale):
                keys.add(key)
                harmless = harmless and _tells_nothing(left[key]) and _tells_nothing(right[key])
    return Changing(frozenset(keys), harmless=harmless) if keys else None


def difference(
    expected: Sequence[object], found: Sequence[object], *, ignoring: Collection[Key] = ()
) -> tuple[str, str] | None:
    """A row that one side has and the other has not, on each side, as text; None where the multisets are the same.

    ignoring: values that do not count, since they differ between any two runs.
    """
    scale = _scale([*expected, *found])
    pools: dict[Hashable, list[tuple[list[float], object]]] = defaultdict(list)
    for row in found:
        shape, floats = _shape(row, ignoring)
        pools[shape].append((floats, row))
    missing: list[object] = []
    for row in expected:
        shape, floats = _shape(row, ignoring)
        pool = pools[shape]
        match = next((i for i, (others, _) in enumerate(pool) if _close(floats, others, scale)), None)
        if match is None:
            missing.append(row)
        else:
            pool.pop(match)
    extra = [row for pool in pools.values() for _, row in pool]
    if not missing and not extra:
        return None
    return _shown(missing), _shown(extra)


def row_text(row: object, most: int = 200) -> str:
    """A row as findings show it."""
    text = repr(row)
    return text if len(text) <= most else f"{text[:most]}..."


def _shown(rows: Sequence[object]) -> str:
    if not rows:
        return "no such row"
    return row_text(rows[0]) + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")


def _leaves(row: object) -> dict[Key, object]:
    return dict(_walk(row, ()))


def _walk(value: object, key: Key) -> Iterator[tuple[Key, object]]:
    if isinstance(value, dict):
        for name in sorted(value, key=repr):
            yield from _walk(value[name], (*key, repr(name)))
        yield (*key, "{}"), len(value)
    elif isinstance(value, (list, tuple)):
        for position, element in enumerate(value):
            yield from _walk(element, (*key, position))
        yield (*key, "[]"), len(value)
    elif isinstance(value, str):
        yield from _words(value, key)
    elif type(value).__module__ == "numpy":
        # Arrays and scalars, as the values that they hold.
        yield from _walk(value.tolist(), key)  # type: ignore[attr-defined]
    elif isinstance(value, (bool, int, float, bytes, type(None), datetime.date, datetime.time)):
        yield key, value
    elif _is_null(value):
        yield key, None
    elif hasattr(value, "to_dict"):
        yield from _walk(value.to_dict(), key)
    else:
        # The address of an object is in its default repr, and is another one every time.
        yield key, re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _is_null(value: object) -> bool:
    return type(value).__name__ in ("NAType", "NaTType")


def _words(text: str, key: Key) -> Iterator[tuple[Key, object]]:
    plain = _WORKER.sub("~", text)
    words = _TOKEN.findall(plain)
    for position, word in enumerate(words):
        place: Key = (*key, ("word", position))
        # "score=0.5" and "score:0.5" hold a number as well.
        name, separator, value = word.rpartition("=") if "=" in word else word.rpartition(":")
        if _FLOAT.fullmatch(value.strip("'\"")):
            yield (*place, "name"), name + separator
            yield place, float(value.strip("'\""))
        else:
            yield place, word
    yield (*key, "text"), _TOKEN.sub("", plain)


def _shape(row: object, ignoring: Collection[Key]) -> tuple[Hashable, list[float]]:
    """What must be equal exactly, and the floats, in the same order."""
    exact: list[Hashable] = []
    floats: list[float] = []
    for key, value in _walk(row, ()):
        if key in ignoring:
            continue
        if isinstance(value, float):
            floats.append(value)
            exact.append((key, "float"))
        elif value is None:
            exact.append((key, "float"))
            floats.append(math.nan)
        elif isinstance(value, int) and not isinstance(value, bool):
            # A whole number and a float of the same value are the same result.
            floats.append(float(value) if abs(value) < 2**53 else math.nan)
            exact.append((key, "float") if abs(value) < 2**53 else (key, value))
        else:
            exact.append((key, value if isinstance(value, Hashable) else repr(value)))
    return tuple(exact), floats


def _scale(rows: Sequence[object]) -> float:
    largest = 0.0
    for row in rows:
        for _, value in _walk(row, ()):
            if isinstance(value, float) and math.isfinite(value):
                largest = max(largest, abs(value))
    return largest


def _equal(left: object, right: object, scale: float) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return _close([left], [right], scale)
    return bool(left == right)


def _close(left: Sequence[float], right: Sequence[float], scale: float) -> bool:
    return len(left) == len(right) and all(_near(a, b, scale) for a, b in zip(left, right, strict=True))


def _near(a: float, b: float, scale: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    if a.is_integer() and b.is_integer():
        return False
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE * scale)


def _tells_nothing(value: object) -> bool:
    """Whether it is a time of day or an id that was made up."""
    if isinstance(value, (datetime.date, datetime.time)):
        return True
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        now = datetime.datetime.now(datetime.timezone.utc).timestamp()
        return any(abs(value / unit - now) < _YEAR for unit in (1, 1e3, 1e6, 1e9))
    return isinstance(value, str) and bool(_CLOCK.search(value) or _UNIQUE.search(value))


def _name(key: Key) -> str:
    first = key[0] if key else "the value"
    if isinstance(first, str):
        return f"column {first}" if first not in ("text", "{}", "[]") else "the text"
    if isinstance(first, tuple):
        return f"word {first[1] + 1} of the text"
    return f"position {first}"

"""Whether two runs returned the same rows, as far as the service promises this.

The order of rows is not promised, so they are multisets. Floats are equal within a tolerance, since libraries add in
another order for another size. Names of workers and their folders are not results.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, cast

from pytest_parallelrun.contract.rows.values import is_plain_array

RELATIVE = 1e-4
"""Relative tolerance of a float; float32 models differ by 1e-5 between sizes of a mini-batch."""
ABSOLUTE = 1e-6
"""The same, relative to the largest float in its column: what remains when large ones cancel out."""

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

NO_SUCH_ROW = "no such row"

MANY = 8
"""Length from which on a sequence is a vector, whose elements have one scale."""
MAX_ALIGNED = 100
"""Rows that are aligned by common values; more would take too long."""

Key = tuple[Hashable, ...]
"""A spot in a row: a column, a position, a word of a string."""


class Tolerance(NamedTuple):
    """The allowed difference of numbers, as of pytest.approx: `rel` or `abs`, whichever is larger."""

    rel: float = 0.0
    abs: float = 0.0


Scales = Mapping[Key, float | Tolerance]
"""By column: its largest float, which the usual tolerance is relative to, or a tolerance of its own."""


class RowChange(NamedTuple):
    """A row of each side that should be equal, or NO_SUCH_ROW itself; the values that differ, by name."""

    expected: object
    actual: object
    values: Mapping[str, tuple[object, object]]


@dataclass(frozen=True)
class NondeterministicValues:
    """The difference between two runs that should be equal. `all_rows`: their number already differs.

    harmless: only times of day and generated ids differ. swapped: the values are the same, in other rows.
    """

    keys: frozenset[Key]
    all_rows: bool = False
    harmless: bool = False
    swapped: bool = False

    def __str__(self) -> str:
        if self.all_rows:
            return "the number of rows"
        names = sorted({_name(key) for key in self.keys})
        return ", ".join(names[:5])


def nondeterministic_values(first: Sequence[object], second: Sequence[object]) -> NondeterministicValues | None:
    """The difference between the rows of two runs that should be equal; None if there is none."""
    if len(first) != len(second):
        return NondeterministicValues(frozenset(), all_rows=True)
    scales = scales_of([*first, *second])
    lefts, rights = _unmatched(first, second, (), scales)
    keys: set[Key] = set()
    harmless = True
    before: Counter[object] = Counter()
    after: Counter[object] = Counter()
    for left, right in _aligned([leaves_of(row) for row in lefts], [leaves_of(row) for row in rights], scales):
        for key in _differing(left, right, scales):
            keys.add(key)
            both = key in left and key in right
            harmless = harmless and both and _tells_nothing(left[key]) and _tells_nothing(right[key])
            before[key, left.get(key)] += 1
            after[key, right.get(key)] += 1
    return NondeterministicValues(frozenset(keys), harmless=harmless, swapped=before == after) if keys else None


def difference(
    expected: Sequence[object], actual: Sequence[object], *, ignoring: Collection[Key] = ()
) -> tuple[str, str] | None:
    """A row that only one side has, for each side, as text; None if the multisets are equal.

    ignoring: values that differ between any two runs.
    """
    if _identical(expected, actual):
        return None
    missing, extra = _unmatched(expected, actual, ignoring, scales_of([*expected, *actual]))
    if not missing and not extra:
        return None
    return _shown(missing), _shown(extra)


def changed_rows(
    expected: Sequence[object], actual: Sequence[object], ignoring: Collection[str], scales: Scales
) -> list[RowChange]:
    """The rows that only one side has, each with the most similar one of the other side.

    ignoring: values that are not compared, by `name_of`. scales: of all rows, which may be more than these.
    """
    ignored = {key for row in (*expected, *actual) for key in leaves_of(row) if name_of(key) in ignoring}
    lefts, rights = _unmatched(expected, actual, ignored, scales)
    rest = [(row, leaves_of(row)) for row in rights]
    changes: list[RowChange] = []
    for row, left in [(row, leaves_of(row)) for row in lefts]:
        if not rest:
            changes.append(RowChange(row, NO_SUCH_ROW, {}))
            continue
        nearest = range(len(rest) if len(lefts) <= MAX_ALIGNED else 1)
        other, right = rest.pop(min(nearest, key=lambda i: len(_differing(left, rest[i][1], scales) - ignored)))
        keys = sorted(_differing(left, right, scales) - ignored, key=repr)
        changes.append(RowChange(row, other, {name_of(key): (left.get(key), right.get(key)) for key in keys}))
    return changes + [RowChange(NO_SUCH_ROW, row, {}) for row, _ in rest]


def _identical(expected: Sequence[object], actual: Sequence[object]) -> bool:
    """Whether all rows are identical, a fast test; False if unknown."""
    try:
        # True equals 1, but is another result.
        return bool(list(expected) == list(actual)) and repr([*expected]) == repr([*actual])
    except Exception:
        # Comparing arrays gives arrays, and objects of the script may do anything.
        return _same([*expected], [*actual])


def _same(left: object, right: object) -> bool:
    """Whether two values are identical: plain values, and arrays of them; False if unknown."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        others = cast("Sequence[object]", right)
        return len(left) == len(others) and all(map(_same, left, others))
    if isinstance(left, dict):
        mapping = cast("dict[object, object]", right)
        return left.keys() == mapping.keys() and all(_same(value, mapping[key]) for key, value in left.items())
    if is_plain_array(left):
        return bool(left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes())  # type: ignore[attr-defined]
    return isinstance(left, (str, int, float, bytes, type(None))) and (left == right or left is right)


def _unmatched(
    expected: Sequence[object], actual: Sequence[object], ignoring: Collection[Key], scales: Scales
) -> tuple[list[object], list[object]]:
    """The rows of each side that the other lacks."""
    pools: dict[Hashable, list[tuple[list[float], object]]] = defaultdict(list)
    for row in actual:
        shape, floats, _ = _shape(row, ignoring)
        pools[shape].append((floats, row))
    missing: list[object] = []
    for row in expected:
        shape, floats, columns = _shape(row, ignoring)
        tolerances = [scales.get(column, 0.0) for column in columns]
        pool = pools[shape]
        match = next((i for i, (others, _) in enumerate(pool) if _close(floats, others, tolerances)), None)
        if match is None:
            missing.append(row)
        else:
            pool.pop(match)
    return missing, [row for pool in pools.values() for _, row in pool]


def _aligned(
    lefts: list[dict[Key, object]], rights: list[dict[Key, object]], scales: Scales
) -> Iterator[tuple[dict[Key, object], dict[Key, object]]]:
    """Pairs with the most in common: threads may return rows in any order."""
    if len(lefts) > MAX_ALIGNED:
        yield from zip(lefts, rights, strict=False)
        return
    for left in lefts:
        position = min(range(len(rights)), key=lambda i: len(_differing(left, rights[i], scales)))
        yield left, rights.pop(position)


def _differing(left: dict[Key, object], right: dict[Key, object], scales: Scales) -> set[Key]:
    keys = left.keys() ^ right.keys()
    for key in left.keys() & right.keys():
        if not _equal(left[key], right[key], scales.get(_column(key), 0.0)):
            keys.add(key)
    return keys


def row_text(row: object, most: int = 200) -> str:
    """A row as shown in findings."""
    text = repr(row)
    return text if len(text) <= most else f"{text[:most]}..."


def _shown(rows: Sequence[object]) -> str:
    if not rows:
        return NO_SUCH_ROW
    return row_text(rows[0]) + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")


def leaves_of(row: object) -> dict[Key, object]:
    """The values that are compared, by their spot."""
    return dict(_walk(row, ()))


def _walk(value: object, key: Key) -> Iterator[tuple[Key, Hashable]]:
    if isinstance(value, dict):
        for name in sorted(value, key=repr):
            if isinstance(value[name], (int, float)) and _TIMING.search(str(name)):
                continue
            for location, leaf in _walk(value[name], (*key, repr(name))):
                # returns_same_columns reports whether a column without values exists.
                if not _is_null(leaf):
                    yield location, leaf
        yield (*key, "{}"), True
    elif isinstance(value, (list, tuple)):
        for position, element in enumerate(value):
            yield from _walk(element, (*key, position if len(value) <= MANY else ("of many", position)))
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
        yield from _walk(value.tolist(), key)  # type: ignore[attr-defined]
    elif type(value).__name__ in ("NAType", "NaTType"):
        yield key, None
    elif isinstance(value, (bool, int, float, bytes, type(None), datetime.date, datetime.time)):
        yield key, value
    elif hasattr(value, "to_dict"):
        yield from _walk(value.to_dict(), key)
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
            if not _TIMING.search(name) and not of_timing:
                yield location, float(value.strip("'\""))
        else:
            yield location, word
        # '"elapsed": 0.1' has its name in the word before.
        of_timing = word[-1] in ":=" and bool(_TIMING.search(word))
    yield (*key, "text"), _TOKEN.sub("", plain)


def _shape(row: object, ignoring: Collection[Key]) -> tuple[Hashable, list[float], list[Key]]:
    """The parts that must be identical, and the floats in the same order, each with its column."""
    exact: list[Hashable] = []
    floats: list[float] = []
    columns: list[Key] = []
    for key, value in _walk(row, ()):
        if key in ignoring:
            continue
        number = _as_float(value)
        if number is None:
            exact.append((key, value))
        else:
            exact.append((key, "float"))
            floats.append(number)
            columns.append(_column(key))
    return tuple(exact), floats, columns


def _as_float(value: object) -> float | None:
    """A number as a float, a null as NaN; None for anything that must be identical."""
    if value is None:
        return math.nan
    if isinstance(value, float):
        return value
    # An integer and a float of the same value are the same result.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return None


def scales_of(rows: Sequence[object], tolerances: Mapping[str, Tolerance] = MappingProxyType({})) -> Scales:
    """The largest float of each column, or the tolerance that was set for it, by `name_of`."""
    largest: dict[Key, float] = {}
    own: dict[Key, Tolerance] = {}
    for row in rows:
        for key, value in _walk(row, ()):
            column = _column(key)
            if name_of(key) in tolerances:
                own[column] = tolerances[name_of(key)]
            elif isinstance(value, float) and math.isfinite(value):
                largest[column] = max(largest.get(column, 0.0), abs(value))
    return {**largest, **own}


def _column(key: Key) -> Key:
    return tuple(part[0] if isinstance(part, tuple) and part[0] == "of many" else part for part in key)


def _equal(left: object, right: object, scale: float | Tolerance) -> bool:
    one, other = _as_float(left), _as_float(right)
    if one is not None and other is not None:
        return _near(one, other, scale)
    return bool(left == right)


def _close(left: Sequence[float], right: Sequence[float], scales: Sequence[float | Tolerance]) -> bool:
    return all(_near(a, b, scale) for a, b, scale in zip(left, right, scales, strict=True))


def _near(a: float, b: float, scale: float | Tolerance) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    if isinstance(scale, Tolerance):
        return math.isclose(a, b, rel_tol=scale.rel, abs_tol=scale.abs)
    if a.is_integer() and b.is_integer():
        return False
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE * scale)


def _tells_nothing(value: object) -> bool:
    """Whether it is a time of day or a generated id."""
    if isinstance(value, (datetime.date, datetime.time)):
        return True
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        now = datetime.datetime.now(datetime.timezone.utc).timestamp()
        return any(abs(value / unit - now) < _YEAR for unit in (1, 1e3, 1e6, 1e9))
    return isinstance(value, str) and bool(_CLOCK.search(value) or _UNIQUE.search(value))


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
    named: list[set[str]] = [{name_of(key) for key, value in _walk(row, ()) if _is_now(value)} for row in rows]
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


def _name(key: Key) -> str:
    if not key:
        return "the value"
    first = key[0]
    if isinstance(first, str):
        return f"column {first}" if first not in ("text", "{}", "[]") else "the text"
    if isinstance(first, tuple):
        return f"position {first[1]}" if first[0] == "of many" else f"word {first[1] + 1} of the text"
    return f"position {first}"

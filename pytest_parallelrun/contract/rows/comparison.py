"""Whether two runs returned the same rows, as far as the service promises this.

The order of rows is not promised, so they are multisets. Floats are equal within a tolerance, since libraries add in
another order for another size. Names of workers and their folders are not results.
"""

from __future__ import annotations

import datetime
import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import cast

from pytest_parallelrun.contract.bounds import MAX_ALIGNED
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

NO_SUCH_ROW = "no such row"

MANY = 8
"""Length from which on a sequence is a vector, whose elements have one scale."""
MIN_SPECIAL = 3
MIN_DIGITS = 4
"""Values that cannot coincide: so many different ones, with more digits than that."""

Key = tuple[Hashable, ...]
"""A spot in a row: a column, a position, a word of a string."""


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
    lefts, rights = _unmatched(first, second, ())
    keys: set[Key] = set()
    harmless = True
    before: Counter[object] = Counter()
    after: Counter[object] = Counter()
    scales = _scales([*first, *second])
    for left, right in _aligned([_leaves(row) for row in lefts], [_leaves(row) for row in rights], scales):
        for key in _differing(left, right, scales):
            keys.add(key)
            both = key in left and key in right
            harmless = harmless and both and _tells_nothing(left[key]) and _tells_nothing(right[key])
            before[key, left.get(key)] += 1
            after[key, right.get(key)] += 1
    return NondeterministicValues(frozenset(keys), harmless=harmless, swapped=before == after) if keys else None


@dataclass(frozen=True, kw_only=True)
class Reassigned:
    """The values of rows at other names. name: got the value `got` instead of `own`; it is that of `owner`.

    telling: whether the values are so special that they cannot coincide. named: whether the names are more than numbers
    that count the rows. arrangement: all of the rows, to compare with others.
    """

    name: str
    own: str
    got: str
    owner: str
    telling: bool
    named: bool
    arrangement: Hashable


def unsteady(own: Sequence[object], actual: Sequence[object]) -> frozenset[Key]:
    """The spots whose values, taken together, are not the same on both sides."""
    scales = _scales([*own, *actual])
    before, after = [_leaves(row) for row in own], [_leaves(row) for row in actual]
    keys = {key for leaves in (*before, *after) for key in leaves}
    return frozenset(key for key in keys if not _same_values(key, before, after, scales.get(_column(key), 0.0)))


def reassigned(
    own: Sequence[object], actual: Sequence[object], ignoring: Collection[Key], items: Collection[str]
) -> Reassigned | None:
    """How the values of rows are the same but belong to other names, such as those of the items; None if they do not.

    Rows in another order are the same rows.
    """
    ignoring = unsteady(own, actual).union(ignoring)
    if len(own) != len(actual) or difference(own, actual, ignoring=ignoring) is None:
        return None
    sides = [
        [{key: leaf for key, leaf in _leaves(row).items() if key not in ignoring} for row in rows]
        for rows in (own, actual)
    ]
    before, after = sides
    keys = list(dict.fromkeys(key for leaves in before for key in leaves))

    def telling(key: Key) -> tuple[bool, bool, int]:
        values = {leaves.get(key) for leaves in before}
        named = any(isinstance(value, str) and any(item in value for item in items) for value in values)
        return named, not any(isinstance(value, float) for value in values), len(values)

    name = max(keys, key=telling)
    names = [leaves.get(name) for leaves in before]
    numbers = sorted(leaf for leaf in names if isinstance(leaf, int))
    for key in keys:
        values: dict[object, list[object]] = defaultdict(list)
        for leaves in before:
            values[leaves.get(name)].append(leaves.get(key))
        scale = _scales(own).get(_column(key), 0.0)
        for leaves in after:
            one, got = leaves.get(name), leaves.get(key)
            if key == name or not values[one] or any(_equal(value, got, scale) for value in values[one]):
                continue
            owner = next(other for other in values if any(_equal(value, got, scale) for value in values[other]))
            special = {leaf for leaves in before if isinstance(leaf := leaves.get(key), float) and _is_special(leaf)}
            return Reassigned(
                name=str(one),
                own=row_text(values[one][0], 60),
                got=row_text(got, 60),
                owner=str(owner),
                telling=len(special) >= MIN_SPECIAL,
                named=len(numbers) < len(names) or numbers[-1] - numbers[0] >= len(numbers),
                arrangement=tuple(sorted(repr(sorted(leaves.items(), key=repr)) for leaves in after)),
            )
    return None


def _is_special(value: float) -> bool:
    """Whether a float has so many digits that no other one is the same by chance."""
    return not value.is_integer() and len(repr(value)) > MIN_DIGITS


def _same_values(
    key: Key, before: Sequence[dict[Key, object]], after: Sequence[dict[Key, object]], scale: float
) -> bool:
    """Whether the values of a spot are the same in all rows together."""
    exact: list[Counter[object]] = []
    floats: list[list[float]] = []
    for rows in (before, after):
        values = [leaves[key] for leaves in rows if key in leaves]
        numbers = [number for value in values if (number := _as_float(value)) is not None]
        floats.append(sorted(number for number in numbers if not math.isnan(number)))
        exact.append(Counter(value for value in values if _as_float(value) is None))
    left, right = floats
    return exact[0] == exact[1] and len(left) == len(right) and _close(left, right, [scale] * len(left))


def difference(
    expected: Sequence[object], actual: Sequence[object], *, ignoring: Collection[Key] = ()
) -> tuple[str, str] | None:
    """A row that only one side has, for each side, as text; None if the multisets are equal.

    ignoring: values that differ between any two runs.
    """
    if _identical(expected, actual):
        return None
    missing, extra = _unmatched(expected, actual, ignoring)
    if not missing and not extra:
        return None
    return _shown(missing), _shown(extra)


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
    expected: Sequence[object], actual: Sequence[object], ignoring: Collection[Key]
) -> tuple[list[object], list[object]]:
    """The rows of each side that the other lacks."""
    scales = _scales([*expected, *actual])
    pools: dict[Hashable, _Pool] = {}
    for row in actual:
        shape, floats, columns = _shape(row, ignoring)
        if shape not in pools:
            pools[shape] = _Pool([scales.get(column, 0.0) for column in columns])
        pools[shape].rows.append((floats, row))
    missing = []
    for row in expected:
        shape, floats, _ = _shape(row, ignoring)
        if shape not in pools or not pools[shape].take(floats):
            missing.append(row)
    return missing, [row for pool in pools.values() for _, row in pool.rows]


class _Pool:
    """Rows that differ in floats alone, sorted by the floats that differ most: nobody looks at all of them for each."""

    def __init__(self, scales: list[float]) -> None:
        self._scales = scales
        self.rows: list[tuple[list[float], object]] = []
        self._keys: list[float] = []

    def take(self, floats: list[float]) -> bool:
        """Removes a row with these floats; False if there is none."""
        if not self.rows:
            return False
        if not floats:
            self.rows.pop()
            return True
        if not self._keys:
            distinct = [len({row[0][position] for row in self.rows}) for position in range(len(floats))]
            self._position = distinct.index(max(distinct))
            self.rows.sort(key=lambda row: _sortable(row[0][self._position]))
            self._keys = [_sortable(row[0][self._position]) for row in self.rows]
        key = _sortable(floats[self._position])
        margin = _margin(key, self._scales[self._position])
        window = range(bisect_left(self._keys, key - margin), bisect_right(self._keys, key + margin))
        # The nearest first: another row may have no other partner.
        start = bisect_left(self._keys, key)
        upwards, downwards = range(start, window.stop), range(start - 1, window.start - 1, -1)
        for index in (index for pair in zip_longest(upwards, downwards) for index in pair if index is not None):
            if _close(floats, self.rows[index][0], self._scales):
                del self.rows[index], self._keys[index]
                return True
        return False


def _sortable(number: float) -> float:
    """NaN has no place in an order."""
    return -math.inf if math.isnan(number) else number


def _aligned(
    lefts: list[dict[Key, object]], rights: list[dict[Key, object]], scales: Mapping[Key, float]
) -> Iterator[tuple[dict[Key, object], dict[Key, object]]]:
    """Pairs with the most in common: threads may return rows in any order."""
    if len(lefts) > MAX_ALIGNED:
        yield from zip(lefts, rights, strict=False)
        return
    for left in lefts:
        position = min(range(len(rights)), key=lambda i: len(_differing(left, rights[i], scales)))
        yield left, rights.pop(position)


def _differing(left: dict[Key, object], right: dict[Key, object], scales: Mapping[Key, float]) -> set[Key]:
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


def _leaves(row: object) -> dict[Key, object]:
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


def _words(text: str, key: Key) -> Iterator[tuple[Key, Hashable]]:
    plain = _WORKER.sub("~", text)
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


def _scales(rows: Sequence[object]) -> dict[Key, float]:
    """The largest float of each column."""
    largest: dict[Key, float] = {}
    for row in rows:
        for key, value in _walk(row, ()):
            if isinstance(value, float) and math.isfinite(value):
                column = _column(key)
                largest[column] = max(largest.get(column, 0.0), abs(value))
    return largest


def _column(key: Key) -> Key:
    return tuple(part[0] if isinstance(part, tuple) and part[0] == "of many" else part for part in key)


def _equal(left: object, right: object, scale: float) -> bool:
    one, other = _as_float(left), _as_float(right)
    if one is not None and other is not None:
        return _near(one, other, scale)
    return bool(left == right)


def _close(left: Sequence[float], right: Sequence[float], scales: Sequence[float]) -> bool:
    return all(_near(a, b, scale) for a, b, scale in zip(left, right, scales, strict=True))


def _near(a: float, b: float, scale: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    if a.is_integer() and b.is_integer():
        return False
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE * scale)


def _margin(number: float, scale: float) -> float:
    """More than a number may differ from it to be near."""
    return 2 * (RELATIVE * abs(number) + ABSOLUTE * scale) if math.isfinite(number) else 0.0


def _tells_nothing(value: object) -> bool:
    """Whether it is a time of day or a generated id."""
    if isinstance(value, (datetime.date, datetime.time)):
        return True
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        now = datetime.datetime.now(datetime.timezone.utc).timestamp()
        return any(abs(value / unit - now) < _YEAR for unit in (1, 1e3, 1e6, 1e9))
    return isinstance(value, str) and bool(_CLOCK.search(value) or _UNIQUE.search(value))


def _name(key: Key) -> str:
    if not key:
        return "the value"
    first = key[0]
    if isinstance(first, str):
        return f"column {first}" if first not in ("text", "{}", "[]") else "the text"
    if isinstance(first, tuple):
        return f"position {first[1]}" if first[0] == "of many" else f"word {first[1] + 1} of the text"
    return f"position {first}"

"""Whether two runs returned the same rows, as far as the service promises this.

The order of rows is not promised, so they are multisets. Floats are equal within a tolerance, since libraries add in
another order for another size. Names of workers and their folders are not results.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from types import MappingProxyType
from typing import NamedTuple, cast

from pytest_parallelrun.contract.bounds import MAX_ALIGNED
from pytest_parallelrun.contract.rows.values import (
    Key,
    column_of,
    is_plain_array,
    leaves_of,
    name_of,
    spot_text,
    tells_nothing,
    walk,
)

RELATIVE = 1e-4
"""Relative tolerance of a float; float32 models differ by 1e-5 between sizes of a mini-batch."""
ABSOLUTE = 1e-6
"""The same, relative to the largest float in its column: what remains when large ones cancel out."""
NO_SUCH_ROW = "no such row"

MIN_SPECIAL = 3
MIN_DIGITS = 4
"""Values that cannot coincide: so many different ones, with more digits than that."""


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
        names = sorted({spot_text(key) for key in self.keys})
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
            harmless = harmless and both and tells_nothing(left[key]) and tells_nothing(right[key])
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
    scales = scales_of([*own, *actual])
    before, after = [leaves_of(row) for row in own], [leaves_of(row) for row in actual]
    keys = {key for leaves in (*before, *after) for key in leaves}
    return frozenset(key for key in keys if not _same_values(key, before, after, scales.get(column_of(key), 0.0)))


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
        [{key: leaf for key, leaf in leaves_of(row).items() if key not in ignoring} for row in rows]
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
        scale = scales_of(own).get(column_of(key), 0.0)
        for leaves in after:
            one, got = leaves.get(name), leaves.get(key)
            if key == name or not values[one] or any(_equal(value, got, scale) for value in values[one]):
                continue
            owner = next(other for other in values if any(_equal(value, got, scale) for value in values[other]))
            floats = {leaf for leaves in before if isinstance(leaf := leaves.get(key), float)}
            special = [leaf for leaf in floats if not leaf.is_integer() and len(repr(leaf)) > MIN_DIGITS]
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


def _same_values(
    key: Key, before: Sequence[dict[Key, object]], after: Sequence[dict[Key, object]], scale: float | Tolerance
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

    def __init__(self, scales: list[float | Tolerance]) -> None:
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
        if not _equal(left[key], right[key], scales.get(column_of(key), 0.0)):
            keys.add(key)
    return keys


def row_text(row: object, most: int = 200) -> str:
    text = repr(row)
    return text if len(text) <= most else f"{text[:most]}..."


def _shown(rows: Sequence[object]) -> str:
    if not rows:
        return NO_SUCH_ROW
    return row_text(rows[0]) + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")


def _shape(row: object, ignoring: Collection[Key]) -> tuple[Hashable, list[float], list[Key]]:
    """The parts that must be identical, and the floats in the same order, each with its column."""
    exact: list[Hashable] = []
    floats: list[float] = []
    columns: list[Key] = []
    for key, value in walk(row, ()):
        if key in ignoring:
            continue
        number = _as_float(value)
        if number is None:
            exact.append((key, value))
        else:
            exact.append((key, "float"))
            floats.append(number)
            columns.append(column_of(key))
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
        for key, value in walk(row, ()):
            column = column_of(key)
            if name_of(key) in tolerances:
                own[column] = tolerances[name_of(key)]
            elif isinstance(value, float) and math.isfinite(value):
                largest[column] = max(largest.get(column, 0.0), abs(value))
    return {**largest, **own}


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


def _margin(number: float, scale: float | Tolerance) -> float:
    """More than a number may differ from it to be near."""
    relative, absolute = scale if isinstance(scale, Tolerance) else (RELATIVE, ABSOLUTE * scale)
    return 2 * (relative * abs(number) + absolute) if math.isfinite(number) else 0.0

"""Rows of two runs are compared as far as the service promises that they are the same."""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pytest_parallelrun.contract.rows.comparison import (
    NO_SUCH_ROW,
    Tolerance,
    changed_rows,
    difference,
    nondeterministic_values,
    row_text,
    scales_of,
)
from pytest_parallelrun.contract.rows.values import leaves_of, name_of, names_of_now


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (["a", "b"], ["b", "a"]),
        ([0.1 + 0.2], [0.3]),
        ([{"score": 1.00001}], [{"score": 1.00002}]),
        (["a.txt: 0.50001"], ["a.txt: 0.50002"]),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]),
        ([1], [1.0]),
        ([None], [math.nan]),
        ([pd.NA], [None]),
        ([pd.NaT], [None]),
        ([("a", 1)], [["a", 1]]),
        ([np.float64(0.5)], [0.5]),
        ([np.array([1.0, 2.0])], [[1.0, 2.0]]),
        ([pd.Series([1.0])], [pd.Series([1.0])]),
        ([{"a", "b"}], [{"b", "a"}]),
        (["process000 a"], ["process001 a"]),
        (["/tmp/parallelrun-abc1/process000/out.txt"], ["/tmp/parallelrun-xyz2/process003/out.txt"]),
        ([{"a": 1, "b": None}], [{"a": 1}]),
        ([{"a": math.nan}], [{"b": None}]),
        ([{"elapsed": 0.1}], [{"elapsed": 0.7}]),
        ([{"inference_time_ms": 3}], [{"inference_time_ms": 9}]),
        (["a took=0.1"], ["a took=0.2"]),
        (['{"elapsed": 0.1, "name": "a"}'], ['{"elapsed": 0.9, "name": "a"}']),
    ],
)
def test_these_are_the_same(expected: list[object], found: list[object]) -> None:
    assert difference(expected, found) is None
    assert difference(found, expected) is None


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (["a"], ["b"]),
        (["a", "a"], ["a"]),
        ([1], [2]),
        ([1.0], [2.0]),
        ([{"score": 0.5}], [{"score": 0.6}]),
        ([{"score": 0.5}], [{"other": 0.5}]),
        ([{"score": 0.5}], [{"score": None}]),
        ([{"score": "a"}], [{}]),
        (["a.txt: 0.5"], ["a.txt: 0.6"]),
        ([None], [0.0]),
        ([True], [False]),
        ([True], [1]),
        ([2**60], [2**60 + 1]),
        ([b"a"], [b"b"]),
        ([Decimal(1)], [Decimal(2)]),
        ([datetime.date(2024, 1, 1)], [datetime.date(2024, 1, 2)]),
        ([math.inf], [-math.inf]),
        (["a, b"], ["a; b"]),
        ([[1, 2]], [[1, 2, 3]]),
        # A large value in another column says nothing about how exact this one is.
        ([{"id": 1.7e9, "score": 0.1}], [{"id": 1.7e9, "score": 0.2}]),
    ],
)
def test_these_differ(expected: list[object], found: list[object]) -> None:
    assert difference(expected, found) is not None
    assert difference(found, expected) is not None


def test_what_is_left_of_large_values_that_cancel_out_is_within_the_tolerance() -> None:
    assert difference([{"x": 1e6}, {"x": 1e-9}], [{"x": 1e6}, {"x": 3e-9}]) is None


def test_elements_of_a_long_vector_have_one_scale() -> None:
    vector = [1.0, 1e-9, *[0.5] * 10]
    assert difference([vector], [[1.0, 3e-9, *[0.5] * 10]]) is None
    assert difference([vector], [[1.0, 0.1, *[0.5] * 10]]) is not None


def test_the_address_of_an_object_is_not_compared() -> None:
    class Result:
        pass

    assert difference([Result()], [Result()]) is None


def test_a_difference_shows_a_row_of_each_side() -> None:
    assert difference(["a", "b", "c"], ["a"]) == ("'b' and 1 more", "no such row")


def test_values_to_ignore_do_not_count() -> None:
    found = nondeterministic_values([{"a": 1, "b": "x1"}], [{"a": 1, "b": "x2"}])
    assert found is not None
    assert difference([{"a": 1, "b": "x3"}], [{"a": 1, "b": "x4"}], ignoring=found.keys) is None
    assert difference([{"a": 1, "b": "x3"}], [{"a": 2, "b": "x4"}], ignoring=found.keys) is not None


def test_rows_in_another_order_do_not_change() -> None:
    assert nondeterministic_values(["a 1", "b 2"], ["b 2", "a 1"]) is None


def test_rows_in_another_order_are_aligned_by_what_they_have_in_common() -> None:
    found = nondeterministic_values(
        [{"n": "a", "r": "1"}, {"n": "b", "r": "2"}], [{"n": "b", "r": "3"}, {"n": "a", "r": "4"}]
    )
    assert str(found) == "column 'r'"


def test_values_that_came_to_other_rows_are_told_from_new_ones() -> None:
    swapped = nondeterministic_values(
        [{"n": "a", "r": 1}, {"n": "b", "r": 2}], [{"n": "a", "r": 2}, {"n": "b", "r": 1}]
    )
    assert swapped is not None
    assert swapped.swapped
    made_anew = nondeterministic_values(
        [{"n": "a", "r": 1}, {"n": "b", "r": 2}], [{"n": "a", "r": 2}, {"n": "b", "r": 3}]
    )
    assert made_anew is not None
    assert not made_anew.swapped


def test_many_rows_are_compared_as_they_come() -> None:
    found = nondeterministic_values([f"{i} a{i}" for i in range(150)], [f"{i} b{i}" for i in range(150)])
    assert str(found) == "word 2 of the text"


def test_another_number_of_rows_is_said_so() -> None:
    found = nondeterministic_values(["a"], [])
    assert found is not None
    assert found.all_rows
    assert str(found) == "the number of rows"


@pytest.mark.parametrize(
    "make",
    [
        lambda: str(uuid.uuid4()),
        lambda: {"id": uuid.uuid4().hex},
        lambda: datetime.datetime.now() + datetime.timedelta(seconds=np.random.default_rng().uniform(1, 9)),
        lambda: f"a {datetime.datetime.now() + datetime.timedelta(seconds=np.random.default_rng().uniform(1, 9))}",
        lambda: {"at": datetime.datetime.now().timestamp() + float(np.random.default_rng().uniform(1, 9))},
    ],
    ids=["uuid", "hex", "datetime", "text", "epoch"],
)
def test_times_and_generated_ids_are_harmless(make: object) -> None:
    found = nondeterministic_values([make()], [make()])  # type: ignore[operator]
    assert found is None or found.harmless


def test_numbers_are_not_harmless() -> None:
    found = nondeterministic_values([{"score": 0.25}], [{"score": 0.75}])
    assert found is not None
    assert not found.harmless


def test_a_column_that_comes_and_goes_is_not_harmless() -> None:
    found = nondeterministic_values([{"a": 1}], [{"a": 1, "at": "2024-01-01"}])
    assert found is not None
    assert not found.harmless


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ([("a", 1)], [("a", 2)], "position 1"),
        ([1], [2], "the value"),
        (["a"], ["b"], "word 1 of the text"),
        ([[*range(9)]], [[*range(8), 0]], "position 8"),
        (["a b"], ["a  b"], "the text"),
    ],
)
def test_what_changes_is_named(first: list[object], second: list[object], name: str) -> None:
    assert str(nondeterministic_values(first, second)) == name


def test_a_long_row_is_cut() -> None:
    assert row_text("x" * 300) == "'" + "x" * 199 + "..."


def changes(
    expected: list[object], actual: list[object], *ignoring: str, **tolerances: Tolerance
) -> list[tuple[object, object, dict[str, tuple[object, object]]]]:
    found = changed_rows(expected, actual, ignoring, scales_of([*expected, *actual], tolerances))
    return [(change.expected, change.actual, dict(change.values)) for change in found]


def test_a_changed_row_is_shown_with_the_most_similar_one_and_the_values_that_differ() -> None:
    a, b, c = {"id": "a", "v": 1.5}, {"id": "b", "v": 2.5}, {"id": "c", "v": 3.5}
    assert changes([a, b, c], [c, a, b]) == []
    assert changes([a, b], [{**b, "v": 9.5}, a]) == [(b, {**b, "v": 9.5}, {"v": (2.5, 9.5)})]
    assert changes([a, b, c], [a, b]) == [(c, NO_SUCH_ROW, {})]
    assert changes([a], [a, b]) == [(NO_SUCH_ROW, b, {})]
    assert changes([None], []) == [(None, NO_SUCH_ROW, {})]


def test_values_are_ignored_and_tolerated_by_name() -> None:
    a, b = {"id": 1, "v": 1.0, "n": 5}, {"id": 2, "v": 1.05, "n": 6}
    assert set(changes([a], [b])[0][2]) == {"id", "v", "n"}
    assert changes([a], [b], "id", v=Tolerance(abs=0.1), n=Tolerance(rel=0.5)) == []
    assert set(changes([a], [b], "id", v=Tolerance(rel=0.01), n=Tolerance(abs=1))[0][2]) == {"v"}
    assert changes(["a 1.0"], ["a 1.05"], **{"word 2": Tolerance(abs=0.1)}) == []
    assert changes(["a 1.0 x"], ["a 9.0 x"], "word 2") == []
    assert changes([[1.0, 2.0]], [[1.0, 3.0]], "position 1") == []


def test_many_changed_rows_are_paired_by_position() -> None:
    rows: list[object] = [{"n": number} for number in range(200)]
    more: list[object] = [{"n": number + 1000} for number in range(200)]
    assert [pair[:2] for pair in changes(rows, more)] == list(zip(rows, more, strict=True))


def test_each_value_has_a_name() -> None:
    row = {"score": {"x": [1.0]}, "it's": "two words"}
    assert {name_of(key) for key in leaves_of(row)} == {"score", "it's", "row"}
    assert {name_of(key) for key in leaves_of("two words")} == {"word 1", "word 2", "text"}
    assert {name_of(key) for key in leaves_of([1.0])} == {"position 0", "row"}
    assert {name_of(key) for key in leaves_of(list(range(9)))} == {*(f"position {n}" for n in range(9)), "row"}
    assert {name_of(key) for key in leaves_of(0.5)} == {"row"}


NOW = {
    "ISO": lambda: datetime.datetime.now().isoformat(),
    "date": datetime.date.today,
    "pandas": pd.Timestamp.now,
    "seconds": lambda: datetime.datetime.now().timestamp(),
    "milliseconds": lambda: int(datetime.datetime.now().timestamp() * 1000),
    "time": lambda: f"at {datetime.datetime.now():%H:%M:%S}",
    "digits": lambda: f"{datetime.date.today():%Y%m%d}",
}
"""Made when they are needed: the tests of others take minutes."""


@pytest.mark.parametrize("now", NOW.values(), ids=NOW)
def test_the_time_of_the_run_is_found_if_every_row_has_it(now: Callable[[], object]) -> None:
    assert names_of_now([{"v": now()}, {"v": now()}]) == {"v"}
    assert names_of_now([{"v": now()}, {"v": 1}]) == set()


@pytest.mark.parametrize("value", ["2020-01-02T03:04:05", datetime.date(2020, 1, 2), 12345, "text", None], ids=repr)
def test_other_times_and_values_are_not_taken_for_it(value: object) -> None:
    assert names_of_now([{"v": value}, {"v": value}]) == set()


def test_names_of_workers_in_long_texts_take_no_time() -> None:
    assert difference(["x" * 200_000], ["x" * 200_000 + "y"]) is not None

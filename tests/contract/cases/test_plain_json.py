from __future__ import annotations

import datetime
import decimal
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.contract.cases.plain_json import from_plain, table_from_plain, table_to_plain, to_plain
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.emulator.errors import InputError


def through_json(value: object, lost: list[str] | None = None) -> object:
    return from_plain(json.loads(json.dumps(to_plain(value, [] if lost is None else lost))))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.none() | st.just(datetime.timezone.utc))
    | st.dates()
    | st.times()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(value=VALUES)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    lost: list[str] = []
    back = through_json(value, lost)
    assert back == value
    assert type(back) is type(value)
    assert lost == []


def test_a_float_that_is_no_number_comes_back() -> None:
    assert repr(through_json(math.nan)) == "nan"
    assert through_json([math.inf, -math.inf]) == [math.inf, -math.inf]


def test_values_of_numpy_become_those_of_python() -> None:
    assert through_json([np.int64(3), np.float32(0.5), np.bool_(True), np.str_("a")]) == [3, 0.5, True, "a"]
    assert through_json(np.array([[1, 2], [3, 4]])) == [[1, 2], [3, 4]]


def test_nulls_and_times_of_pandas_come_back() -> None:
    stamp = pd.Timestamp("2024-02-29 12:30:00.123456789")
    assert through_json([pd.NaT, pd.NA, stamp, pd.Timedelta("1s")]) == [pd.NaT, pd.NA, stamp, pd.Timedelta("1s")]


def test_a_series_is_kept_as_a_dict() -> None:
    assert through_json(pd.Series([1, 2], index=["a", "b"])) == {"a": 1, "b": 2}


def test_texts_and_floats_of_another_class_become_plain_ones() -> None:
    class Name(str):
        __slots__ = ()

    class Metres(float):
        pass

    back = through_json([Name("a"), Metres(1.5)])
    assert back == ["a", 1.5]
    assert isinstance(back, list)
    assert [type(value) for value in back] == [str, float]


def test_of_another_object_the_text_is_kept_and_said_to_be_all() -> None:
    lost: list[str] = []
    back = through_json([decimal.Decimal("1.10"), object()], lost)
    assert lost == ["Decimal", "object"]
    assert repr(back) == "[Decimal('1.10'), <object object>]"


def test_for_the_comparison_of_rows_a_text_is_as_good_as_its_object() -> None:
    row = {"price": decimal.Decimal("1.10")}
    assert difference([through_json(row)], [row]) is None
    assert difference([through_json(row)], [{"price": decimal.Decimal("1.20")}]) is not None


@pytest.mark.parametrize("plain", [{"pickle": "gASV"}, {}, {"float": 1}, {"tuple": "ab"}, {"a": 1, "b": 2}])
def test_what_is_no_value_is_refused(plain: object) -> None:
    with pytest.raises(InputError, match="is no value of a saved case"):
        from_plain(plain)


def table() -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "small": np.array([1, 2, 3], dtype="int8"),
            "large": np.array([2**64 - 1, 0, 1], dtype="uint64"),
            "float": [0.1, np.inf, np.nan],
            "float32": np.array([0.1, 0.2, 0.3], dtype="float32"),
            "bool": [True, False, True],
            "text": ["a b", None, "größer\n"],
            "mixed": pd.Series([None, 1, "x"], dtype=object),
            "time": [pd.Timestamp("2020-01-01"), pd.NaT, pd.Timestamp("2020-01-02")],
            "zone": pd.to_datetime(["2020-01-01", "2020-07-01", "2020-07-02"]).tz_localize("Europe/Berlin"),
            "nullable": pd.Series([1, None, 3], dtype="Int64"),
            3: [1.0, 2.0, 3.0],
        }
    )
    return frame


def table_through_json(frame: pd.DataFrame) -> pd.DataFrame:
    plain = json.loads(json.dumps(table_to_plain(frame, [])))
    back: pd.DataFrame = table_from_plain(plain)
    return back


def test_a_table_comes_back_with_its_values_and_dtypes() -> None:
    pd.testing.assert_frame_equal(table_through_json(table()), table())


def test_a_table_without_rows_keeps_its_dtypes() -> None:
    empty = table().iloc[:0]
    pd.testing.assert_frame_equal(table_through_json(empty), empty)


def test_a_table_without_columns_keeps_its_rows() -> None:
    assert table_through_json(pd.DataFrame(index=range(3))).shape == (3, 0)


def test_columns_of_the_same_name_stay_two() -> None:
    twice = pd.DataFrame([[1, "a"], [2, "b"]], columns=["x", "x"])
    pd.testing.assert_frame_equal(table_through_json(twice), twice)


def test_texts_of_a_later_pandas_are_objects_in_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = table_to_plain(pd.DataFrame({"a": ["x", None]}, dtype=object), [])
    plain["columns"][0]["dtype"] = "str"
    monkeypatch.setattr(pd, "__version__", "2.2.3")
    back = table_from_plain(plain)
    assert back["a"].dtype == object
    assert back["a"].tolist() == ["x", None]


def test_a_table_that_was_tampered_with_is_refused() -> None:
    plain = table_to_plain(pd.DataFrame({"a": [1]}), [])
    plain["columns"][0]["values"] = ["not a number"]
    with pytest.raises(InputError, match="the table of a saved case cannot be read"):
        table_from_plain(plain)

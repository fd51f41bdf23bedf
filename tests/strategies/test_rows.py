from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis.errors import InvalidArgument

from pytest_parallelrun.strategies import Cell, Files, Rows, Sample, recipes
from pytest_parallelrun.strategies.frames import CELL_KINDS, LONG_TEXT, NULLS, SEPARATORS, kinds_of
from tests.strategies.drawing import drawn_rows, smallest_rows


def built(recipe: Rows, sample: Sample) -> pd.DataFrame:
    frame = recipe.build(sample)
    assert isinstance(frame, pd.DataFrame)
    return frame


def test_sound_recipes_are_any_rows_in_any_order_each_once(rows: Sample) -> None:
    recipes_ = drawn_rows(recipes(rows), 150)
    assert all(not recipe.odd for recipe in recipes_)
    assert all(len(set(recipe.rows)) == recipe.size for recipe in recipes_)
    sizes = {recipe.size for recipe in recipes_}
    assert {1, 2, 3, rows.size} <= sizes <= set(range(1, rows.size + 1))
    assert {row for recipe in recipes_ for row in recipe.rows} == set(range(rows.size))
    assert any(list(recipe.rows) != sorted(recipe.rows) for recipe in recipes_)


def test_at_least_half_of_the_odd_recipes_have_something_odd_and_none_more_than_three_things(rows: Sample) -> None:
    recipes_ = drawn_rows(recipes(rows, odd=True), 200)
    assert sum(recipe.odd for recipe in recipes_) >= 100
    assert max(len(recipe.cells) + recipe.size - len(set(recipe.rows)) for recipe in recipes_) <= 3


def test_every_odd_thing_is_drawn(rows: Sample) -> None:
    recipes_ = drawn_rows(recipes(rows, odd=True), 400)
    cells = {(cell.kind, cell.row is None) for recipe in recipes_ for cell in recipe.cells}
    assert cells == {(kind, False) for kind in CELL_KINDS} | {(kind, True) for kind in NULLS}
    assert any(len(set(recipe.rows)) < recipe.size for recipe in recipes_)


def test_built_rows_are_those_of_the_sample_in_the_order_of_the_recipe(rows: Sample, frame: pd.DataFrame) -> None:
    table = built(Rows(rows=(3, 0, 3)), rows)
    assert table["integer"].tolist() == [4, 1, 4]
    pd.testing.assert_frame_equal(table, frame.iloc[[3, 0, 3]].reset_index(drop=True))
    assert isinstance(table.index, pd.RangeIndex)


@settings(max_examples=80, deadline=None, database=None)
@given(recipe=recipes(pd.DataFrame({"x": [1, 2], "y": ["a", None], "z": [True, None], "f": [0.5, 1]}), odd=True))
def test_the_column_types_are_those_of_the_sample_whatever_is_odd(recipe: Rows | Files) -> None:
    sample = Sample(pd.DataFrame({"x": [1, 2], "y": ["a", None], "z": [True, None], "f": [0.5, 1]}))
    assert isinstance(recipe, Rows)
    table = built(recipe, sample)
    assert table.dtypes.tolist() == sample.frame.dtypes.tolist()
    assert len(table) == recipe.size


def test_the_column_types_of_pandas_stay_as_well(rows: Sample) -> None:
    for recipe in drawn_rows(recipes(rows, odd=True), 80):
        assert built(recipe, rows).dtypes.tolist() == rows.frame.dtypes.tolist()


def test_what_is_built_can_be_changed_without_a_trace_in_the_sample(rows: Sample, frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    everything = Rows(rows=tuple(range(rows.size)))
    table = built(everything, rows)
    table["mixed"].iloc[0].append("more")
    table.loc[0, "integer"] = 99
    table["number"] = 0.0
    assert built(everything, rows)["mixed"].iloc[0] == [1]
    pd.testing.assert_frame_equal(built(everything, rows), before)
    pd.testing.assert_frame_equal(frame, before)


def is_null(value: object) -> bool:
    return bool(pd.isna(value))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("column", "kind", "holds"),
    [
        ("integer", "zero", lambda value: value == 0),
        ("integer", "minus_one", lambda value: value == -1),
        ("integer", "min", lambda value: value == -(2**63)),
        ("integer", "max", lambda value: value == 2**63 - 1),
        ("small", "max", lambda value: value == 127),
        ("unsigned", "max", lambda value: value == 65_535),
        ("number", "nan", math.isnan),
        ("number", "inf", lambda value: value == math.inf),
        ("number", "-inf", lambda value: value == -math.inf),
        ("number", "max", lambda value: value == np.finfo("float64").max),
        ("single", "min", lambda value: value == np.finfo("float32").min),
        ("text", "null", is_null),
        ("text", "empty", lambda value: value == ""),
        ("text", "separators", lambda value: value == SEPARATORS),
        ("text", "long", lambda value: value == LONG_TEXT),
        ("text", "unseen", lambda value: value == "unseen"),
        ("object", "null", is_null),
        ("object", "empty", lambda value: value == ""),
        ("mixed", "null", is_null),
        ("day", "nat", lambda value: value is pd.NaT),
        ("day", "min", lambda value: value == pd.Timestamp("1678-01-01")),
        ("moment", "nat", lambda value: value is pd.NaT),
        ("moment", "max", lambda value: value == pd.Timestamp("2262-01-01", tz="Europe/Berlin")),
        ("span", "nat", lambda value: value is pd.NaT),
        ("category", "null", is_null),
        ("category", "unseen", lambda value: value == "never"),
        ("nullable", "null", lambda value: value is pd.NA),
        ("nullable", "min", lambda value: value == -(2**31)),
        ("maybe", "null", lambda value: value is pd.NA),
        ("string", "null", lambda value: value is pd.NA),
        ("string", "long", lambda value: value == LONG_TEXT),
    ],
)
def test_an_odd_cell_is_what_it_says_and_the_others_are_not_touched(
    column: str, kind: str, holds: Callable[[object], bool], rows: Sample
) -> None:
    recipe = Rows(rows=(4, 2), cells=(Cell(1, column, kind),))  # type: ignore[arg-type]
    table = built(recipe, rows)
    assert holds(table[column].iloc[1])
    assert table[column].dtype == rows.frame[column].dtype
    plain = built(Rows(rows=(4, 2)), rows)
    pd.testing.assert_frame_equal(table.drop(columns=column), plain.drop(columns=column))
    assert str(table[column].iloc[0]) == str(plain[column].iloc[0])


def test_texts_of_odd_cells_are_what_scripts_stumble_over() -> None:
    assert len(LONG_TEXT) == 10_000
    assert set(',;\t\n"') <= set(SEPARATORS)


def test_an_unseen_text_is_none_that_the_sample_has() -> None:
    sample = Sample(pd.DataFrame({"x": ["unseen", "unseen_"]}))
    assert built(Rows(rows=(0,), cells=(Cell(0, "x", "unseen"),)), sample)["x"][0] == "unseen__"


@pytest.mark.parametrize(
    ("column", "kind"), [("number", "nan"), ("text", "null"), ("day", "nat"), ("nullable", "null")]
)
def test_a_cell_without_a_row_is_a_whole_column_of_nulls(column: str, kind: str, rows: Sample) -> None:
    table = built(Rows(rows=(1, 2, 3), cells=(Cell(None, column, kind),)), rows)  # type: ignore[arg-type]
    assert table[column].isna().all()
    assert table[column].dtype == rows.frame[column].dtype
    assert not table["integer"].isna().any()


def test_a_column_has_no_odd_value_that_its_type_cannot_hold(frame: pd.DataFrame) -> None:
    assert kinds_of(frame["flag"]) == ()
    assert not {"null", "nan"} & set(kinds_of(frame["integer"]))
    assert "minus_one" not in kinds_of(frame["unsigned"])
    assert kinds_of(frame["mixed"]) == ("null",)
    assert kinds_of(pd.Series([1j])) == ("nan",)
    assert kinds_of(pd.Series(pd.Categorical(["a"]))) == ("null",)
    assert kinds_of(pd.Series(pd.interval_range(0, 2))) == ()


def test_a_column_of_arrow_has_nulls() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    assert kinds_of(pd.Series([1], dtype=pd.ArrowDtype(pyarrow.int64()))) == ("null",)


def test_a_table_without_a_place_for_odd_values_has_duplicates() -> None:
    recipes_ = drawn_rows(recipes(pd.DataFrame({"x": [True, False]}), odd=True), 200)
    assert {recipe.cells for recipe in recipes_} == {()}
    assert any(recipe.odd for recipe in recipes_)


def test_labels_may_be_anything_and_come_twice() -> None:
    table: pd.DataFrame = pd.DataFrame([[1, 2.0, 3]], columns=[0, ("a", 1), 0])
    sample = Sample(table)
    for recipe in drawn_rows(recipes(sample, odd=True), 100):
        assert eval(repr(recipe), {"Rows": Rows, "Cell": Cell}) == recipe
        assert built(recipe, sample).columns.tolist() == [0, ("a", 1), 0]


def test_a_cell_is_drawn_once(rows: Sample) -> None:
    for recipe in drawn_rows(recipes(Sample(pd.DataFrame({"x": [1.0, 2.0]})), odd=True), 100):
        places = [cell.row for cell in recipe.cells]
        assert len(set(places)) == len(places)
        assert len(places) == 1 or None not in places or not places


@pytest.mark.parametrize("odd", [False, True])
def test_sizes_stay_within_their_bounds(odd: bool, rows: Sample) -> None:
    sizes = {recipe.size for recipe in drawn_rows(recipes(rows, odd=odd, min_size=2, max_size=4), 200)}
    assert sizes == {2, 3, 4}
    assert {recipe.size for recipe in drawn_rows(recipes(rows, min_size=12), 50)} == {12}
    assert {recipe.size for recipe in drawn_rows(recipes(rows, odd=odd, max_size=1), 50)} == {1}


def test_a_size_beyond_the_sample_means_all_of_it(rows: Sample) -> None:
    assert max(recipe.size for recipe in drawn_rows(recipes(rows, max_size=100), 100)) == rows.size


def test_of_a_large_sample_every_row_can_be_drawn_alone() -> None:
    sample = Sample(pd.DataFrame({"x": range(1_000)}))
    recipe = smallest_rows(recipes(sample, odd=True), lambda recipe: 777 in recipe.rows)
    assert recipe == Rows(rows=(777,))


def test_recipes_shrink_to_the_first_row_with_nothing_odd(rows: Sample) -> None:
    assert smallest_rows(recipes(rows, odd=True), lambda recipe: True) == Rows(rows=(0,))
    odd = smallest_rows(recipes(rows, odd=True), lambda recipe: any(cell.kind == "inf" for cell in recipe.cells))
    assert odd == Rows(rows=(0,), cells=(Cell(0, "number", "inf"),))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (lambda: Rows(rows=()), r"Rows\(rows=\(\)\): rows must be one or more numbers from 0 to 11"),
        (lambda: Rows(rows=(12,)), r"numbers from 0 to 11"),
        (lambda: Rows(rows=(-1,)), r"numbers from 0 to 11"),
        (lambda: Rows(rows=(0,), cells=(Cell(1, "text", "null"),)), r"the mini-batch has 1 row"),
        (lambda: Rows(rows=(0,), cells=(Cell(0, "txet", "null"),)), r"no such column. Did you mean 'text'\?"),
        (
            lambda: Rows(rows=(0,), cells=(Cell(0, "flag", "null"),)),
            r"'flag' \(bool\) cannot be 'null'.*nothing malformed",
        ),
        (lambda: Rows(rows=(0,), cells=(Cell(0, "integer", "nan"),)), r"cannot be 'nan'. Allowed: zero, minus_one"),
        (lambda: Cell(0, "x", "nil"), r"Cell\(0, 'x', 'nil'\): there is no such kind"),  # type: ignore[arg-type]
        (lambda: Cell(-1, "x", "nan"), r"row of Cell\(-1, 'x', 'nan'\)=-1: must be a whole number of 0 or more"),
        (lambda: Cell(None, "x", "max"), r"a whole column can be made of null, nan, nat only"),
    ],
)
def test_a_recipe_that_cannot_be_built_is_refused_with_what_is_allowed(
    recipe: Callable[[], Rows | Cell], message: str, rows: Sample
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        rows.mini_batch(recipe())  # type: ignore[arg-type]

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.splitting import delimited
from pytest_parallelrun.emulator.splitting.column_types import (
    ColumnType,
    SettingType,
    kind_of,
    merged_type,
    type_of_whole_column,
)
from pytest_parallelrun.emulator.splitting.delimited import CsvSplitter

UNSIGNED = str(2**64 - 1)
HUGE = "9" * 23

FIELDS = {
    "integers": st.integers(0, 9).map(str),
    "negatives": st.integers(-9, -1).map(str),
    "unsigned": st.sampled_from([UNSIGNED, str(2**63)]),
    "huge": st.sampled_from([HUGE, "-" + HUGE, "-" + UNSIGNED]),
    "floats": st.sampled_from(["1.5", "1e3", "-0.0", "inf", " 2.5"]),
    "nulls": st.sampled_from(["", "NA", "null"]),
    "bools": st.sampled_from(["True", "false", "TRUE"]),
    "text": st.sampled_from(["a", "1_000", "0x1", "2024-01-02"]),
}


def columns() -> st.SearchStrategy[list[str]]:
    """Fields of one column, of one to three kinds."""
    kinds = st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3)
    return kinds.flatmap(lambda chosen: st.lists(st.one_of([FIELDS[kind] for kind in chosen]), min_size=1, max_size=8))


@settings(deadline=None)
@given(column=columns(), chunk=st.integers(1, 30))
@example(column=[UNSIGNED, "-1"], chunk=1)
@example(column=[UNSIGNED, "0"], chunk=1)
@example(column=[UNSIGNED, "", "1.5"], chunk=1)
@example(column=[HUGE, "1.5"], chunk=1)
@example(column=["1.5", HUGE], chunk=1)
@example(column=[HUGE, "", "1"], chunk=1)
@example(column=["-" + HUGE, "2"], chunk=1)
@example(column=["1", HUGE], chunk=30)
@example(column=[HUGE, "True"], chunk=1)
@example(column=["1" + "0" * 400, "1"], chunk=1)
@example(column=["True", ""], chunk=1)
@example(column=["", ""], chunk=1)
@example(column=["", UNSIGNED], chunk=1)
@example(column=["1.5", "", UNSIGNED], chunk=4)
@example(column=["1.5", "NA", UNSIGNED], chunk=6)
def test_types_and_values_are_those_of_pandas_for_the_whole_column(column: list[str], chunk: int) -> None:
    text = "x,y\n" + "".join(f"{field},0\n" for field in column)
    whole = pd.read_csv(io.StringIO(text), low_memory=False)
    # Where pandas gives up on unsigned integers among nulls, it makes text of the nulls too; ours stay null.
    lost = whole["x"].isin(["", "NA", "null"])
    if lost.any():
        whole["x"] = whole["x"].mask(lost)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "INFERENCE_BYTES", chunk)
        path = Path(folder) / "data.csv"
        path.write_text(text)
        split = CsvSplitter([(str(path), "data.csv")], 1, encoding="utf-8", delimiter=",", label="'data.csv'")
        loaded = [split.load(one) for one in list(split.mini_batches())]
    assert all(frame.dtypes.equals(whole.dtypes) for frame in loaded)
    together = pd.concat(loaded, ignore_index=True)
    pd.testing.assert_frame_equal(together, whole)
    cells = zip(together["x"].dropna(), whole["x"].dropna(), strict=True)
    assert all(type(ours) is type(theirs) for ours, theirs in cells)


@pytest.mark.parametrize(
    ("fields", "dtype"),
    [
        (["1", "2"], "int64"),
        (["1", "-2"], "int64"),
        (["1", "2.5"], "float64"),
        (["1", ""], "float64"),
        (["1.5", ""], "float64"),
        (["", ""], "float64"),
        (["True", "False"], "bool"),
        (["True", ""], "object"),
        ([UNSIGNED, "1"], "uint64"),
        ([UNSIGNED, "1.5"], "float64"),
    ],
)
def test_one_type_holds_for_mini_batches_of_one_row_each(tmp_path: Path, fields: list[str], dtype: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,y\n" + "".join(f"{field},0\n" for field in fields))
    split = CsvSplitter([(str(path), "data.csv")], 1, encoding="utf-8", delimiter=",", label="'data.csv'")
    assert [str(split.load(one)["x"].dtype) for one in split.mini_batches()] == [dtype] * 2


def test_numbers_among_text_stay_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,y\n01,0\nTrue,0\n1.50,0\n")
    split = CsvSplitter([(str(path), "data.csv")], 1, encoding="utf-8", delimiter=",", label="'data.csv'")
    assert [split.load(one)["x"].tolist() for one in split.mini_batches()] == [["01"], ["True"], ["1.50"]]


def test_dates_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("day\n2024-01-02\n")
    split = CsvSplitter([(str(path), "data.csv")], 1, encoding="utf-8", delimiter=",", label="'data.csv'")
    assert split.load(next(split.mini_batches()))["day"].tolist() == ["2024-01-02"]


def test_a_long_column_is_inferred_in_one_piece() -> None:
    # pandas has no type for both and leaves text; pieces of half a million rows it would infer one by one.
    assert type_of_whole_column(["-1"] * 540_000 + [UNSIGNED]) == "text"


def test_a_long_piece_of_a_file_is_inferred_at_once(tmp_path: Path) -> None:
    # In pieces of a quarter of a million rows pandas would warn of mixed types.
    path = tmp_path / "data.csv"
    path.write_text("x,y\n" + "1,0\n" * 270_000 + "a,0\n")
    split = CsvSplitter([(str(path), "data.csv")], 2 << 20, encoding="utf-8", delimiter=",", label="'data.csv'")
    column = split.load(next(split.mini_batches()))["x"]
    assert (column.iat[0], column.iat[-1]) == ("1", "a")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (["0", "1"], "integer"),
        (["0", "-1"], "negative"),
        ([UNSIGNED, "1"], "unsigned"),
        (["", "NA"], "null"),
        (["1", ""], "float"),
        (["1.5", "2"], "float"),
        (["True", "False"], "bool"),
        (["True", ""], "bool_null"),
        (["a", "1"], "text"),
        (["1", HUGE], "wide"),
        ([UNSIGNED, "-1"], "wide"),
    ],
)
def test_the_kind_of_a_piece_is_what_pandas_made_of_it(fields: list[str], kind: SettingType) -> None:
    text = "x,y\n" + "".join(f"{field},0\n" for field in fields)
    assert kind_of(pd.read_csv(io.StringIO(text))["x"]) == kind


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (set(), "none"),
        ({"null"}, "float64"),
        ({"integer"}, "int64"),
        ({"negative"}, "int64"),
        ({"integer", "negative"}, "int64"),
        ({"integer", "null"}, "float64"),
        ({"integer", "float"}, "float64"),
        ({"unsigned"}, "uint64"),
        ({"unsigned", "integer"}, "uint64"),
        ({"bool"}, "bool"),
        ({"bool", "null"}, "bool_or_null"),
        ({"bool_null"}, "bool_or_null"),
        ({"bool", "bool_null"}, "bool_or_null"),
        ({"bool_null", "float"}, "text"),
        ({"bool", "wide"}, "text"),
        ({"text"}, "text"),
        ({"text", "bool"}, "text"),
        # What stands before them decides whether pandas makes floats or text of these.
        ({"unsigned", "negative"}, None),
        ({"unsigned", "null"}, None),
        ({"unsigned", "float"}, None),
        ({"wide"}, None),
        ({"wide", "unsigned"}, None),
    ],
)
def test_the_kinds_of_all_pieces_decide_the_type_of_a_column(
    kinds: set[SettingType], expected: ColumnType | None
) -> None:
    assert merged_type(kinds) == expected

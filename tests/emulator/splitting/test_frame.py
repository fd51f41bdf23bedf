from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.errors import EmptyInputError
from pytest_parallelrun.emulator.splitting import frame as frame_module
from pytest_parallelrun.emulator.splitting.frame import FrameSplitter


def sizes(frame: pd.DataFrame, size: int) -> list[int]:
    return [one.size for one in FrameSplitter(frame, size).mini_batches()]


def test_rows_are_accumulated_until_their_csv_lines_reach_the_size() -> None:
    # "1,a\n" is 4 bytes; neither header nor index count.
    frame = pd.DataFrame({"number": [1] * 7, "text": ["a"] * 7}, index=range(10, 80, 10))
    assert sizes(frame, 8) == [2, 2, 2, 1]
    assert sizes(frame, 9) == [3, 3, 1]
    assert sizes(frame, 1) == [1] * 7


def test_rows_measure_the_same_where_lines_end_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "linesep", "\r\n")
    assert sizes(pd.DataFrame({"number": [1] * 4}), 5) == [3, 1]


def test_text_counts_in_bytes_of_utf_8() -> None:
    assert sizes(pd.DataFrame({"text": ["éé"] * 4}), 10) == [2, 2]


def test_a_cell_with_newlines_is_one_row() -> None:
    assert sizes(pd.DataFrame({"text": ["a\nb\r\nc\rd"] * 2}), 1) == [1, 1]


def test_mini_batches_count_on_over_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_module, "BLOCK_ROWS", 3)
    found = list(FrameSplitter(pd.DataFrame({"x": range(10)}), 8).mini_batches())
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 4, 0), (1, 4, 4), (2, 2, 8)]


def test_only_the_rows_that_are_asked_for_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_module, "BLOCK_ROWS", 2)

    class Raising:
        def __str__(self) -> str:
            raise RuntimeError("measured too early")

    frame = pd.DataFrame({"x": [1, 2, Raising(), Raising()]}, dtype=object)
    assert next(FrameSplitter(frame, 1).mini_batches()).size == 1


def test_types_are_those_of_the_frame_and_the_index_starts_at_0() -> None:
    frame = pd.DataFrame(
        {
            "number": pd.array([1, None], dtype="Int64"),
            "kind": pd.Categorical(["a", "b"]),
            "when": pd.to_datetime(["2024-01-01", "2024-01-02"]),
        },
        index=["p", "q"],
    )
    split = FrameSplitter(frame, 1)
    loaded = [split.load(one) for one in split.mini_batches()]
    assert all(one.dtypes.equals(frame.dtypes) for one in loaded)
    assert [list(one.index) for one in loaded] == [[0], [0]]


def test_changing_a_loaded_mini_batch_changes_neither_the_input_nor_the_next_load() -> None:
    array = np.array([1, 2])
    frame = pd.DataFrame({"x": [1, 2], "nested": [[1, [2]], {"a": 1}], "array": [array, "text"]})
    split = FrameSplitter(frame, 1000)
    one = next(split.mini_batches())
    loaded = split.load(one)
    loaded.loc[0, "x"] = 99
    loaded["nested"][0][1].append(3)
    loaded["nested"][1].clear()
    loaded["array"][0][0] = 99
    for same in (frame, split.load(one)):
        assert same["x"].tolist() == [1, 2]
        assert same["nested"].tolist() == [[1, [2]], {"a": 1}]
        assert same["array"][0].tolist() == [1, 2]


def test_a_loaded_mini_batch_shares_no_memory_with_the_input() -> None:
    # pandas copies on write, native code that writes into a column does not.
    frame = pd.DataFrame({"x": [1.5, 2.5], "y": [3.5, 4.5]})
    split = FrameSplitter(frame, 1000)
    loaded = split.load(next(split.mini_batches()))
    assert not any(np.shares_memory(loaded[name].to_numpy(), frame[name].to_numpy()) for name in frame)


def test_a_column_that_holds_lists_keeps_its_type_where_a_mini_batch_has_none() -> None:
    frame = pd.DataFrame({"x": [[1], 5]}, dtype=object)
    split = FrameSplitter(frame, 1)
    assert [str(split.load(one)["x"].dtype) for one in split.mini_batches()] == ["object", "object"]


def test_columns_of_one_name_are_handed_over_as_they_are() -> None:
    frame = pd.DataFrame([[1, [2]], [3, [4]]], columns=["a", "a"])
    split = FrameSplitter(frame, 1)
    assert split.load(list(split.mini_batches())[1]).values.tolist() == [[3, [4]]]


def test_rows_are_named_by_their_number_from_1() -> None:
    split = FrameSplitter(pd.DataFrame({"x": range(10, 22)}), 30)
    assert split.item_names(list(split.mini_batches())[1]) == ["row 11", "row 12"]


def test_a_frame_without_rows_is_empty_and_one_without_columns_is_not() -> None:
    with pytest.raises(EmptyInputError) as caught:
        FrameSplitter(pd.DataFrame({"x": []}), 1)
    assert str(caught.value) == "input: the DataFrame has no rows."
    assert sizes(pd.DataFrame(index=range(3)), 2) == [2, 1]


def test_neither_mini_batches_nor_items_of_a_frame_are_counted_in_advance() -> None:
    split = FrameSplitter(pd.DataFrame({"x": [1]}), 1)
    assert (split.kind, split.total_mini_batches, split.total_items) == ("tabular", None, None)


def test_the_plan_line_says_rows_and_bytes() -> None:
    split = FrameSplitter(pd.DataFrame({"x": range(1210)}), 1)
    assert split.describe() == "1,210 rows of a DataFrame, 1 byte a mini-batch"


def test_a_cell_may_hold_a_nul() -> None:
    assert sizes(pd.DataFrame({"text": ["a\0b"] * 2}), 1) == [1, 1]


@settings(deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\uffff"), max_size=5),
        min_size=1,
        max_size=12,
    ),
    size=st.integers(1, 30),
)
def test_mini_batches_are_the_greedy_cuts_of_the_lines_and_cover_the_frame(texts: list[str], size: int) -> None:
    frame = pd.DataFrame({"x": pd.Series(texts, dtype=object), "y": range(len(texts))})
    lines = [
        len(frame.iloc[[row]].to_csv(header=False, index=False, lineterminator="\n").encode())
        for row in range(len(frame))
    ]
    expected, start = [], 0
    for end in range(1, len(lines) + 1):
        if sum(lines[start:end]) >= size or end == len(lines):
            expected.append(end - start)
            start = end
    split = FrameSplitter(frame, size)
    found = list(split.mini_batches())
    assert [one.size for one in found] == expected
    together = pd.concat([split.load(one) for one in found], ignore_index=True)
    pd.testing.assert_frame_equal(together, frame)

"""A DataFrame in memory, split by the bytes of the CSV that it would be."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.errors import EmptyInputError
from pytest_parallelrun.emulator.splitting.model import (
    Form,
    ItemName,
    MiniBatch,
    TableSplitter,
    count_text,
    numbered,
    row_names,
)

if TYPE_CHECKING:
    import pandas as pd

BLOCK_ROWS = 1_000
"""Rows that are written as CSV together to be measured."""


class FrameSplitter(TableSplitter):
    """Returns deep copies of the rows, with an index from 0 and the types of the DataFrame.

    Rows are added until the UTF-8 bytes of their CSV lines reach `bytes_per_mini_batch`; header and index do not count.
    EmptyInputError for a DataFrame without rows.
    """

    form: Form = "frame"
    title = "the DataFrame"

    def __init__(self, frame: pd.DataFrame, bytes_per_mini_batch: int) -> None:
        if not len(frame):
            raise EmptyInputError("input: the DataFrame has no rows.")
        self._frame = frame
        self._size = bytes_per_mini_batch
        self.columns = [str(name) for name in frame.columns]
        self.content = f"{count_text(len(frame), 'row')} of a DataFrame"
        self._nested = _nested_columns(frame)

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered((size, None, ()) for size in self._sizes())

    def _sizes(self) -> Iterator[int]:
        first = total = 0
        for row, length in enumerate(self._line_lengths(), start=1):
            total += length
            if total >= self._size or row == len(self._frame):
                yield row - first
                first, total = row, 0

    def load(self, mini_batch: MiniBatch) -> pd.DataFrame:
        import pandas as pd

        first = mini_batch.first_item
        chosen = self._frame.iloc[first : first + mini_batch.size]
        rows: pd.DataFrame = chosen.reset_index(drop=True).copy(deep=True)
        for column in self._nested:
            # pandas copies only the reference, and a script may sort a list in place.
            cells = pd.Series([_copied(cell) for cell in rows.iloc[:, column]], dtype=object)
            rows.isetitem(column, cells.array)
        return rows

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        return row_names("", mini_batch.first_item, mini_batch.size)

    def _line_lengths(self) -> Iterator[int]:
        for start in range(0, len(self._frame), BLOCK_ROWS):
            lines = _LineLengths()
            block = self._frame.iloc[start : start + BLOCK_ROWS]
            # Python 3.10 writes no NUL without an escape character; this one is in no text.
            block.to_csv(lines, header=False, index=False, lineterminator="\n", escapechar="\uffff")
            yield from lines.lengths


class _LineLengths:
    """A file that records the lengths of what is written: csv writes one row per call."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def write(self, line: str) -> int:
        self.lengths.append(len(line.encode("utf-8", "surrogatepass")))
        return len(line)


def _nested_columns(frame: pd.DataFrame) -> list[int]:
    """Positions of the columns whose cells may be lists, dicts or arrays."""
    from pandas.api.types import infer_dtype, is_object_dtype

    return [
        position
        for position, dtype in enumerate(frame.dtypes)
        if is_object_dtype(dtype) and infer_dtype(frame.iloc[:, position], skipna=True).startswith("mixed")
    ]


def _copied(cell: object) -> object:
    if isinstance(cell, (list, dict, set)) or type(cell).__name__ == "ndarray":
        return copy.deepcopy(cell)
    return cell

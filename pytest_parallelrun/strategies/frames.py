"""Mini-batches of rows: recipes, the data they build, and how they are drawn."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.errors import did_you_mean
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import MiniBatch, count_text
from pytest_parallelrun.strategies.cells import CELL_KINDS, IN_JSON, NULLS, CellKind, kinds_of, value_of
from pytest_parallelrun.strategies.sample import check_whole_number, invalid
from pytest_parallelrun.strategies.subsets import MAX_EDGE_CASES, add_duplicate, item_numbers

if TYPE_CHECKING:
    import os

    import pandas as pd
    from hypothesis.strategies import DrawFn, SearchStrategy
    from hypothesis.vendor.pretty import RepresentationPrinter

    from pytest_parallelrun.strategies.sample import Sample


@dataclass(frozen=True, repr=False)
class Cell:
    """A malformed cell in a mini-batch of rows.

    row: number of the row in the mini-batch, from 0; None is the whole column, only for "null", "nan" and "nat".
    column: its label. kind: one of CELL_KINDS that the type of the column allows.
    """

    row: int | None
    column: Hashable
    kind: CellKind

    def __post_init__(self) -> None:
        if self.kind not in CELL_KINDS:
            raise invalid(f"{self}: there is no such kind of cell. {did_you_mean(str(self.kind), CELL_KINDS)}")
        if self.row is not None:
            check_whole_number(f"row of {self}", self.row, 0)
        elif self.kind not in NULLS:
            raise invalid(f"{self}: a whole column can be made of {', '.join(NULLS)} only. Give the number of a row.")

    def __repr__(self) -> str:
        return f"Cell({self.row!r}, {self.column!r}, {self.kind!r})"


@dataclass(frozen=True, repr=False)
class Rows:
    """A recipe of a mini-batch of rows.

    rows: numbers of rows of the sample, from 0, in the order of the mini-batch; a repeated number is a duplicate.
    cells: malformed cells.
    """

    rows: tuple[int, ...]
    cells: tuple[Cell, ...] = ()

    @property
    def size(self) -> int:
        """Rows of the mini-batch."""
        return len(self.rows)

    @property
    def odd(self) -> bool:
        """Whether a row is repeated, or a cell is malformed."""
        return bool(self.cells) or len(set(self.rows)) < len(self.rows)

    def first_item(self, sample: Sample) -> int:
        """The number of its first item in the sample."""
        return self.rows[0]

    def build(
        self, sample: Sample, folder: str | os.PathLike[str] | None = None
    ) -> pd.DataFrame | list[dict[str, object]]:
        """A new DataFrame with an index from 0 and the column types of the sample; for JSON lines a list of dicts.

        `folder` is not used. InvalidArgument: an unknown row or column, or a value that the type of its column cannot
        hold.
        """
        import pandas as pd

        source = sample.frame
        if not self.rows or not 0 <= min(self.rows) <= max(self.rows) < sample.size:
            raise invalid(f"{self}: rows must be one or more numbers from 0 to {sample.size - 1} for {sample}.")
        if sample.kind == "records":
            return self._records(sample)
        frame: pd.DataFrame = source.take(list(self.rows))
        frame.index = pd.RangeIndex(len(self.rows))
        if sample.nested:
            # Only the splitter copies lists and dicts in cells.
            all_rows = MiniBatch(id=0, size=len(frame), first_item=0, position=None)
            frame = cast("pd.DataFrame", open_input(frame, sample.settings).load(all_rows))
        for cell in self.cells:
            position = self._column_position(cell, source)
            column = frame.iloc[:, position]
            values = column.array.copy()
            values[slice(None) if cell.row is None else cell.row] = value_of(cell.kind, source.iloc[:, position])
            frame.isetitem(position, pd.Series(values, index=frame.index, dtype=column.dtype))
        return frame

    def _records(self, sample: Sample) -> list[dict[str, object]]:
        records = [copy.deepcopy(sample.records[row]) for row in self.rows]
        for cell in self.cells:
            column = sample.frame.iloc[:, self._column_position(cell, sample.frame)]
            value = None if cell.kind in NULLS else value_of(cell.kind, column)
            for record in records if cell.row is None else [records[cell.row]]:
                # JSON has no types of NumPy.
                record[str(cell.column)] = value.item() if hasattr(value, "item") else value
        return records

    def _column_position(self, cell: Cell, source: pd.DataFrame) -> int:
        if cell.row is not None and cell.row >= len(self.rows):
            raise invalid(f"{cell}: the mini-batch has {count_text(len(self.rows), 'row')}, counted from 0.")
        labels = list(source.columns)
        if cell.column not in labels:
            raise invalid(f"{cell}: there is no such column. {did_you_mean(str(cell.column), map(str, labels))}")
        return labels.index(cell.column)

    def __repr__(self) -> str:
        return f"Rows(rows={self.rows!r}{f', cells={self.cells!r}' if self.cells else ''})"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        # Hypothesis would show all fields of a dataclass.
        printer.text(repr(self))


def rows(sample: Sample, *, odd: bool, min_size: int, max_size: int | None) -> SearchStrategy[Rows]:
    """Recipes for a sample of rows; the arguments are those of `recipes()`, already validated."""
    from hypothesis import strategies as st

    numbers = item_numbers(sample.size, sample.partitions.values(), min_size, max_size)
    columns = _columns_by_edge_case(sample) if odd else {}
    kinds: list[tuple[CellKind, bool] | None] = [None, *columns]
    edge_cases = st.lists(st.sampled_from(kinds), max_size=MAX_EDGE_CASES)

    @st.composite
    def drawn(draw: DrawFn) -> Rows:
        chosen = draw(numbers)
        cells: list[Cell] = []
        for edge_case in draw(edge_cases) if odd else ():
            if edge_case is None:
                add_duplicate(chosen, draw(st.integers(0, len(chosen) - 1)), max_size)
                continue
            kind, whole = edge_case
            column = draw(st.sampled_from(columns[edge_case]))
            cell = Cell(None if whole else draw(st.integers(0, len(chosen) - 1)), column, kind)
            if not any(_overlap(cell, other) for other in cells):
                cells.append(cell)
        return Rows(tuple(chosen), tuple(cells))

    return drawn()


def malformed_kinds(sample: Sample, position: int) -> tuple[CellKind, ...]:
    """The malformed values for the column at that position; in JSON those that JSON has, where any may be null."""
    kinds = kinds_of(sample.frame.iloc[:, position])
    if sample.kind != "records":
        return kinds
    return ("null", *(kind for kind in kinds if kind in IN_JSON and kind != "null"))


def _columns_by_edge_case(sample: Sample) -> dict[tuple[CellKind, bool], list[Hashable]]:
    """Kinds of cells and whether they fill a column -> labels of the columns that allow them."""
    columns: dict[tuple[CellKind, bool], list[Hashable]] = {}
    labels = list(sample.frame.columns)
    for position, label in enumerate(labels):
        # A key of the partition is the same in all of its rows.
        if labels.index(label) == position and str(label) not in sample.settings.partition_keys:
            for kind in malformed_kinds(sample, position):
                for whole in (False, True) if kind in NULLS else (False,):
                    columns.setdefault((kind, whole), []).append(label)
    return columns


def _overlap(one: Cell, other: Cell) -> bool:
    return one.column == other.column and (one.row == other.row or None in (one.row, other.row))

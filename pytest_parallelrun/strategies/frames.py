"""Mini-batches of rows: recipes, the data they build, and how they are drawn.

Malformed cells stay within the type of their column, since the types of a job's input never change.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

from pytest_parallelrun.emulator.errors import did_you_mean
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import MiniBatch, count_text
from pytest_parallelrun.strategies.sample import Printed, check_whole_number, invalid
from pytest_parallelrun.strategies.subsets import MAX_EDGE_CASES, add_duplicate, item_numbers

if TYPE_CHECKING:
    import os

    import pandas as pd
    from hypothesis.strategies import DrawFn, SearchStrategy

    from pytest_parallelrun.strategies.sample import Sample

CellKind = Literal[
    "null", "nan", "nat", "zero", "minus_one", "min", "max", "inf", "-inf", "empty", "separators", "long", "unseen"
]
CELL_KINDS: tuple[CellKind, ...] = get_args(CellKind)
NULLS: tuple[CellKind, ...] = ("null", "nan", "nat")
"""Kinds for a whole column."""
IN_JSON: tuple[CellKind, ...] = ("null", "zero", "minus_one", "min", "max", "empty", "separators", "long", "unseen")
"""Kinds for a line of JSON."""

LONG_TEXT = "long text " * 1_000
SEPARATORS = "comma, semicolon; tab\t newline\n \"quotes\" and 'quotes'"
EARLIEST, LATEST = "1678-01-01", "2262-01-01"
"""Dates that every resolution of pandas can hold, in any time zone."""


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
class Rows(Printed):
    """A recipe of a mini-batch of rows.

    rows: numbers of rows of the sample, from 0, in the order of the mini-batch; a repeated number is a duplicate.
    cells: malformed cells.
    """

    rows: tuple[int, ...]
    cells: tuple[Cell, ...] = ()

    @property
    def size(self) -> int:
        return len(self.rows)

    @property
    def odd(self) -> bool:
        """Whether a row is repeated, or a cell is malformed."""
        return bool(self.cells) or len(set(self.rows)) < len(self.rows)

    def first_item(self, sample: Sample) -> int:
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


def kinds_of(column: pd.Series) -> tuple[CellKind, ...]:
    """The malformed values for a column of this type; none for booleans without null."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return ("null",) if _unused_category(column) is None else ("null", "unseen")
    if isinstance(dtype, pd.StringDtype):
        return ("null", "empty", "separators", "long", "unseen")
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ("nat", "min", "max")
    if pd.api.types.is_object_dtype(dtype):
        if pd.api.types.infer_dtype(column, skipna=True) == "string":
            return ("null", "empty", "separators", "long", "unseen")
        return ("null",)
    if pd.api.types.is_extension_array_dtype(dtype):
        return _kinds_of_extension(dtype)
    return _kinds_of_numbers(dtype.kind)


def value_of(kind: CellKind, column: pd.Series) -> object:
    """The value of that kind for this column of the sample. InvalidArgument if its type cannot hold it."""
    import pandas as pd

    allowed = kinds_of(column)
    if kind not in allowed:
        raise invalid(
            f"a cell of column {column.name!r} ({column.dtype}) cannot be {kind!r}. "
            f"Allowed: {', '.join(allowed) or 'nothing malformed'}."
        )
    if kind in NULLS:
        # For object columns, what a reader of CSV files returns.
        return getattr(column.dtype, "na_value", float("nan")) if kind != "nat" else pd.NaT
    if kind == "unseen":
        return _unused_category(column) if isinstance(column.dtype, pd.CategoricalDtype) else _unseen_text(column)
    if column.dtype.kind == "M":
        return pd.Timestamp(EARLIEST if kind == "min" else LATEST, tz=getattr(column.dtype, "tz", None))
    texts = {"empty": "", "separators": SEPARATORS, "long": LONG_TEXT}
    return texts[kind] if kind in texts else _number(kind, str(column.dtype).lower())


def _kinds_of_numbers(kind: str) -> tuple[CellKind, ...]:
    """`kind`: the letter that NumPy gives a type."""
    kinds: dict[str, tuple[CellKind, ...]] = {
        "i": ("zero", "minus_one", "min", "max"),
        "u": ("zero", "max"),
        "f": ("nan", "zero", "min", "max", "inf", "-inf"),
        "c": ("nan",),
        "M": ("nat", "min", "max"),
        "m": ("nat",),
    }
    return kinds.get(kind, ())


def _kinds_of_extension(dtype: object) -> tuple[CellKind, ...]:
    """Nullable numbers and booleans, and columns of Arrow; other extension types are unknown."""
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return ("null",)
    numpy_dtype = getattr(dtype, "numpy_dtype", None)
    if getattr(dtype, "na_value", None) is not pd.NA or numpy_dtype is None:
        return ()
    return ("null", *(kind for kind in _kinds_of_numbers(numpy_dtype.kind) if kind not in ("nan", "inf", "-inf")))


def _number(kind: CellKind, dtype: str) -> object:
    """`dtype`: the name that NumPy gives it; pandas' own types differ from it in their capitals."""
    import numpy as np

    if kind in ("inf", "-inf"):
        return float(kind)
    if kind in ("zero", "minus_one"):
        return 0 if kind == "zero" else -1
    limits = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
    return limits.min if kind == "min" else limits.max


def _unused_category(column: pd.Series) -> object:
    """A declared category that no row has; an undeclared one would change the column type."""
    used = set(column.cat.codes)
    return next((name for code, name in enumerate(column.cat.categories) if code not in used), None)


def _unseen_text(column: pd.Series) -> str:
    seen = set(column)
    text = "unseen"
    while text in seen:
        text += "_"
    return text

"""A cell of a table that is no number, where the others of its column are numbers.

The service infers the type of a column once for the whole input (DataFrames come from a tabular dataset), so one such
cell makes the whole column text: each mini-batch gets texts where it got numbers. In JSON lines it is text alone.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt
from pytest_parallelrun.contract.entry.mini_batches import rows_of
from pytest_parallelrun.contract.entry.observations import attempt
from pytest_parallelrun.contract.rows.values import is_null, number_in, values_of
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.contract.entry.observations import SampleMiniBatch
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession
    from pytest_parallelrun.emulator.splitting.model import Payload

NO_NUMBER = "?"
"""What the cell holds. No word for an error, so that a row that merely repeats it does not name one."""
MAX_COLUMNS = 8
MAX_SECONDS = 1.0
"""Columns that are tried, and seconds in run() after which no other one is."""


def cells_tried(bench: ProbeSession, group: SampleMiniBatch, sound: ProbeResult) -> list[CorruptedAttempt]:
    """A bad cell in the first row, in one numeric column after the other."""
    tries: list[CorruptedAttempt] = []
    spent = 0.0
    for position in _numeric(rows_of(group.payload))[:MAX_COLUMNS]:
        if spent > MAX_SECONDS:
            break
        bad = _tried(bench, group, sound, position)
        spent += bad.tried.ended.running
        tries.append(bad)
    return tries


def _numeric(frame: pd.DataFrame) -> list[int]:
    """Positions of the columns of numbers whose first row has one."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return [
        position
        for position, dtype in enumerate(frame.dtypes)
        if is_numeric_dtype(dtype) and not is_bool_dtype(dtype) and frame.iloc[:, position].notna().any()
    ]


def _tried(bench: ProbeSession, group: SampleMiniBatch, sound: ProbeResult, position: int) -> CorruptedAttempt:
    frame = rows_of(group.payload)
    spoiled = with_cell(group.payload, position, NO_NUMBER)
    tried = attempt(bench, group._replace(payload=spoiled))
    needed = tried.ended.outcome != "succeeded" or _matters(bench, group, sound, position)
    how = f"its column {str(frame.columns[position])!r} holds the text {NO_NUMBER!r} where the others have numbers"
    return CorruptedAttempt(how, group.names[0], spoiled, tried, "needed" if needed else "not needed", NO_NUMBER)


def with_cell(payload: Payload, position: int, value: object) -> Payload:
    """The rows with another value in the first cell of a column; a text makes texts of a whole column of a table."""
    if isinstance(payload, (list, tuple)):
        rows = copy.deepcopy(cast("list[dict[str, object]]", list(payload)))
        rows[0][str(rows_of(payload).columns[position])] = value.item() if hasattr(value, "item") else value
        return rows
    frame = cast("pd.DataFrame", payload)
    if isinstance(value, str):
        return with_text(frame, position)
    changed = frame.copy()
    cells = frame.iloc[:, position].copy()
    cells.iloc[0] = value
    changed.isetitem(position, cells)
    return cast("pd.DataFrame", changed)


def with_text(frame: pd.DataFrame, position: int) -> pd.DataFrame:
    """The rows with the first cell of a column spoiled, and the column as text."""
    import pandas as pd

    column = frame.iloc[:, position]
    texts = [NO_NUMBER, *(None if is_null(value) else _text(value) for value in column.tolist()[1:])]
    spoiled = frame.copy()
    spoiled.isetitem(position, pd.Series(texts, index=frame.index))
    return cast("pd.DataFrame", spoiled)


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _matters(bench: ProbeSession, group: SampleMiniBatch, sound: ProbeResult, position: int) -> bool:
    """Whether another number in the cell changes more in the first row's result than the copy of that cell.

    Where results are not in the order of the rows it cannot be told, and the cell is left alone.
    """
    frame = rows_of(group.payload)
    column = frame.iloc[:, position]
    before = column.iloc[0]
    rows = as_rows(sound.ended.value)
    if len(rows) != len(frame):
        return False
    others = [value for value in (column.max(), column.min()) if value != before] or [column.max() + 1]
    for other in others:
        tried = attempt(bench, group._replace(payload=with_cell(group.payload, position, other)))
        if tried.ended.outcome == "succeeded":
            found = as_rows(tried.ended.value)
            if len(found) == len(rows) and _computed(rows[0], found[0], number_in(before), number_in(other)):
                return True
    return False


def _computed(before: object, after: object, cell_before: float | None, cell_after: float | None) -> bool:
    """Whether a value changed that is not the cell itself."""
    old, new = values_of(before), values_of(after)
    for spot in old.keys() & new.keys():
        first, second = number_in(old[spot]), number_in(new[spot])
        if old[spot] == new[spot] or (old[spot] is None and new[spot] is None):
            continue
        if first is None or second is None or (first, second) != (cell_before, cell_after):
            return True
    return old.keys() != new.keys()

"""A cell of a table that is no number, where the others of its column are numbers.

The service infers the type of a column once for the whole input (DataFrames come from a tabular dataset), so one such
cell makes the whole column text: each mini-batch gets texts where it got numbers. In JSON lines it is text alone.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt
from pytest_parallelrun.contract.entry.mini_batches import attempt, rows_of
from pytest_parallelrun.contract.rows.values import is_null, number_in, values_of
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession
    from pytest_parallelrun.emulator.splitting.model import Payload

NO_NUMBER = "?"
"""What the cell holds. No word for an error, so that a row that merely repeats it does not name one."""
MAX_COLUMNS = 8
MAX_SECONDS = 1.0
"""Columns that are tried, and seconds in run() after which no other one is."""


def try_cells(session: ProbeSession, mini_batch: SampleMiniBatch, valid: ProbeResult) -> list[CorruptedAttempt]:
    """A bad cell in the first row, in one numeric column after the other."""
    attempts: list[CorruptedAttempt] = []
    seconds = 0.0
    for position in _numeric(rows_of(mini_batch.payload))[:MAX_COLUMNS]:
        if seconds > MAX_SECONDS:
            break
        attempts.append(_try(session, mini_batch, valid, position))
        seconds += attempts[-1].ended.running
    return attempts


def _numeric(frame: pd.DataFrame) -> list[int]:
    """Positions of the columns that hold numbers."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return [
        position
        for position, dtype in enumerate(frame.dtypes)
        if is_numeric_dtype(dtype) and not is_bool_dtype(dtype) and frame.iloc[:, position].notna().any()
    ]


def _try(session: ProbeSession, mini_batch: SampleMiniBatch, valid: ProbeResult, position: int) -> CorruptedAttempt:
    column = str(rows_of(mini_batch.payload).columns[position])
    payload = _with_cell(mini_batch.payload, position, NO_NUMBER)
    result = attempt(session, mini_batch._replace(payload=payload))
    needed = result.ended.outcome != "succeeded" or _matters(session, mini_batch, valid, position)
    return CorruptedAttempt(
        description=f"its column {column!r} holds the text {NO_NUMBER!r} where the others have numbers",
        item=mini_batch.names[0],
        payload=payload,
        result=result,
        need="needed" if needed else "not needed",
        echo=NO_NUMBER,
    )


def _with_cell(payload: Payload, position: int, value: object) -> Payload:
    """The rows with another value in the first cell of a column; a text makes texts of a whole column of a table."""
    if isinstance(payload, (list, tuple)):
        rows = copy.deepcopy(cast("list[dict[str, object]]", list(payload)))
        rows[0][str(rows_of(payload).columns[position])] = value.item() if hasattr(value, "item") else value
        return rows
    frame = cast("pd.DataFrame", payload)
    if isinstance(value, str):
        return _with_text(frame, position)
    changed = frame.copy()
    cells = frame.iloc[:, position].copy()
    cells.iloc[0] = value
    changed.isetitem(position, cells)
    return cast("pd.DataFrame", changed)


def _with_text(frame: pd.DataFrame, position: int) -> pd.DataFrame:
    """The rows with the first cell of a column corrupted, and the column as text."""
    import pandas as pd

    column = frame.iloc[:, position]
    texts = [NO_NUMBER, *(None if is_null(value) else _text(value) for value in column.tolist()[1:])]
    corrupted = frame.copy()
    corrupted.isetitem(position, pd.Series(texts, index=frame.index))
    return cast("pd.DataFrame", corrupted)


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _matters(session: ProbeSession, mini_batch: SampleMiniBatch, valid: ProbeResult, position: int) -> bool:
    """Whether another number in the cell changes more in the first row's result than the copy of that cell.

    Where results are not in the order of the rows it cannot be told, and the cell is left alone.
    """
    frame = rows_of(mini_batch.payload)
    column = frame.iloc[:, position]
    before = column.iloc[0]
    rows = as_rows(valid.ended.value)
    if len(rows) != len(frame):
        return False
    for other in [value for value in (column.max(), column.min()) if value != before] or [column.max() + 1]:
        payload = _with_cell(mini_batch.payload, position, other)
        ended = attempt(session, mini_batch._replace(payload=payload)).ended
        if ended.outcome == "succeeded":
            changed = as_rows(ended.value)
            if len(changed) == len(rows) and _computed(rows[0], changed[0], number_in(before), number_in(other)):
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

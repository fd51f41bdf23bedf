"""Puts an unreadable item into a valid mini-batch: a file, or a cell of a table."""

from __future__ import annotations

import copy
import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pytest_parallelrun.contract.bounds import MAX_CORRUPTED_COLUMNS, MAX_CORRUPTED_SECONDS, MAX_REPLACED_BYTES
from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, Need
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import attempt, paths_of, rows_of
from pytest_parallelrun.contract.entry.sample_copy import copy_file
from pytest_parallelrun.contract.rows.comparison import difference, nondeterministic_values
from pytest_parallelrun.contract.rows.values import is_null, number_in, values_of
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession
    from pytest_parallelrun.emulator.splitting.model import Payload
    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched


State = Literal["missing", "folder", "empty"]

_DESCRIPTIONS: dict[State, str] = {
    "missing": "the file is missing",
    "folder": "its path is a folder",
    "empty": "the file is empty",
}


def try_bad_file(
    observations: Observations,
    session: ProbeSession,
    mini_batch: SampleMiniBatch,
    state: State | bytes,
    description: str = "",
    *,
    whole: bool = False,
) -> CorruptedAttempt:
    """The first file in that state, or with that content, which `description` is about. whole: every file."""
    paths = paths_of(mini_batch.payload)
    observations.restore()
    with ExitStack() as stack:
        for path in paths if whole else paths[:1]:
            stack.enter_context(_corrupted(path, state, observations.entry.new_folder("aside")))
        result = observations.attempt(session, mini_batch)
    failed = result.ended.outcome != "succeeded"
    return CorruptedAttempt(
        description=description if isinstance(state, bytes) else _DESCRIPTIONS[state],
        item=mini_batch.names[0],
        payload=_copied(mini_batch, state, observations.entry.new_folder("case")) if failed else [],
        result=result,
    )


def with_needs(
    observations: Observations,
    session: ProbeSession,
    mini_batch: SampleMiniBatch,
    valid: ProbeResult,
    attempts: list[CorruptedAttempt],
) -> list[CorruptedAttempt]:
    """The attempts, and whether the script reads its items at all."""
    path = paths_of(mini_batch.payload)[0]
    results = [valid, *(corrupted.result for corrupted in attempts)]
    need: Need = "unknown"
    if any(opens(result.files, path) for result in results):
        need = "needed"
    elif any(corrupted.ended.outcome == "succeeded" for corrupted in attempts):
        depends = _depends_on_content(observations, session, mini_batch, as_rows(valid.ended.value))
        if depends is False:
            need = "not needed"
        elif depends and _depends_on_size_only(observations, session, mini_batch, valid):
            need = "size"
    return [corrupted._replace(need=need) for corrupted in attempts]


def opens(files: FilesTouched, path: str) -> bool:
    """Whether a file was opened, or an attempt was made."""
    paths = {path, os.path.realpath(path)}
    return not paths.isdisjoint(files.read) or not paths.isdisjoint(files.written)


def _depends_on_content(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch, valid_rows: list[object]
) -> bool | None:
    """Whether rows change when two items swap contents; None if unknown."""
    first, *others = paths_of(mini_batch.payload)
    readable = [path for path in others if os.path.isfile(path) and os.path.isfile(first)]
    other = next((path for path in readable if not filecmp.cmp(first, path, shallow=False)), None)
    if other is None:
        return None
    with _exchanged(first, other, observations.entry.new_folder("aside")):
        # A fresh worker: this one may have cached them.
        session.renew()
        ended = attempt(session, mini_batch).ended
    if ended.outcome != "succeeded":
        return None
    rows = as_rows(ended.value)
    if difference(valid_rows, rows) is None:
        return False
    if observations.is_known and observations.nondeterministic is None:
        return True
    # The worker of the valid attempt had seen others before; differences between two fresh workers are random.
    fresh = [_rows_of_fresh_worker(session, mini_batch) for _ in range(2)]
    random = nondeterministic_values(fresh[0], fresh[1])
    if random is not None and random.all_rows:
        return None
    return difference(fresh[0], rows, ignoring=() if random is None else random.keys) is not None


def _depends_on_size_only(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch, valid: ProbeResult
) -> bool:
    """Whether another content of the same size gives the same rows. Asked only where a size or a content matters."""
    size = os.path.getsize(paths_of(mini_batch.payload)[0])
    if size > MAX_REPLACED_BYTES:
        return False
    with suppress(TooManyInitCalls, WorkerStartError):
        session.renew()
        ended = try_bad_file(observations, session, mini_batch, b"?" * size).ended
        return ended.outcome == "succeeded" and difference(as_rows(valid.ended.value), as_rows(ended.value)) is None
    return False


def _rows_of_fresh_worker(session: ProbeSession, mini_batch: SampleMiniBatch) -> list[object]:
    session.renew()
    return as_rows(attempt(session, mini_batch).ended.value)


@contextmanager
def _corrupted(path: str, state: State | bytes, aside: Path) -> Iterator[None]:
    """Removes or replaces a file until the context is left. aside: an empty folder."""
    kept = os.path.join(aside, "item")
    os.rename(path, kept)
    try:
        _put(state, path)
        yield
    finally:
        # The script may have put anything there.
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)
        os.rename(kept, path)


def _put(state: State | bytes, path: str) -> None:
    if state == "folder":
        os.mkdir(path)
    elif state != "missing":
        Path(path).write_bytes(state if isinstance(state, bytes) else b"")


@contextmanager
def _exchanged(first: str, second: str, aside: Path) -> Iterator[None]:
    """Two files swap contents until the context is left."""
    _exchange(first, second, aside)
    try:
        yield
    finally:
        _exchange(first, second, aside)


def _exchange(first: str, second: str, aside: Path) -> None:
    kept = os.path.join(aside, "item")
    os.rename(first, kept)
    os.rename(second, first)
    os.rename(kept, second)


def _copied(mini_batch: SampleMiniBatch, state: State | bytes, folder: Path) -> list[str]:
    """The mini-batch in another folder with its first item bad, because the copy of the sample is restored."""
    paths = []
    for position, (path, name) in enumerate(zip(paths_of(mini_batch.payload), mini_batch.names, strict=True)):
        target = os.path.join(folder, *name.replace("\\", "/").split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if position:
            copy_file(path, target)
        else:
            _put(state, target)
        paths.append(target)
    return paths


NO_NUMBER = "?"
"""Content of the cell. Not a word for an error, so that a row that repeats it does not name one."""


def try_cells(session: ProbeSession, mini_batch: SampleMiniBatch, valid: ProbeResult) -> list[CorruptedAttempt]:
    """A bad cell in the first row, in one numeric column after the other."""
    attempts: list[CorruptedAttempt] = []
    seconds = 0.0
    for position in numeric_columns(rows_of(mini_batch.payload))[:MAX_CORRUPTED_COLUMNS]:
        if seconds > MAX_CORRUPTED_SECONDS:
            break
        attempts.append(_try_cell(session, mini_batch, valid, position))
        seconds += attempts[-1].ended.running
    return attempts


def numeric_columns(frame: pd.DataFrame) -> list[int]:
    """Positions of the numeric columns."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return [
        position
        for position, dtype in enumerate(frame.dtypes)
        if is_numeric_dtype(dtype) and not is_bool_dtype(dtype) and frame.iloc[:, position].notna().any()
    ]


def _try_cell(
    session: ProbeSession, mini_batch: SampleMiniBatch, valid: ProbeResult, position: int
) -> CorruptedAttempt:
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
    """The rows with another value in the first cell of a column; a string changes the whole column to strings."""
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
    """Whether another number in the cell changes more of the first row's result than the copy of that cell.

    If results are not in the order of the rows, this is unknown, and the cell is not used.
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

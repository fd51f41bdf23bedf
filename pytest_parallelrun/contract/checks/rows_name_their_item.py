"""Rows do not identify their item."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.entry.mini_batches import joined, rows_of
from pytest_parallelrun.contract.entry.preconditions import rows_are_only_counted, skip_without_results
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.phrases import appended_output
from pytest_parallelrun.contract.rows.comparison import row_text
from pytest_parallelrun.contract.rows.items import FileNames, stem_of
from pytest_parallelrun.contract.rows.values import Spot, is_null, number_in, text_of, values_of
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.splitting import open_input

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.splitting.model import Partition

MAX_MINI_BATCHES = 12
MAX_ROWS = 500
"""Maximum of mini-batches that are examined."""
MAX_READ = 64 << 10
"""Bytes of an item that are searched for ids."""
MIN_ID_LENGTH = 4
"""Minimum length of a word with a digit that can identify an item."""

NO_ROWS = "run() returned no rows"


def test_rows_name_their_item(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """Each row identifies its item, because the order of the output is not guaranteed."""
    __tracebackhide__ = True
    returned = parallelrun_baseline.returned
    if not returned:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    if not any(len(one.value) for one in returned):
        parallelrun_check.cannot_decide(NO_ROWS)
    values = {one.mini_batch: one.value for one in returned}
    if parallelrun_observations.kind == "files":
        unnamed = _unnamed_row_of_files(parallelrun_entry, values)
    else:
        unnamed = _unnamed_row_of_table(parallelrun_entry, values, parallelrun_check)
    if unnamed is None or rows_are_only_counted(parallelrun_observations, parallelrun_check):
        return
    label = next(one.label for one in returned if one.mini_batch == unnamed.mini_batch)
    parallelrun_check.advise(
        Finding(
            what=f"{appended_output(parallelrun_entry.settings)} rows do not identify their item: "
            f"{row_text(unnamed.row)}, of {label}.",
            service="rows of several workers come in any order, so they cannot be matched to their items",
            fix=unnamed.fix,
        )
    )


class UnnamedRow(NamedTuple):
    """A row of the output that identifies no item. fix: what to do."""

    row: object
    mini_batch: int
    fix: str


def _unnamed_row_of_files(entry: EntryUnderTest, values: Mapping[int, object]) -> UnnamedRow | None:
    """A row with neither a name nor a word that is only in its file.

    values: results by mini-batch.
    """
    # A separate copy, since the run may have removed its own.
    sample = entry.copy_sample()
    splitter = open_input(sample.input, entry.settings)
    batches = list(splitter.mini_batches())
    names = {batch.id: [sample.item_name(name) for name in splitter.item_names(batch)] for batch in batches}
    paths = {batch.id: cast("list[str]", splitter.load(batch)) for batch in batches}
    partitions = {batch.id: batch.partition for batch in batches}
    known = FileNames(name for listed in names.values() for name in listed)
    everything = [pair for id in names for pair in zip(names[id], paths[id], strict=True)][:MAX_ROWS]
    ids = _Ids([path for listed in paths.values() for path in listed])
    for id in list(values)[:MAX_MINI_BATCHES]:
        for row in as_rows(values[id])[:MAX_ROWS]:
            text = text_of(row)
            if any(known.is_named(text, name, path) for name, path in zip(names[id], paths[id], strict=True)):
                continue
            if _tells_partition(text, partitions[id]) and any(stem_of(name) in text for name in names[id]):
                continue
            if any(known.is_named(text, name, path) for name, path in everything):
                # The name of another item: other checks report rows in the wrong place.
                continue
            if not ids.names_one_of(row, paths[id]):
                return UnnamedRow(row, id, "add the name of the file to each row, such as os.path.basename(path)")
    return None


def _unnamed_row_of_table(entry: EntryUnderTest, values: Mapping[int, object], check: Check) -> UnnamedRow | None:
    """A row without a value of a column that identifies the rows of the input; values: by mini-batch."""
    __tracebackhide__ = True
    splitter = open_input(entry.copy_sample().input, entry.settings)
    frames: dict[int, pd.DataFrame] = {}
    partitions: dict[int, Partition] = {}
    count = 0
    for batch in splitter.mini_batches():
        if batch.id in values and len(frames) < MAX_MINI_BATCHES and count < MAX_ROWS:
            frames[batch.id] = rows_of(splitter.load(batch))
            partitions[batch.id] = batch.partition
            count += batch.size
    returned = {id: as_rows(values[id]) for id in frames if len(as_rows(values[id]))}
    if not returned:
        check.cannot_decide(NO_ROWS)
    keys, others = _identifying_columns(rows_of(joined([frames[id] for id in returned])))
    candidates = keys + others
    echoes = [_echoed(results, frames[id], candidates) for id, results in returned.items()]
    if set.intersection(*echoes):
        return None
    texts = all(
        _names_somewhere(results, frames[id], keys) or _has_whole_row(results, frames[id])
        for id, results in returned.items()
    )
    if texts or all(_named_in_partition(rows, frames[id], partitions[id]) for id, rows in returned.items()):
        return None
    if not keys:
        check.cannot_decide(
            "no column of the sample identifies a row (one without repetition that is no measured number), so "
            "there is nothing that the output could name"
        )
    first, rows_of_first = next(iter(returned.items()))
    return UnnamedRow(rows_of_first[0], first, f"keep the column {keys[0]!r} of the input in the output")


def _named_in_partition(rows: Sequence[object], frame: pd.DataFrame, partition: Partition) -> bool:
    """Whether each row has the value of its partition, and one that no other row of the partition has."""
    if not all(_tells_partition(text_of(row), partition) for row in rows):
        return False
    keys, others = _identifying_columns(frame)
    return len(frame) == 1 or bool(_echoed(rows, frame, keys + others))


class _Ids:
    """The ids in the files of a sample: a word that is in one file identifies it."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths[:MAX_ROWS]

    @cached_property
    def _holders(self) -> dict[str, list[str]]:
        holders: dict[str, list[str]] = {}
        for path in self._paths:
            for word in _ids_in_file(path):
                holders.setdefault(word, []).append(path)
        return holders

    def names_one_of(self, row: object, paths: list[str]) -> bool:
        """Whether the row has an id of one of these files and no other."""
        holders = (self._holders.get(word, []) for word in _ids(text_of(row)))
        return any(len(files) == 1 and files[0] in paths for files in holders)


def _tells_partition(text: str, partition: Partition) -> bool:
    """Whether a text has the value of every key of a partition; False without a partition."""
    return bool(partition) and all(value in text for _, value in partition)


def _ids_in_file(path: str) -> set[str]:
    """The words of a text file that look like ids; none for other files."""
    try:
        with open(path, "rb") as stream:
            text = stream.read(MAX_READ).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return set()
    return set(_ids(text))


def _identifying_columns(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """(key columns, other columns without duplicates): a measurement is unique by chance."""
    keys: list[str] = []
    others: list[str] = []
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if len(column) < 2 or column.isna().any() or not column.is_unique:
            continue
        (others if column.dtype.kind in "fb" else keys).append(str(name))
    return keys, others


def _echoed(rows: Sequence[object], frame: pd.DataFrame, columns: Sequence[str]) -> set[tuple[str, Spot]]:
    """(column, spot) where each row has another value of an input column. Rows may be fewer, or several per item."""
    echoes: set[tuple[str, Spot]] = set()
    values = [values_of(row) for row in rows]
    if not values:
        return echoes
    shared = set(values[0]).intersection(*values[1:])
    inputs = {name: Counter(_same(cell) for cell in _column(frame, name)) for name in columns}
    for spot in shared:
        held = Counter(_same(value[spot]) for value in values)
        for name, known in inputs.items():
            if held.keys() <= known.keys() and (len(rows) > len(frame) or held <= known):
                echoes.add((name, spot))
    return echoes


def _names_somewhere(rows: Sequence[object], frame: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Whether the text of each row contains a value of a text column."""
    for name in columns:
        texts = [cell for cell in _column(frame, name) if isinstance(cell, str) and len(cell.strip()) > 1]
        if len(texts) == len(frame) and all(any(text in text_of(row) for text in texts) for row in rows):
            return True
    return False


def _has_whole_row(rows: Sequence[object], frame: pd.DataFrame) -> bool:
    """Whether the output has all columns of the input."""
    names = {str(name) for name in frame.columns}
    return bool(rows) and all(isinstance(row, Mapping) and names <= {str(name) for name in row} for row in rows)


def _column(frame: pd.DataFrame, name: str) -> list[object]:
    position = [str(column) for column in frame.columns].index(name)
    return cast("list[object]", frame.iloc[:, position].tolist())


def _same(value: object) -> Hashable:
    """The same form for a value and its text."""
    if is_null(value):
        return None
    number = number_in(value)
    return str(value) if number is None else number


def _ids(text: str) -> Iterable[str]:
    words = (word.strip("-") for word in re.findall(r"[\w-]+", re.sub(r"\d+\.\d+", " ", text)))
    return (word for word in words if len(word) >= MIN_ID_LENGTH and any(sign.isdigit() for sign in word))

"""Looks for a row of the output that does not tell which item it is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.entry.payloads import joined, rows_of
from pytest_parallelrun.contract.rows.identity import (
    FileNames,
    echoed,
    has_whole_row,
    identifying_columns,
    ids_in_file,
    ids_in_row,
    names_somewhere,
    stem_of,
    tells_partition,
)
from pytest_parallelrun.contract.rows.values import text_of
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.splitting import open_input

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.splitting.model import Partition

MOST_MINI_BATCHES = 12
MOST_ROWS = 500
"""Of the sample; what shows in these shows in all."""


class Row(NamedTuple):
    """A row of the output; in a tuple, as None is one too."""

    value: object


class Unnamed(NamedTuple):
    """row: one that names no item, None where all do. reason: why it cannot be told, or "". fix: what to do."""

    row: Row | None = None
    mini_batch: int = 0
    reason: str = ""
    fix: str = ""


def unnamed_row_of_files(entry: EntryUnderTest, values: Mapping[int, object]) -> Unnamed:
    """A row with neither a name nor a word that only its file has.

    values: what run() returned, by mini-batch.
    """
    # A copy of its own, since the run may have left nothing of the one that it had.
    sample = entry.copy_sample()
    splitter = open_input(sample.input, entry.settings)
    batches = list(splitter.mini_batches())
    names = {batch.id: [sample.without_root(name) for name in splitter.item_names(batch)] for batch in batches}
    paths = {batch.id: cast("list[str]", splitter.load(batch)) for batch in batches}
    partitions = {batch.id: batch.partition for batch in batches}
    known = FileNames(name for listed in names.values() for name in listed)
    everything = [pair for id in names for pair in zip(names[id], paths[id], strict=True)][:MOST_ROWS]
    ids = _Ids([path for listed in paths.values() for path in listed])
    for id in list(values)[:MOST_MINI_BATCHES]:
        for row in as_rows(values[id])[:MOST_ROWS]:
            text = text_of(row)
            if any(known.is_named(text, name, path) for name, path in zip(names[id], paths[id], strict=True)):
                continue
            if tells_partition(text, partitions[id]) and any(stem_of(name) in text for name in names[id]):
                continue
            if any(known.is_named(text, name, path) for name, path in everything):
                # The name of another one: that a row is there which belongs elsewhere is the business of others.
                continue
            if not ids.tell(row, paths[id]):
                return Unnamed(Row(row), id, fix="add the name of the file to each row, such as os.path.basename(path)")
    return Unnamed()


def unnamed_row_of_table(entry: EntryUnderTest, values: Mapping[int, object]) -> Unnamed:
    """A row without a value of a column that identifies the rows of the input; values: by mini-batch."""
    splitter = open_input(entry.copy_sample().input, entry.settings)
    frames: dict[int, pd.DataFrame] = {}
    partitions: dict[int, Partition] = {}
    rows = 0
    for batch in splitter.mini_batches():
        if batch.id in values and len(frames) < MOST_MINI_BATCHES and rows < MOST_ROWS:
            frames[batch.id] = rows_of(splitter.load(batch))
            partitions[batch.id] = batch.partition
            rows += batch.size
    returned = {id: as_rows(values[id]) for id in frames if len(as_rows(values[id]))}
    if not returned:
        return Unnamed(reason="run() returned no rows")
    keys, others = identifying_columns(rows_of(joined([frames[id] for id in returned])))
    candidates = keys + others
    found = [echoed(results, frames[id], candidates) for id, results in returned.items()]
    if set.intersection(*found):
        return Unnamed()
    first = next(iter(returned))
    texts = all(
        names_somewhere(results, frames[id], keys) or has_whole_row(results, frames[id])
        for id, results in returned.items()
    )
    if texts or all(_named_in_partition(rows, frames[id], partitions[id]) for id, rows in returned.items()):
        return Unnamed()
    if not keys:
        return Unnamed(
            reason="no column of the sample identifies a row (one without repetition that is no measured number), so "
            "there is nothing that the output could name"
        )
    return Unnamed(Row(returned[first][0]), first, fix=f"keep the column {keys[0]!r} of the input in the output")


def _named_in_partition(rows: Sequence[object], frame: pd.DataFrame, partition: Partition) -> bool:
    """Whether each row tells its partition, and a value that no other row of the partition has."""
    if not all(tells_partition(text_of(row), partition) for row in rows):
        return False
    keys, others = identifying_columns(frame)
    return len(frame) == 1 or bool(echoed(rows, frame, keys + others))


class _Ids:
    """The ids that the files of a sample hold: one that is in a single file names that one."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths[:MOST_ROWS]

    @cached_property
    def _holders(self) -> dict[str, list[str]]:
        holders: dict[str, list[str]] = {}
        for path in self._paths:
            for word in ids_in_file(path):
                holders.setdefault(word, []).append(path)
        return holders

    def tell(self, row: object, paths: list[str]) -> bool:
        """Whether the row has an id that one of these files has, and no other."""
        holders = (self._holders.get(word, []) for word in ids_in_row(row))
        return any(len(found) == 1 and found[0] in paths for found in holders)

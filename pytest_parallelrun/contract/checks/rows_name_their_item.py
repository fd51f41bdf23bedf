"""Rows do not identify their item."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.bounds import (
    MAX_NAMED_RESULTS,
    MAX_NAMED_ROWS,
    MAX_ROWS,
    MAX_SEARCHED_BYTES,
    MAX_SEARCHED_PAIRS,
    MAX_SEARCHED_ROWS,
    evenly,
)
from pytest_parallelrun.contract.entry.baseline import part_of
from pytest_parallelrun.contract.entry.mini_batches import joined, rows_of
from pytest_parallelrun.contract.entry.preconditions import rows_are_only_counted, skip_without_results
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.phrases import appended_output
from pytest_parallelrun.contract.rows.comparison import difference, row_text
from pytest_parallelrun.contract.rows.items import FileNames, identifying_columns, stem_of
from pytest_parallelrun.contract.rows.values import Key, is_null, number_in, text_of, values_of
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.splitting.model import ItemName, MiniBatch, Partition

MIN_ID_LENGTH = 4
"""Minimum length of a word with a digit that can identify an item."""

NO_ROWS = "run() returned no rows"

Results = Mapping[int, object]
"""What run() returned, by mini-batch."""


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
    batches = _searched(parallelrun_baseline, values)
    if parallelrun_observations.kind == "files":
        unnamed = _unnamed_row_of_files(parallelrun_entry, batches, values)
    else:
        unnamed = _unnamed_row_of_table(parallelrun_entry, batches, values, parallelrun_check)
    if len(batches) < len(parallelrun_baseline.last_returned):
        total = count_text(len(parallelrun_baseline.last_returned), "mini-batch")
        parallelrun_check.note(f"searched the results of the first {len(batches):,} of {total}")
    if unnamed is None or rows_are_only_counted(parallelrun_observations, parallelrun_check):
        return
    label = next(one.label for one in returned if one.mini_batch == unnamed.mini_batch)
    moved = _moved_row(parallelrun_observations)
    parallelrun_check.advise(
        Finding(
            what=f"{appended_output(parallelrun_entry.settings)} rows do not identify their item: "
            f"{row_text(unnamed.row)}, of {label}."
            + (
                " run() changes their order as well, so their position does not identify it either: another call for "
                f"the same items returned the same values, {row_text(moved[1])} in the place of {row_text(moved[0])}."
                if moved
                else ""
            ),
            service="rows of several workers come in any order, so they cannot be matched to their items",
            fix=unnamed.fix
            + (
                ", before anything changes their order. At the least keep the order of the mini-batch, without "
                "sample(frac=1), random.shuffle(), a set, as_completed() or imap_unordered()."
                if moved
                else ""
            ),
        )
    )


def _moved_row(observations: Observations) -> tuple[object, object] | None:
    """Rows in the same place of two results for the same items, which have the same rows in another order."""
    screening = observations.screening
    for one, other in screening.compared() if screening.pair and screening.backward else ():
        if not one.rows or not other.rows or difference(one.rows, other.rows) is not None:
            continue
        for pair in zip(one.rows, other.rows, strict=True):
            if difference(pair[:1], pair[1:]) is not None:
                return pair
    return None


def _searched(baseline: Baseline, values: Results) -> list[MiniBatch]:
    """The first mini-batches, until they have enough items."""
    searched: list[MiniBatch] = []
    items = 0
    for attempt in baseline.last_returned:
        if attempt.mini_batch.id in values and len(searched) < MAX_NAMED_RESULTS and items < MAX_NAMED_ROWS:
            searched.append(attempt.mini_batch)
            items += attempt.mini_batch.size
    return searched


class UnnamedRow(NamedTuple):
    """A row of the output that identifies no item. fix: what to do."""

    row: object
    mini_batch: int
    fix: str


def _unnamed_row_of_files(entry: EntryUnderTest, batches: Iterable[MiniBatch], values: Results) -> UnnamedRow | None:
    """A row with neither a name nor a word that is only in its file. batches: those whose results are searched."""
    # The user's files, since the run may have removed their copies.
    splitter = entry.opened

    def named(batch: MiniBatch) -> Iterator[tuple[ItemName, str]]:
        return zip(splitter.item_names(batch), cast("list[str]", splitter.load(batch)), strict=True)

    known = FileNames(name for batch in splitter.mini_batches() for name in splitter.item_names(batch))
    everything = list(islice((pair for batch in splitter.mini_batches() for pair in named(batch)), MAX_NAMED_ROWS))
    ids = _Ids([path for _, path in everything])
    for batch in batches:
        own = list(named(batch))
        for row in as_rows(values[batch.id])[:MAX_NAMED_ROWS]:
            text = text_of(row)
            if any(known.is_named(text, name, path) for name, path in own):
                continue
            if _tells_partition(text, batch.partition) and any(stem_of(name) in text for name, _ in own):
                continue
            if any(known.is_named(text, name, path) for name, path in everything):
                # The name of another item: other checks report rows in the wrong place.
                continue
            if not ids.names_one_of(row, [path for _, path in own]):
                return UnnamedRow(row, batch.id, _naming(text, [name for name, _ in own], everything))
    return None


def _naming(text: str, own: Iterable[ItemName], everything: Iterable[tuple[ItemName, str]]) -> str:
    """How each row can name its file. own: the files of its mini-batch."""
    for base in {os.path.basename(name) for name in own}:
        alike = [name for name, _ in everything if os.path.basename(name) == base]
        if len(alike) > 1 and re.search(rf"\b{re.escape(stem_of(base))}\b", text):
            parts = max(len(name.split(os.sep)) for name in alike)
            return (
                f"{len(alike)} files are named {base}: add the folder to each row too, such as "
                f'"/".join(Path(path).parts[-{parts}:])'
            )
    return "add the name of the file to each row, such as os.path.basename(path)"


def _unnamed_row_of_table(
    entry: EntryUnderTest, batches: Iterable[MiniBatch], values: Results, check: Check
) -> UnnamedRow | None:
    """A row without a value of a column that identifies the rows of the input."""
    __tracebackhide__ = True
    frames = {batch.id: rows_of(entry.opened.load(batch)) for batch in batches}
    partitions = {batch.id: batch.partition for batch in batches}
    returned = {id: as_rows(part_of(values[id], MAX_NAMED_ROWS)) for id in frames if len(cast("Sized", values[id]))}
    several = {id: len(cast("Sized", values[id])) > len(frame) for id, frame in frames.items()}
    if not returned:
        check.cannot_decide(NO_ROWS)
    keys, others = identifying_columns(rows_of(joined([frames[id].head(MAX_ROWS) for id in returned])))
    candidates = keys + others
    # The rows in the same places are enough where run() keeps their order.
    for whole in (False, True):
        if whole and all(_has_whole_row(results, frames[id]) for id, results in returned.items()):
            return None
        if whole and max(map(len, frames.values())) > MAX_SEARCHED_ROWS:
            check.cannot_decide(
                "the output does not name the rows of the input in their order, and mini-batches of more than "
                f"{MAX_SEARCHED_ROWS:,} rows are not searched for them"
            )
        parts = {id: frames[id] if whole else _some_rows(frames[id], len(returned[id])) for id in returned}
        echoes = [_echoed(rows, parts[id], candidates, several=several[id]) for id, rows in returned.items()]
        if set.intersection(*echoes):
            return None
    texts = all(
        _names_somewhere(results, frames[id], keys) or _has_whole_row(results, frames[id])
        for id, results in returned.items()
    )
    if texts or all(
        _named_in_partition(rows, frames[id], partitions[id], several=several[id]) for id, rows in returned.items()
    ):
        return None
    if not keys:
        check.cannot_decide(
            "no column of the sample identifies its rows (each repeats values, or holds measurements), so there is "
            "nothing that the output could name"
        )
    first, rows_of_first = next(iter(returned.items()))
    return UnnamedRow(rows_of_first[0], first, f"keep the column {keys[0]!r} of the input in the output")


def _some_rows(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    return cast("pd.DataFrame", frame.take(evenly(range(len(frame)), count)))


def _named_in_partition(rows: Sequence[object], frame: pd.DataFrame, partition: Partition, *, several: bool) -> bool:
    """Whether each row has the value of its partition, and one that no other row of the partition has."""
    if not all(_tells_partition(text_of(row), partition) for row in rows):
        return False
    keys, others = identifying_columns(frame)
    return len(frame) == 1 or bool(_echoed(rows, frame, keys + others, several=several))


class _Ids:
    """The ids in the files of a sample: a word that is in one file identifies it."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths

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
            text = stream.read(MAX_SEARCHED_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return set()
    return set(_ids(text))


def _echoed(
    rows: Sequence[object], frame: pd.DataFrame, columns: Sequence[str], *, several: bool
) -> set[tuple[str, Key]]:
    """(column, spot) where each row has another value of an input column; with `several` per item it may repeat."""
    echoes: set[tuple[str, Key]] = set()
    values = [values_of(row) for row in rows]
    if not values:
        return echoes
    shared = set(values[0]).intersection(*values[1:])
    inputs = {name: Counter(_same(cell) for cell in _column(frame, name)) for name in columns}
    for spot in shared:
        held = Counter(_same(value[spot]) for value in values)
        for name, known in inputs.items():
            if held.keys() <= known.keys() and (several or held <= known):
                echoes.add((name, spot))
    return echoes


def _names_somewhere(rows: Sequence[object], frame: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Whether the text of each row, or of some of them if there are many, contains a value of a text column."""
    searched = [text_of(row) for row in evenly(rows, max(1, MAX_SEARCHED_PAIRS // max(len(frame), 1)))]
    for name in columns:
        texts = [cell for cell in _column(frame, name) if isinstance(cell, str) and len(cell.strip()) > 1]
        if len(texts) == len(frame) and all(any(text in row for text in texts) for row in searched):
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

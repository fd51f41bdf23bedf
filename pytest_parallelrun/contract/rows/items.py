"""The item that a row belongs to: the file that it names, or its position among as many rows as items."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.bounds import MAX_NAMED_RESULTS, MAX_SEARCHED_PAIRS
from pytest_parallelrun.contract.entry.mini_batches import joined, rows_of
from pytest_parallelrun.contract.rows.values import text_of
from pytest_parallelrun.emulator.event_log import NOT_KEPT
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    import pandas as pd

    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.splitting.model import ItemName

UNIT = "mini-batch of "
"""Begins the name of a mini-batch whose rows cannot be assigned to its items."""


def rows_by_item(baseline: Baseline) -> dict[str, list[object]]:
    """The returned rows of each item, sorted by item; those of a mini-batch together where its items are unclear."""
    last = {attempt.mini_batch.id: attempt for attempt in baseline.result.attempts if attempt.returned is not None}
    names = {id: baseline.item_names(attempt) for id, attempt in last.items()}
    known = FileNames(name for listed in names.values() for name in listed)
    in_files = baseline.result.splitter_kind == "files"
    assigned: dict[str, list[object]] = {}
    order: dict[str, tuple[str, int]] = {}
    for id, attempt in sorted(last.items()):
        rows = as_rows(attempt.value)
        owners = _owners(rows, names[id], known, baseline.sample.root if in_files else None)
        unit = UNIT + baseline.items(attempt)
        for position, row in enumerate(rows):
            item = names[id][0] if owners is None else owners[position]
            name = (unit if owners is None else str(item)).replace(os.sep, "/")
            assigned.setdefault(name, []).append(row)
            order.setdefault(name, (item.file.replace(os.sep, "/"), item.row or 0))
    return {name: assigned[name] for name in sorted(assigned, key=lambda name: (order[name], name))}


def _owners(
    rows: Sequence[object], names: Sequence[ItemName], known: FileNames, root: str | None
) -> list[ItemName] | None:
    """The item of each row; None if that is unclear. root: of the files, None for rows of a table."""
    if len(names) == 1:
        return [names[0]] * len(rows)
    if root is not None:
        if len(rows) == len(names) and all(
            known.is_named(text_of(row), name, root + name) for row, name in zip(rows, names, strict=True)
        ):
            return list(names)
        found = list(_named(rows, names, known, root)) if len(rows) * len(names) <= MAX_SEARCHED_PAIRS else []
        if len(found) == len(rows) and not (len(rows) == len(names) and _are_labels(rows, found, names)):
            return found
    return list(names) if len(rows) == len(names) else None


def _are_labels(rows: Sequence[object], found: Sequence[ItemName], names: Sequence[ItemName]) -> bool:
    """Whether rows are results that happen to be names, such as "cat" for dog.jpg, where there is a cat.jpg too."""
    if any(os.path.basename(name) in text_of(row) for row, name in zip(rows, found, strict=True)):
        return False
    values = (next(iter(row.values())) if isinstance(row, Mapping) and len(row) == 1 else row for row in rows)
    return set(found) != set(names) or all(
        str(value) in _stems_of(name) for value, name in zip(values, found, strict=True)
    )


def _named(rows: Sequence[object], names: Sequence[ItemName], known: FileNames, root: str) -> Iterator[ItemName]:
    """The item that each row names, up to the first row that names none or several."""
    for row in rows:
        text = text_of(row)
        # A number may be a result: 7 is not "7.png".
        named = [name for name in names if not stem_of(name).isdigit() or os.path.basename(name) in text]
        named = sorted((name for name in named if known.is_named(text, name, root + name)), key=len)
        # A text with "11.txt" has "1.txt" in it.
        if not named or not all(name in named[-1] for name in named):
            return
        yield named[-1]


class LateRow(NamedTuple):
    """A row in the results of a later mini-batch than its item was in.

    attempt: the first one that got the item and lacks its row. missing: all items whose rows it lacks. later: the one
    that has the row.
    """

    item: ItemName
    attempt: AttemptEnded
    missing: Sequence[ItemName]
    later: AttemptEnded


def late_row(entry: EntryUnderTest, baseline: Baseline) -> LateRow | None:
    """The first row that came late; None if there is none, or rows do not name their items."""
    attempts = [one for one in baseline.result.attempts if one.returned is not None and one.value is not NOT_KEPT]
    attempts = attempts[:MAX_NAMED_RESULTS]
    for named in _items_named(entry, baseline, attempts):
        waiting: dict[ItemName, tuple[AttemptEnded, Sequence[ItemName]]] = {}
        for attempt, owners in zip(attempts, named, strict=True):
            for item in owners:
                if item in waiting and waiting[item][0].mini_batch.id != attempt.mini_batch.id:
                    return LateRow(item, *waiting[item], attempt)
            missing = [item for item in baseline.item_names(attempt) if item not in owners]
            for item in missing:
                waiting.setdefault(item, (attempt, missing))
    return None


def _items_named(
    entry: EntryUnderTest, baseline: Baseline, attempts: Sequence[AttemptEnded]
) -> Iterator[list[list[ItemName]]]:
    """The item that each row of the attempts names, for each way of naming them by which each row names just one."""
    batches = {attempt.mini_batch.id: attempt for attempt in attempts}
    items = {name: None for attempt in batches.values() for name in baseline.item_names(attempt)}
    texts = [[text_of(row) for row in as_rows(attempt.value)] for attempt in attempts]
    if sum(map(len, texts)) * len(items) > MAX_SEARCHED_PAIRS:
        return
    ways: list[Callable[[str], list[ItemName]]]
    if baseline.result.splitter_kind == "files":
        known, root = FileNames(items), baseline.sample.root
        ways = [lambda text: [item for item in items if known.is_named(text, item, root + item)]]
    else:
        table = rows_of(joined([entry.opened.load(attempt.mini_batch) for attempt in batches.values()]))
        columns = [dict(zip(map(str, table[column]), items, strict=True)) for column in identifying_columns(table)[0]]
        ways = [partial(_named_in, column) for column in columns]
    for way in ways:
        named = [[way(text) for text in rows] for rows in texts]
        if all(len(items_of_row) == 1 for rows in named for items_of_row in rows):
            yield [[items_of_row[0] for items_of_row in rows] for rows in named]


def _named_in(column: Mapping[str, ItemName], text: str) -> list[ItemName]:
    return [column[word] for word in set(re.split(r"[,;|\s]+", text)) if word in column]


def identifying_columns(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """(key columns, other columns without duplicates): a measurement is unique by chance."""
    keys: list[str] = []
    others: list[str] = []
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if len(column) < 2 or column.isna().any() or not column.is_unique:
            continue
        (others if column.dtype.kind in "fb" else keys).append(str(name))
    return keys, others


class FileNames:
    """The names that rows may give to the items of a sample. all_names: relative paths, each once."""

    def __init__(self, all_names: Iterable[str]) -> None:
        names = [name.replace("\\", "/") for name in all_names]
        self._bases = Counter(name.rpartition("/")[2] for name in names)
        self._stems = Counter(stem for name in names for stem in _stems_of(name))

    def is_named(self, text: str, name: str, path: str) -> bool:
        """Whether a text has a name of the item that no other item has."""
        name, text = name.replace("\\", "/"), text.replace("\\\\", "/").replace("\\", "/")
        folder, _, base = name.rpartition("/")
        parent = folder.rpartition("/")[2] or os.path.basename(os.path.dirname(path))
        if name in text and (folder or self._bases[base] == 1):
            return True
        if base in text:
            return self._bases[base] == 1 or parent in text
        return any(
            re.search(rf"(?<![A-Za-z0-9]){re.escape(stem)}(?![A-Za-z0-9])", text) is not None
            and (self._stems[stem] == 1 or parent in text)
            for stem in _stems_of(name)
        )


def stem_of(name: str) -> str:
    """The name of a file without its folder and its extension."""
    base = name.rpartition("/")[2]
    return base.rpartition(".")[0] or base


def _stems_of(name: str) -> set[str]:
    """Without its last extension, and without all of them: "scan.nii.gz" is "scan" as well."""
    stem = stem_of(name)
    return {stem, stem.partition(".")[0] or stem}

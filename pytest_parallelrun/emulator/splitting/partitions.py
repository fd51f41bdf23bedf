"""Tables and files that are partitioned: one mini-batch for each combination of the partition keys' values."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.errors import InputError, did_you_mean
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.emulator.splitting.model import (
    InputKind,
    ItemName,
    ItemNames,
    MiniBatch,
    Partition,
    TableSplitter,
    count_text,
    numbered,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


CHUNK_BYTES = 4 << 20
"""Of the table below: what is read at once to find or to load the rows of a partition."""
KEPT_BYTES = 64 << 20
"""Of chunks that stay in memory: rows of one partition may lie in many of them."""

_NAMED_FOLDER = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")


class PartitionedTable:
    """Hands over the rows of a partition, those of all files together, with an index from 0.

    Partitions are sorted by the texts of their values; a null is the text "". The rows of one keep their order. A key
    is a column, or the name of a folder "key=value", which becomes a column: the first ones, as those that mltable
    extracts from paths are.

    table: opened so that its mini-batches have CHUNK_BYTES. InputError for a key that does not exist.
    """

    kind: InputKind = "tabular"
    total_mini_batches: int | None = None
    total_items: int | None = None

    def __init__(self, table: TableSplitter, keys: Sequence[str]) -> None:
        self._table = table
        self.form = table.form
        self._keys = tuple(keys)
        self._kept: OrderedDict[int, pd.DataFrame] = OrderedDict()
        self._chunks = [chunk for chunk in table.mini_batches() if chunk.size]
        existing = list(table.columns)
        self._levels = _LevelColumns([table.path_of(chunk) for chunk in self._chunks], set(keys) - {*existing})
        existing += [name for name in self._levels.existing if name not in existing]
        for key in keys:
            if key not in existing:
                raise no_such_key(key, existing, f"a column of {table.title}")
        self._parts: dict[tuple[str, ...], list[tuple[int, np.ndarray]]] = {}
        for number in range(len(self._chunks)):
            for values, rows in _groups(self._chunk(number), self._keys):
                self._add(values, number, rows)
        self._values = sorted(self._parts)

    def _add(self, values: tuple[str, ...], number: int, rows: np.ndarray) -> None:
        import numpy as np

        parts = self._parts.setdefault(values, [])
        if parts and parts[-1][0] == number:
            # Two values with one text, such as null and "".
            rows = np.sort(np.concatenate([parts.pop()[1], rows]))
        parts.append((number, rows))

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered(
            (sum(len(rows) for _, rows in self._parts[values]), values, tuple(zip(self._keys, values, strict=True)))
            for values in self._values
        )

    def load(self, mini_batch: MiniBatch) -> pd.DataFrame:
        import pandas as pd

        parts = self._parts[cast("tuple[str, ...]", mini_batch.position)]
        frames = [self._chunk(number).take(rows) for number, rows in parts]
        partition: pd.DataFrame = pd.concat(frames, ignore_index=True)
        return partition

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        parts = self._parts[cast("tuple[str, ...]", mini_batch.position)]
        ends = list(accumulate(len(rows) for _, rows in parts))

        def name_of(position: int) -> ItemName:
            part = bisect_right(ends, position)
            number, rows = parts[part]
            return self._table.item_names(self._chunks[number])[int(rows[position - ends[part]])]

        return ItemNames(mini_batch.size, name_of)

    def describe(self) -> str:
        return (
            f"{self._table.content}, one mini-batch for each {' and '.join(self._keys)}: "
            f"{count_text(len(self._values), 'mini-batch')}"
        )

    def _chunk(self, number: int) -> pd.DataFrame:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        chunk = self._chunks[number]
        frame = self._levels.added(self._table.load(chunk), number)
        self._kept[number] = frame
        while len(self._kept) > 1 and sum(size_of(kept) for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return frame


class _LevelColumns:
    """Columns that are made of folders "key=value": integers where all their values are, else texts."""

    def __init__(self, paths: Sequence[str], wanted: set[str]) -> None:
        self._levels = [named_levels(path) for path in paths]
        in_all = set.intersection(*map(set, self._levels)) if self._levels else set()
        self.existing = [key for key in (self._levels[0] if self._levels else ()) if key in in_all]
        self.names = [name for name in self.existing if name in wanted]
        self._of_integers = {
            name
            for name in self.names
            if all(_WHOLE_NUMBER.fullmatch(levels[name]) is not None for levels in self._levels)
        }

    def added(self, frame: pd.DataFrame, number: int) -> pd.DataFrame:
        """The rows of the chunk of that number with these columns before the others."""
        for position, name in enumerate(self.names):
            value = self._levels[number][name]
            frame.insert(position, name, int(value) if name in self._of_integers else value)
        return frame


def _groups(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """The values of the keys as texts, and the rows that have them, in their order."""
    import numpy as np
    import pandas as pd

    labels = [str(label) for label in frame.columns]
    combined = np.zeros(len(frame), dtype=np.int64)
    columns: list[tuple[np.ndarray, list[str]]] = []
    for key in keys:
        codes, values = pd.factorize(frame.iloc[:, labels.index(key)])
        texts = [*map(text_of, values), ""]
        columns.append((codes, texts))
        # Null has the code -1, and so the last text. Numbered anew for each key, or many keys would overflow.
        combined, _ = pd.factorize(combined * len(texts) + codes + 1)
    order = np.argsort(combined, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(combined[order])) + 1):
        yield tuple(texts[codes[rows[0]]] for codes, texts in columns), rows


def text_of(value: object) -> str:
    """The text of a value of a key, which is no null."""
    if isinstance(value, float) and value.is_integer():
        # Integers in a column that has nulls elsewhere.
        return str(int(value))
    return str(value)


def size_of(frame: pd.DataFrame) -> int:
    return int(frame.memory_usage(deep=False).sum())


class PartitionedFileSplitter(FileSplitter):
    """Hands over the absolute paths of a partition, sorted by the values of its keys; its size does not matter.

    Source: SDK reference of ParallelRunConfig (`partition_keys`), and the official samples for partitioned input.

    names, root, known, label: those of FileSplitter. values: of the keys, for each name.
    """

    def __init__(
        self,
        root: str,
        names: Sequence[str],
        values: Sequence[tuple[str, ...]],
        keys: Sequence[str],
        *,
        known: Collection[str] | None = None,
        label: str,
    ) -> None:
        order = sorted(range(len(names)), key=values.__getitem__)
        super().__init__(root, [names[number] for number in order], 1, known=known, label=label)
        self._keys = tuple(keys)
        self._partitions: list[tuple[Partition, int]] = [
            (tuple(zip(keys, values_of_keys, strict=True)), sum(1 for _ in numbers))
            for values_of_keys, numbers in groupby(order, key=values.__getitem__)
        ]
        self.total_mini_batches = len(self._partitions)

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered((size, None, partition) for partition, size in self._partitions)

    def describe(self) -> str:
        return (
            f"{count_text(len(self._names), 'file')} {self._label}, one mini-batch for each "
            f"{' and '.join(self._keys)}: {count_text(len(self._partitions), 'mini-batch')}"
        )


def named_levels(name: str) -> dict[str, str]:
    """Value by key of the folders "key=value" in a relative path."""
    matches = [_NAMED_FOLDER.fullmatch(level) for level in name.split(os.sep)[:-1]]
    return {match[1]: match[2] for match in matches if match is not None}


def values_by_path(names: Sequence[str], keys: Sequence[str], input_path: str) -> list[tuple[str, ...]]:
    """The values of the keys for each relative path.

    Where any folder is "key=value", each key is one of these. Where none is, N keys name the first N levels.
    InputError for a key that does not exist, and for a file that does not lie deep enough. input_path: as the
    user wrote it.
    """
    levels = [named_levels(name) for name in names]
    existing = list(dict.fromkeys(key for folders in levels for key in folders))
    if not existing:
        return [_first_levels(name, keys, input_path) for name in names]
    for key in keys:
        if key not in existing:
            raise no_such_key(key, existing, f"a folder '{key}=...' in the input '{input_path}'")
    values = []
    for name, folders in zip(names, levels, strict=True):
        for key in keys:
            if key not in folders:
                raise InputError(
                    f"partition_keys={','.join(keys)}: '{name}' in the input '{input_path}' lies in no folder "
                    f"'{key}=...', as others do. Move it away, or give a narrower glob."
                )
        values.append(tuple(folders[key] for key in keys))
    return values


def no_such_key(key: str, existing: Sequence[str], description: str) -> InputError:
    """The error of a key that does not exist; `description`: what it would have been."""
    have = f" The keys there are: {', '.join(existing)}." if existing else " There are no keys at all."
    near = did_you_mean(key, existing)
    suggestion = f" {near}" if near.startswith("Did") else ""
    return InputError(f"partition_keys: there is no '{key}', {description}.{suggestion}{have}")


def _first_levels(name: str, keys: Sequence[str], input_path: str) -> tuple[str, ...]:
    folders = name.split(os.sep)[:-1]
    if len(folders) < len(keys):
        raise InputError(
            f"partition_keys={','.join(keys)}: they name the first {count_text(len(keys), 'folder level')} of the "
            f"input '{input_path}', and '{name}' lies {len(folders)} deep. For columns of a table give a glob of its "
            "files, such as 'data/*.csv'."
        )
    return tuple(folders[: len(keys)])

"""An MLTable folder, read with the real mltable package: a table, or a list of files with keys from their paths.

The service hands the partitions that this reader makes, so its cut points, types and conversions are the service's own.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.emulator.splitting.input_paths import REMOTE, refuse_remote
from pytest_parallelrun.emulator.splitting.model import (
    Form,
    InputKind,
    ItemName,
    LoadError,
    MiniBatch,
    check_unchanged,
    count_text,
    numbered,
    refuse_rows,
    row_names,
)
from pytest_parallelrun.emulator.splitting.partitions import (
    CHUNK_BYTES,
    PartitionedFileSplitter,
    PartitionedTable,
    no_such_key,
)

if TYPE_CHECKING:
    import pandas as pd
    from mltable import MLTable

    from pytest_parallelrun.emulator.splitting.model import Partition, SplitSettings, Splitter


T = TypeVar("T")

PATH_COLUMN = "Path"
SIZED = ("read_delimited", "read_json_lines")
"""Readers that cut at a size in bytes; of Parquet each row group is a partition."""
REFUSED = ("read_delta_lake",)


class _UnreadableError(InputError):
    """What the reader itself refuses."""


def open_mltable(folder: str, input_path: str, settings: SplitSettings) -> Splitter:
    """The splitter of a folder with an MLTable file.

    folder: absolute. input_path: as the user wrote it. InputError where the mltable package is missing, the file is
    wrong, or it names data that is not here; EmptyInputError where there is nothing in it.
    """
    refuse_rows("mltable", settings.mini_batch_rows, f"input '{input_path}'")
    table = _call_reader(input_path, lambda: _load(folder))
    try:
        return _opened(table, folder, input_path, settings)
    except _UnreadableError as error:
        missing = _missing(table, folder)
        if not missing:
            raise
        # The reader only says that something is.
        raise InputError(f"input '{input_path}': its MLTable names what is not there: {', '.join(missing)}.") from error


def _opened(table: MLTable, folder: str, input_path: str, settings: SplitSettings) -> Splitter:
    readers = _checked_readers(table, input_path)
    if not readers:
        return _files(table, folder, input_path, settings)
    if settings.profile == "batch":
        raise InputError(
            f"input '{input_path}': its MLTable makes a table, and a batch deployment hands paths of files. Give the "
            "folder of the data, or take the read_... step out of the MLTable."
        )
    sized = readers[0] in SIZED
    if not settings.partition_keys:
        return MLTableSplitter(table, settings.bytes_per_mini_batch if sized else None, input_path)
    chunks = MLTableSplitter(table, CHUNK_BYTES if sized else None, input_path)
    return PartitionedTable(chunks, settings.partition_keys, allowed=_keys_of(table, input_path))


class MLTableSplitter:
    """Hands over the partitions of the reader as DataFrames with an index from 0.

    bytes_per_mini_batch: the size that the reader cuts at, None where it has cuts of its own.
    Columns and types are those that the reader makes of each partition: a column of integers that has a null in one
    partition is of floats in that one.
    """

    kind: InputKind = "tabular"
    total_mini_batches: int | None = None
    total_items: int | None = None

    def __init__(self, table: MLTable, bytes_per_mini_batch: int | None, input_path: str) -> None:
        self._input_path = input_path
        self.form: Form = "mltable_row_groups" if bytes_per_mini_batch is None else "mltable"
        self._size = bytes_per_mini_batch
        # What the service's runtime calls, and private all the same.
        self._table = table if bytes_per_mini_batch is None else table._with_partition_size(bytes_per_mini_batch)
        self._count = _call_reader(input_path, lambda: int(self._table.get_partition_count()))
        self._parsed: tuple[int, pd.DataFrame] | None = None
        first = next((batch for batch in self.mini_batches() if batch.size), None)
        if first is None:
            raise EmptyInputError(f"input '{input_path}': there is not a single row of data in it.")
        self.columns: Sequence[str] = [str(name) for name in self.load(first).columns]

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered(map(self._part, range(self._count)))

    def _part(self, number: int) -> tuple[int, int, Partition]:
        frame = _call_reader(self._input_path, lambda: self._partition(number))
        # Its rows had to be read to be counted: the first load need not do it again.
        self._parsed = number, frame
        return len(frame), number, ()

    def load(self, mini_batch: MiniBatch) -> pd.DataFrame:
        number = cast("int", mini_batch.position)
        parsed, self._parsed = self._parsed, None
        if parsed is not None and parsed[0] == number:
            return parsed[1]
        try:
            frame = _call_reader(self._input_path, lambda: self._partition(number))
        except InputError as error:
            raise LoadError(str(error)) from error
        check_unchanged(self._input_path, len(frame), mini_batch)
        return frame

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        return row_names(self._input_path, mini_batch.first_item, mini_batch.size)

    def path_of(self, mini_batch: MiniBatch) -> str:
        return ""

    @property
    def title(self) -> str:
        return f"the MLTable '{self._input_path}'"

    @property
    def content(self) -> str:
        return f"the table of the MLTable '{self._input_path}'"

    def describe(self) -> str:
        size = "" if self._size is None else f"{count_text(self._size, 'byte')} a mini-batch, "
        return f"{self.content}, {size}{count_text(self._count, 'partition')} of its reader"

    def _partition(self, number: int) -> pd.DataFrame:
        frame = self._table.select_partitions([number]).to_pandas_dataframe()
        return cast("pd.DataFrame", frame.reset_index(drop=True))


def _load(folder: str) -> MLTable:
    import mltable

    return mltable.load(folder)


def _call_reader(input_path: str, call: Callable[[], T]) -> T:
    """What a call of the reader returns, without its warnings and logs. InputError with what its error tells."""
    with warnings.catch_warnings(), _quiet(), reader_modules():
        warnings.simplefilter("ignore")
        try:
            return call()
        except ImportError as error:
            if error.name is not None and error.name.partition(".")[0] == "mltable":
                raise InputError(
                    f"input '{input_path}': reading an MLTable needs the package mltable: "
                    "pip install 'pytest-parallelrun[mltable]'."
                ) from None
            raise InputError(f"input '{input_path}': the package mltable cannot be imported: {error}.") from error
        except Exception as error:  # the reader raises errors of many packages, and RuntimeError
            raise _UnreadableError(f"input '{input_path}': its MLTable cannot be read: {_sentence(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No logging: the reader tells of each of its steps."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _sentence(error: Exception) -> str:
    text = str(error).partition("| session_id")[0]
    match = re.search(r"Error Message:\s*(.+)", text, re.DOTALL)
    lines = [line.strip() for line in (match[1] if match else text).splitlines() if line.strip()]
    return " ".join(lines[:6]) or type(error).__name__


def _checked_readers(table: MLTable, input_path: str) -> list[str]:
    """The read_... steps of an MLTable. InputError for data that is not here, or a reader that is not supported."""
    for path in table.paths:
        for address in dict(path).values():
            refuse_remote(str(address).removeprefix("file://"), f"input '{input_path}': its MLTable names '{address}'")
    steps = re.findall(r"^\s*-?\s*(read_\w+):?", str(table), re.MULTILINE)
    for step in steps:
        if step in REFUSED:
            raise InputError(f"input '{input_path}': {step} of its MLTable is not supported. Save a sample as Parquet.")
    return list(steps)


def _missing(table: MLTable, folder: str) -> list[str]:
    """The paths of an MLTable on this machine where nothing is, each with its kind, as it is written."""
    return [
        f"{kind} '{address}'"
        for path in table.paths
        for kind, address in dict(path).items()
        if not REMOTE.match(str(address))
        and not _exists(kind, os.path.join(folder, str(address).removeprefix("file://")))
    ]


def _exists(kind: str, path: str) -> bool:
    return bool(glob.glob(path, recursive=True)) if kind == "pattern" else os.path.exists(path)


def _keys_of(table: MLTable, input_path: str) -> list[str]:
    return _call_reader(input_path, lambda: [str(key) for key in table.partition_keys or ()])


def files_of(folder: str, input_path: str) -> tuple[str, list[str]] | None:
    """The folder that the files of an MLTable have in common with it, and their names in it; None where it is a table.

    InputError as `open_mltable()` raises it.
    """
    table = _call_reader(input_path, lambda: _load(folder))
    return None if _checked_readers(table, input_path) else _located(table, folder, input_path)[:2]


def _files(table: MLTable, folder: str, input_path: str, settings: SplitSettings) -> Splitter:
    keys = settings.partition_keys
    existing = _keys_of(table, input_path)
    for key in keys:
        if key not in existing:
            raise no_such_key(key, existing, f"a partition key of the MLTable '{input_path}'")
    root, names, frame = _located(table, folder, input_path)
    label = f"of the MLTable '{input_path}'"
    if not keys:
        grouping = settings.rules.file_grouping
        return FileSplitter(root, names, settings.files_per_mini_batch, grouping=grouping, label=label)
    values = list(zip(*(map(str, frame[key]) for key in keys), strict=True))
    return PartitionedFileSplitter(root, names, values, keys, label=label)


def _located(table: MLTable, folder: str, input_path: str) -> tuple[str, list[str], pd.DataFrame]:
    """The folder that all files have in common with the MLTable, their sorted names in it, and a row for each."""
    frame = _call_reader(input_path, table.to_pandas_dataframe)
    if not len(frame):
        raise EmptyInputError(f"input '{input_path}': its MLTable names no file.")
    if PATH_COLUMN not in frame.columns:
        raise InputError(
            f"input '{input_path}': its MLTable has no column '{PATH_COLUMN}' left, and run() would get its files "
            "by it."
        )
    # The reader lists folders in no order.
    frame = frame.assign(**{PATH_COLUMN: [os.path.abspath(str(path)) for path in frame[PATH_COLUMN]]})
    frame = frame.sort_values(PATH_COLUMN)
    paths = list(frame[PATH_COLUMN])
    root = os.path.join(os.path.commonpath([folder, *map(os.path.dirname, paths)]), "")
    return root, [path[len(root) :] for path in paths], frame


_ROOTS = ("azureml", "mltable")
_OURS = "pytest_parallelrun."

_kept_modules: dict[str, ModuleType] = {}


@contextmanager
def reader_modules() -> Iterator[None]:
    """Inside, imports find the modules of the reader, whatever a worker sees."""
    finders = list(sys.meta_path)
    outside = _present() if _kept_modules else None
    if outside is not None:
        _replace(outside, _kept_modules)
    sys.meta_path[:] = [finder for finder in finders if not type(finder).__module__.startswith(_OURS)]
    try:
        yield
    finally:
        sys.meta_path[:] = finders
        _kept_modules.update(_present())
        if outside is not None:
            _replace(_kept_modules, outside)


def _present() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in _ROOTS}


def _replace(old: dict[str, ModuleType], new: dict[str, ModuleType]) -> None:
    for name in old:
        sys.modules.pop(name, None)
    sys.modules.update(new)

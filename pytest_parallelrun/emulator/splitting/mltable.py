"""An MLTable folder, read with the real mltable package: a table, or a list of files with keys from their paths.

The service passes the partitions of this reader, so its cuts, types and conversions are those of the service.
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
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.guarded_yaml import read_guarded
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.emulator.splitting.input_paths import MLTABLE, REMOTE, files_below, refuse_remote
from pytest_parallelrun.emulator.splitting.model import (
    ItemName,
    LoadError,
    MiniBatch,
    Partition,
    Splitter,
    TableSplitter,
    check_unchanged,
    count_text,
    numbered,
    refuse_rows,
    row_names,
)
from pytest_parallelrun.emulator.splitting.partitions import (
    CHUNK_BYTES,
    KEPT_BYTES,
    PartitionedFileSplitter,
    PartitionedTable,
    no_such_key,
    size_of,
    text_of,
)

if TYPE_CHECKING:
    import pandas as pd
    from mltable import MLTable


T = TypeVar("T")

PATH_COLUMN = "Path"
SIZED = {"read_delimited", "read_json_lines"}
"""Readers that cut at a size in bytes; for Parquet each row group is a partition."""
REFUSED = ("read_delta_lake",)


class _UnreadableError(InputError):
    """What the reader itself refuses."""


def open_mltable(folder: str, input_path: str, settings: JobSettings) -> Splitter:
    """The splitter of a folder with an MLTable file.

    folder: absolute. input_path: as the user wrote it. InputError if the mltable package is missing, the file is wrong,
    or it names data that is not here; EmptyInputError if it is empty.
    """
    refuse_rows("mltable", settings.mini_batch_rows, f"input '{input_path}'")
    table = _read(folder, input_path)
    try:
        return _opened(table, folder, input_path, settings)
    except (_UnreadableError, LoadError) as error:
        missing = _missing(table, folder)
        if not missing and glob.escape(folder) != folder:
            raise InputError(f"{error} It takes '*', '?' and '[' in the path of its folder for a pattern.") from error
        if not missing:
            raise InputError(str(error)) from error
        # The reader only says that something is.
        raise _missing_error(missing, input_path) from error


def _opened(table: MLTable, folder: str, input_path: str, settings: JobSettings) -> Splitter:
    readers = _checked_readers(table, input_path)
    if not readers:
        return _files(table, folder, input_path, settings)
    if settings.profile == "batch":
        raise InputError(
            f"input '{input_path}': its MLTable makes a table, and a batch deployment passes paths of files. Give the "
            "folder of the data, or take the read_... step out of the MLTable."
        )
    sized = readers[0] in SIZED
    if not settings.partition_keys:
        return MLTableSplitter(table, settings.bytes_per_mini_batch if sized else None, input_path)
    chunks = MLTableSplitter(table, CHUNK_BYTES if sized else None, input_path)
    _check_keys(table, settings.partition_keys, chunks.columns, input_path)
    return _checked_values(PartitionedTable(chunks, settings.partition_keys), settings.partition_keys, input_path)


class MLTableSplitter(TableSplitter):
    """Returns the partitions of the reader as DataFrames with an index from 0.

    bytes_per_mini_batch: the size at which the reader cuts, None if it decides itself.
    Columns and types are those of each partition: an integer column with a null in one partition is a float column
    there.
    """

    def __init__(self, table: MLTable, bytes_per_mini_batch: int | None, input_path: str) -> None:
        self._input_path = input_path
        self.form = "mltable_row_groups" if bytes_per_mini_batch is None else "mltable"
        self.title = f"the MLTable '{input_path}'"
        self.content = f"the table of {self.title}"
        self._size = size = bytes_per_mini_batch or 0
        self._table = table if not size else _call_reader(input_path, lambda: _cut_at(table, size))
        self._count = _call_reader(input_path, lambda: int(self._table.get_partition_count()))
        self._parsed: dict[int, pd.DataFrame] = {}
        self._rows: dict[int, int] = {}
        self.columns = self._first_columns()

    def _first_columns(self) -> list[str]:
        """Of the first readable partition with rows. LoadError if there is none."""
        unreadable: LoadError | None = None
        for batch in self.mini_batches():
            try:
                if batch.size:
                    return [str(name) for name in self.load(batch).columns]
            except LoadError as error:
                unreadable = unreadable or error
        raise unreadable or EmptyInputError(f"input '{self._input_path}': there is not a single row of data in it.")

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered(map(self._part, range(self._count)))

    def _part(self, number: int) -> tuple[int, int, Partition]:
        if number not in self._rows:
            try:
                frame = _call_reader(self._input_path, lambda: self._partition(number))
            except _UnreadableError:
                # It is an item that fails: its rows are unknown, and loading it shows why.
                return 1, number, ()
            self._rows[number] = len(frame)
            # Its rows had to be read to be counted: the first load need not do it again.
            self._parsed[number] = frame
            while len(self._parsed) > 1 and sum(map(size_of, self._parsed.values())) > KEPT_BYTES:
                del self._parsed[next(iter(self._parsed))]
        return self._rows[number], number, ()

    def load(self, mini_batch: MiniBatch) -> pd.DataFrame:
        number = cast("int", mini_batch.position)
        if number in self._parsed:
            return self._parsed.pop(number)
        try:
            frame = _call_reader(self._input_path, lambda: self._partition(number))
        except InputError as error:
            raise LoadError(str(error)) from error
        check_unchanged(self._input_path, len(frame), mini_batch)
        return frame

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        return row_names(self._input_path, mini_batch.first_item, mini_batch.size)

    def describe(self) -> str:
        size = f"{count_text(self._size, 'byte')} a mini-batch, " if self._size else ""
        return f"{self.content}, {size}{count_text(self._count, 'partition')} of its reader"

    def _partition(self, number: int) -> pd.DataFrame:
        frame = self._table.select_partitions([number]).to_pandas_dataframe()
        return cast("pd.DataFrame", frame.reset_index(drop=True))


def _read(folder: str, input_path: str) -> MLTable:
    # The package would make all that aliases stand for.
    read_guarded(Path(folder, MLTABLE), f"input '{input_path}': its MLTable")
    return _call_reader(input_path, lambda: _load(folder))


def _load(folder: str) -> MLTable:
    import mltable

    return mltable.load(folder)


def _cut_at(table: MLTable, size: int) -> MLTable:
    """The table cut at a size in bytes.

    `_with_partition_size()`, which the service's runtime calls, does the same, but mltable 1.7 refuses it for an
    MLTable with any step after its reader.
    """
    content = _content(table)
    for step in content["transformations"]:
        for reader in SIZED.intersection(step):
            step[reader]["partition_size"] = size
    return cast("MLTable", type(table)._create_from_dict(content, table._path_pairs, table._load_uri))


def _content(table: MLTable) -> dict[str, Any]:
    """The MLTable as its reader writes it: each step is a mapping with its name."""
    import yaml

    return cast("dict[str, Any]", yaml.safe_load(str(table)))


def _call_reader(input_path: str, call: Callable[[], T]) -> T:
    """The result of a call of the reader, without its warnings and logs. InputError with its error message."""
    with warnings.catch_warnings(), reader_modules(), _quiet():
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
        except BaseException as error:
            # The reader raises errors of many packages, and a panic of its native part is not an Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise _UnreadableError(f"input '{input_path}': its MLTable cannot be read: {_sentence(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No logging: the reader logs each of its steps, and collects the whole stack for it, slowly in a deep one."""
    before = logging.root.manager.disable
    factory: Any = getattr(sys.modules.get("azureml.dataprep.api._loggerfactory"), "_LoggerFactory", None)
    get_stack = vars(factory).get("get_stack") if factory else None
    logging.disable(logging.CRITICAL)
    if get_stack:
        factory.get_stack = staticmethod(lambda *_, **__: None)
    try:
        yield
    finally:
        logging.disable(before)
        if get_stack:
            factory.get_stack = get_stack


def _sentence(error: BaseException) -> str:
    text = str(error).partition("| session_id")[0]
    match = re.search(r"Error Message:\s*(.+)", text, re.DOTALL)
    lines = [line.strip() for line in (match[1] if match else text).splitlines() if line.strip()]
    return " ".join(lines[:6]) or type(error).__name__


def _checked_readers(table: MLTable, input_path: str) -> list[str]:
    """The read_... steps of an MLTable. InputError for data that is not here, or a reader that is not supported."""
    for path in table.paths:
        for address in dict(path).values():
            refuse_remote(str(address).removeprefix("file://"), f"input '{input_path}': its MLTable names '{address}'")
    steps = _call_reader(input_path, lambda: _content(table)).get("transformations") or ()
    readers = [name for step in steps for name in step if name.startswith("read_")]
    for reader in readers:
        if reader in REFUSED:
            raise InputError(
                f"input '{input_path}': {reader} of its MLTable is not supported. Save a sample as Parquet."
            )
    return readers


def _missing_error(missing: Sequence[str], input_path: str) -> InputError:
    return InputError(f"input '{input_path}': its MLTable names what is not there: {', '.join(missing)}.")


def _missing(table: MLTable, folder: str) -> list[str]:
    """The local paths of an MLTable that do not exist, each with its kind, as written."""
    return [
        f"{kind} '{address}'"
        for path in table.paths
        for kind, address in dict(path).items()
        if not REMOTE.match(str(address)) and not _exists(kind, folder, str(address).removeprefix("file://"))
    ]


def _exists(kind: str, folder: str, path: str) -> bool:
    if kind == "pattern":
        return bool(glob.glob(path, root_dir=folder, recursive=True))
    return os.path.exists(os.path.join(folder, path))


def _check_keys(table: MLTable, keys: Sequence[str], columns: Sequence[str], input_path: str) -> None:
    """InputError for a key that the MLTable does not take from paths, or drops again."""
    taken = _call_reader(input_path, lambda: [str(key) for key in table.partition_keys or ()])
    existing = [key for key in taken if key in columns]
    for key in keys:
        if key not in existing and key in taken:
            raise InputError(
                f"partition_keys: '{key}' is dropped by a later step of the MLTable '{input_path}': take it out of "
                f"drop_columns. Keys that are left: {', '.join(existing) or 'none'}."
            )
        if key not in existing:
            error = no_such_key(key, existing, f"a partition key of the MLTable '{input_path}'")
            hint = "" if existing else " Its step extract_columns_from_partition_format would take them from paths."
            raise InputError(f"{error}{hint}")


def _checked_values(split: Splitter, keys: Sequence[str], input_path: str) -> Splitter:
    """InputError if no path has a value of any key: a single mini-batch is not a partition."""
    if any(value for batch in split.mini_batches() for _, value in batch.partition):
        return split
    raise InputError(
        f"partition_keys={','.join(keys)}: no path in the MLTable '{input_path}' has a value of them. "
        "partition_format must fit the paths, and a read_... step before it needs include_path_column: true."
    )


def files_of(folder: str, input_path: str) -> tuple[str, list[str]] | None:
    """The common folder of the MLTable and its files, and their names in it; None if it is a table.

    InputError as from `open_mltable()`.
    """
    table = _read(folder, input_path)
    return None if _checked_readers(table, input_path) else _located(table, folder, input_path)[:2]


def _files(table: MLTable, folder: str, input_path: str, settings: JobSettings) -> Splitter:
    import pandas as pd

    keys = settings.partition_keys
    root, names, frame = _located(table, folder, input_path)
    missing = _missing(table, folder)
    if missing:
        # The reader lists missing files too.
        raise _missing_error(missing, input_path)
    _check_keys(table, keys, list(frame.columns), input_path)
    label = f"of the MLTable '{input_path}'"
    if not keys:
        grouping = settings.rules.file_grouping
        return FileSplitter(root, names, settings.files_per_mini_batch, grouping=grouping, label=label)
    texts = (["" if pd.isna(value) else text_of(value) for value in frame[key]] for key in keys)
    values = list(zip(*texts, strict=True))
    return _checked_values(PartitionedFileSplitter(root, names, values, keys, label=label), keys, input_path)


def _located(table: MLTable, folder: str, input_path: str) -> tuple[str, list[str], pd.DataFrame]:
    """The common folder of all files and the MLTable, their sorted names in it, and a row for each."""
    frame = _call_reader(input_path, table.to_pandas_dataframe)
    if len(frame) and PATH_COLUMN not in frame.columns:
        raise InputError(
            f"input '{input_path}': its MLTable has no column '{PATH_COLUMN}' left, and run() would get its files "
            "by it."
        )
    # The reader lists folders in no order.
    frame = frame.assign(**{PATH_COLUMN: [_files_at(str(path)) for path in frame.get(PATH_COLUMN, ())]})
    frame = frame.explode(PATH_COLUMN).dropna(subset=[PATH_COLUMN]).sort_values(PATH_COLUMN)
    paths = list(frame[PATH_COLUMN])
    if not paths:
        raise EmptyInputError(f"input '{input_path}': its MLTable names no file.")
    root = os.path.join(os.path.commonpath([folder, *map(os.path.dirname, paths)]), "")
    return root, [path[len(root) :] for path in paths], frame


def _files_at(path: str) -> list[str]:
    """A path, or all files below it if it is a folder, as the service finds them in its mount."""
    path = os.path.abspath(path)
    if not os.path.isdir(path):
        return [path]
    root = os.path.join(path, "")
    return [root + name for name in files_below(root)]


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

"""Tables in CSV files: mini-batches of a number of bytes of whole records, as DataFrames.

The documents only say that `mini_batch_size` is an approximate size. The rule is that of the reader in the mltable
package: a file is cut at multiples of the size, including the header, and a record belongs where it starts. A new file
starts a new mini-batch (v1 troubleshooting guide of the parallel run step: mini-batches never cross files). If no
record starts between two cuts, that reader has a mini-batch without rows, for which run() is not called; here there is
none.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting.csv_file import ColumnType, CsvFile
from pytest_parallelrun.emulator.splitting.model import (
    Form,
    ItemName,
    LoadError,
    MiniBatch,
    Partition,
    TableSplitter,
    check_unchanged,
    count_text,
    numbered,
    read_range,
    row_names,
)

if TYPE_CHECKING:
    import pandas as pd

INFERENCE_BYTES = 4 << 20
"""Bytes of a file that are read together to infer column types."""

EXACT_BYTES = 32 << 20
"""Bytes at the start of an input that are read to infer types; of later files only the start is."""
BEGINNING = 64 << 10


class _Span(NamedTuple):
    """The bytes of a mini-batch, and the row (from 0) in its file at which they start."""

    file: CsvFile
    offset: int
    length: int
    first_row: int


class CsvSplitter(TableSplitter):
    """Hands over DataFrames with an index from 0, and the same columns in all of them.

    Columns are taken by name: they are those of all files, in the order in which they come first, and null where a file
    does not have one (`all_files_different_headers` of mltable's read_delimited, which for equal headers is its
    default). Column types are inferred once, by column name over all files, and hold for every mini-batch; they are
    those that pandas infers from the whole input, but integers that no type of 64 bits holds may be text. Of an input
    beyond EXACT_BYTES the first are looked at, and the beginning of each file; a mini-batch that does not fit has the
    types that its own rows need, in the columns that do not fit: what the service's reader does, which infers from the
    first rows. Dates stay text. Blank lines are no items. A file with nothing but a header is a mini-batch of 0 rows;
    one of zero bytes is none.

    paths: (absolute path, name for messages) of each file, in order.
    delimiter: one ASCII character; of a .tsv file it is a tab unless another than a comma is set.
    Raises InputError for a file that cannot be read or parsed, EmptyInputError where no file has a row.
    """

    form: Form = "delimited"

    def __init__(
        self,
        paths: Iterable[tuple[str, str]],
        bytes_per_mini_batch: int,
        *,
        encoding: str,
        delimiter: str,
        label: str,
    ) -> None:
        if not delimiter.isascii():
            raise InputError(f"delimiter={delimiter!r}: pandas' CSV parser takes ASCII characters only.")
        self._size = bytes_per_mini_batch
        opened = (
            CsvFile.open(path, name, encoding=encoding, delimiter=_delimiter_of(path, delimiter))
            for path, name in paths
        )
        self._files = [file for file in opened if file is not None]
        inference = _inferred(self._files)
        if not inference.rows:
            raise EmptyInputError(f"input {label}: there is not a single row of data in it.")
        self._types = inference.types
        self._rows = inference.rows if inference.complete else None
        self.columns = list(self._types)
        self.title = f"the table {label}"
        rows = "a table" if self._rows is None else count_text(self._rows, "row")
        partly = f" (types of columns from its first {EXACT_BYTES >> 20} MB)" if self._rows is None else ""
        self.content = f"{rows} in {count_text(len(self._files), 'file')} {label}{partly}"
        self._parsed: tuple[_Span, pd.DataFrame] | None = None

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered(self._parts())

    def _parts(self) -> Iterator[tuple[int, _Span, Partition]]:
        for span, frame in self._spans():
            # Its rows had to be parsed to be counted: the first load need not do it again.
            self._parsed = span, frame
            yield len(frame), span, ()

    def load(self, mini_batch: MiniBatch) -> pd.DataFrame:
        span = cast("_Span", mini_batch.position)
        parsed, self._parsed = self._parsed, None
        if parsed is not None and parsed[0] is span:
            return parsed[1]
        path = span.file.path
        try:
            frame = self._parse(span.file, read_range(path, span.offset, span.length))
        except ValueError as error:
            raise LoadError(f"'{path}' changed since it was split: {error}") from error
        check_unchanged(path, len(frame), mini_batch)
        return frame

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        span = cast("_Span", mini_batch.position)
        return row_names(span.file.name, span.first_row, mini_batch.size)

    def path_of(self, mini_batch: MiniBatch) -> str:
        return cast("_Span", mini_batch.position).file.name

    def _spans(self) -> Iterator[tuple[_Span, pd.DataFrame]]:
        for file in self._files:
            row = 0
            try:
                for piece, frame in file.parsed(self._size, lambda data, file=file: self._parse(file, data)):  # type: ignore[misc]
                    yield _Span(file, piece.offset, len(piece.data), row), frame
                    row += len(frame)
            except OSError as error:
                raise InputError(f"input '{file.path}' changed since it was opened: {error}") from error
            except ValueError as error:
                if self._rows is None:
                    # It was not read completely.
                    raise file.explain(error) from error
                raise InputError(f"input '{file.path}' changed since it was opened: {error}") from error
            if not row:
                yield _Span(file, 0, 0, 0), self._parse(file, b"")

    def _parse(self, file: CsvFile, data: bytes) -> pd.DataFrame:
        types = {name: self._types[name] for name in file.columns}
        try:
            frame = file.parse(data, types)
        except ValueError:
            if self._rows is not None:
                raise
            frame = _as_far_as_they_fit(file, data, types)
        return frame if file.columns == self.columns else _with_all_columns(frame, self._types)


def _delimiter_of(path: str, delimiter: str) -> str:
    return "\t" if delimiter == "," and path.lower().endswith(".tsv") else delimiter


def _as_far_as_they_fit(file: CsvFile, data: bytes, types: Mapping[str, ColumnType]) -> pd.DataFrame:
    """Rows that do not have these types: such a column gets the type that it needs."""
    frame = file.parse(data)
    fitting = {
        name: column_type
        for name, column_type in types.items()
        if _common_type({_type_of(frame[name]), column_type}) == column_type
    }
    return file.parse(data, fitting)


def _with_all_columns(frame: pd.DataFrame, types: Mapping[str, ColumnType]) -> pd.DataFrame:
    """The rows with null in the columns that their file does not have."""
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for name, column_type in types.items():
        if name in frame.columns:
            columns[name] = frame[name]
        elif column_type == "text":
            columns[name] = pd.read_csv(io.StringIO("x\n"), dtype={"x": str})["x"].reindex(frame.index)
        else:
            dtype = "float64" if column_type == "float64" else object
            columns[name] = pd.Series([float("nan")] * len(frame), index=frame.index, dtype=dtype)
    completed: pd.DataFrame = pd.DataFrame(columns, index=frame.index)
    return completed


class _Inference(NamedTuple):
    """Inferred types of an input. rows: those that were read, all of them or not."""

    types: dict[str, ColumnType]
    rows: int
    complete: bool


def _inferred(files: Sequence[CsvFile]) -> _Inference:
    """The type of every column of the input, in one pass over all files."""
    types: dict[str, set[ColumnType | None]] = {name: set() for file in files for name in file.columns}
    rows = looked_at = 0
    complete = True
    for file in files:
        try:
            for size, frame in _beginning(file, EXACT_BYTES - looked_at):
                if frame is None:
                    complete = False
                    break
                looked_at += size
                rows += len(frame)
                for name, seen in types.items():
                    # A column that the file does not have is null in its rows.
                    seen.add(_type_of(frame[name]) if name in frame.columns else None)
        except OSError as error:
            raise InputError(f"input '{file.path}' cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise file.explain(error) from error
    return _Inference({name: _common_type(seen) for name, seen in types.items()}, rows, complete)


def _beginning(file: CsvFile, most: int) -> Iterator[tuple[int, pd.DataFrame | None]]:
    """The first rows of a file and their bytes, `most` or at least BEGINNING; None for the bytes if there are more."""
    seen = 0

    def parse(data: bytes) -> pd.DataFrame | None:
        return file.parse(data) if not seen or seen < most else None

    for piece, frame in file.parsed(INFERENCE_BYTES if most > 0 else BEGINNING, parse):
        seen += len(piece.data)
        yield len(piece.data), frame


def _type_of(column: pd.Series) -> ColumnType | None:
    """The type of a column that pandas inferred from some of its rows; None if they have no value."""
    from pandas.api.types import infer_dtype

    dtype = str(column.dtype)
    if dtype == "float64":
        return None if bool(column.isna().all()) else "float64"
    if dtype in ("int64", "uint64", "bool"):
        return cast("ColumnType", dtype)
    return "bool_or_null" if infer_dtype(column, skipna=True) == "boolean" else "text"


def _common_type(types: AbstractSet[ColumnType | None]) -> ColumnType:
    """The type of a column from those of its parts: what pandas infers from all of them together.

    Except integers beyond int64 next to other numbers: they are text, because pandas' result depends on their order,
    and floats would not hold them.
    """
    known = types - {None}
    if len(types) == len(known) == 1:
        return cast("ColumnType", next(iter(known)))
    if known and known <= {"bool", "bool_or_null"}:
        return "bool_or_null"
    return "float64" if known <= {"int64", "float64"} else "text"

"""Tabular input from CSV files: mini-batches of so many bytes of whole records, as DataFrames.

The rule, where the documents only say that `mini_batch_size` is an approximate size, is that of the reader in the
mltable package: a file is cut at multiples of the size, header and all, and a record belongs where it begins. A new
file starts a new mini-batch (v1 troubleshooting guide of the parallel run step: mini-batches never cross files). Where
no record begins between two cuts, that reader has a mini-batch of no rows, for which run() is not called; here is none.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting.column_types import (
    ColumnType,
    SettingType,
    kind_of,
    merged_type,
    type_of_whole_column,
)
from pytest_parallelrun.emulator.splitting.csv_file import CsvFile
from pytest_parallelrun.emulator.splitting.effective_settings import Form
from pytest_parallelrun.emulator.splitting.model import InputKind, LoadError, MiniBatch, count_text, read_range

if TYPE_CHECKING:
    import pandas as pd

INFERENCE_BYTES = 4 << 20
"""Bytes of a file that are looked at together while column types are inferred."""

EXACT_BYTES = 32 << 20
"""Bytes of an input that are looked at, from its beginning on; of files after that only the beginning is."""
BEGINNING = 64 << 10


class _Span(NamedTuple):
    """The bytes of a mini-batch, and the 0-based row in its file that they start with."""

    file: CsvFile
    offset: int
    length: int
    first_row: int


class CsvSplitter:
    """Hands over DataFrames with an index from 0, and the same columns in all of them.

    Columns are taken by name: they are those of all files, in the order in which they come first, and null where a file
    does not have one (`all_files_different_headers` of mltable's read_delimited, which for equal headers is its
    default). Column types are inferred once, by column name over all files, and hold for every mini-batch; they are
    those that pandas infers from the whole input. Of an input beyond EXACT_BYTES the first are looked at, and the
    beginning of each file; a mini-batch that does not fit has the types that its own rows need, in the columns that do
    not fit: what the service's reader does, which infers from the first rows. Dates stay text. Blank lines are no
    items. A file with nothing but a header is a mini-batch of 0 rows; one of zero bytes is none.

    paths: (absolute path, name for messages) of each file, in order.
    delimiter: one ASCII character; of a .tsv file it is a tab unless another than a comma is set.
    Raises InputError for a file that cannot be read or parsed, EmptyInputError where no file has a row.
    """

    kind: InputKind = "tabular"
    form: Form = "delimited"
    total_mini_batches: int | None = None
    total_items: int | None = None

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
        self._label = label
        opened = (
            CsvFile.open(path, name, encoding=encoding, delimiter=_delimiter_of(path, delimiter))
            for path, name in paths
        )
        self._files = [file for file in opened if file is not None]
        seen = _look(self._files)
        if not seen.rows:
            raise EmptyInputError(f"input {label}: there is not a single row of data in it.")
        self._types, self._rows = seen.types, seen.rows if seen.all_of_it else None
        self.columns: Sequence[str] = list(self._types)
        self._parsed: tuple[_Span, pd.DataFrame] | None = None

    def mini_batches(self) -> Iterator[MiniBatch]:
        rows = 0
        for number, (span, frame) in enumerate(self._spans()):
            # Its rows had to be parsed to be counted: the first load need not do it again.
            self._parsed = span, frame
            yield MiniBatch(number, len(frame), rows, span)
            rows += len(frame)

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
        if len(frame) != mini_batch.size:
            raise LoadError(
                f"'{path}' changed since it was split: {len(frame)} rows where there were {mini_batch.size}"
            )
        return frame

    def item_names(self, mini_batch: MiniBatch) -> Sequence[str]:
        span = cast("_Span", mini_batch.position)
        return [
            f"row {row} of {span.file.name}" for row in range(span.first_row + 1, span.first_row + mini_batch.size + 1)
        ]

    def path_of(self, mini_batch: MiniBatch) -> str:
        return cast("_Span", mini_batch.position).file.name

    @property
    def title(self) -> str:
        return f"the table {self._label}"

    @property
    def content(self) -> str:
        rows = "a table" if self._rows is None else count_text(self._rows, "row")
        partly = f" (types of columns from its first {EXACT_BYTES >> 20} MB)" if self._rows is None else ""
        return f"{rows} in {count_text(len(self._files), 'file')} {self._label}{partly}"

    def describe(self) -> str:
        return f"{self.content}, {count_text(self._size, 'byte')} a mini-batch"

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
                    # It was not looked at as a whole.
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
    """Rows that do not have these types: a column that does not fit has the type that they need."""
    own = file.parse(data)
    kinds = {name: kind_of(own[name]) for name in file.columns}
    fitting = {
        name: kind for name, kind in types.items() if merged_type({kinds[name], *_KINDS_OF_TYPE.get(kind, ())}) == kind
    }
    return file.parse(data, fitting)


_KINDS_OF_TYPE: Mapping[ColumnType, tuple[SettingType, ...]] = {
    "int64": ("negative",),
    "uint64": ("unsigned",),
    "float64": ("float",),
    "bool": ("bool",),
    "bool_or_null": ("bool_null",),
    "text": ("text",),
}


def _with_all_columns(frame: pd.DataFrame, types: Mapping[str, ColumnType]) -> pd.DataFrame:
    """The rows with null in the columns that their file does not have."""
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for name, kind in types.items():
        if name in frame.columns:
            columns[name] = frame[name]
        elif kind == "text":
            columns[name] = pd.read_csv(io.StringIO("x\n"), dtype={"x": str})["x"].reindex(frame.index)
        else:
            dtype = "float64" if kind == "float64" else object
            columns[name] = pd.Series([float("nan")] * len(frame), index=frame.index, dtype=dtype)
    together: pd.DataFrame = pd.DataFrame(columns, index=frame.index)
    return together


class _Seen(NamedTuple):
    """What a look at an input showed. rows: those that were looked at, all of them or not."""

    types: dict[str, ColumnType]
    rows: int
    all_of_it: bool


def _look(files: Sequence[CsvFile]) -> _Seen:
    """The type of every column of the input, in one pass over all files."""
    kinds: dict[str, set[SettingType]] = {}
    rows = looked_at = 0
    all_of_it = True
    for file in files:
        for name in file.columns:
            kinds.setdefault(name, set())
    for file in files:
        # A column that it does not have is null in its rows.
        missing = kinds.keys() - set(file.columns)
        try:
            for size, frame in _beginning(file, EXACT_BYTES - looked_at):
                if frame is None:
                    all_of_it = False
                    break
                looked_at += size
                rows += len(frame)
                for name in file.columns:
                    kinds[name].add(kind_of(frame[name]))
                for name in missing if len(frame) else ():
                    kinds[name].add("null")
        except OSError as error:
            raise InputError(f"input '{file.path}' cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise file.explain(error) from error
    # Too wide for one type of integers; the whole column of a large input is not read for that.
    wide = _whole if all_of_it else _as_text
    return _Seen({name: merged_type(seen) or wide(files, name) for name, seen in kinds.items()}, rows, all_of_it)


def _beginning(file: CsvFile, most: int) -> Iterator[tuple[int, pd.DataFrame | None]]:
    """The first rows of a file and their bytes, `most` or at least BEGINNING; then None where there are more."""
    seen = 0

    def parse(data: bytes) -> pd.DataFrame | None:
        return file.parse(data) if not seen or seen < most else None

    for piece, frame in file.parsed(INFERENCE_BYTES if most > 0 else BEGINNING, parse):
        seen += len(piece.data)
        yield len(piece.data), frame


def _whole(files: Sequence[CsvFile], column: str) -> ColumnType:
    fields: list[str] = []
    for file in files:
        if column in file.columns:
            for piece in file.pieces(INFERENCE_BYTES):
                fields += file.fields(piece.data, column)
        else:
            fields.append("")
    return type_of_whole_column(fields)


def _as_text(files: Sequence[CsvFile], column: str) -> ColumnType:
    return "text"

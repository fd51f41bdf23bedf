"""Tabular input from CSV files: mini-batches of so many bytes of whole records, as DataFrames.

The rule, where the documents only say that `mini_batch_size` is an approximate size: records of a file are
accumulated until their bytes reach it, and a new file starts a new mini-batch (v1 troubleshooting guide of
the parallel run step: mini-batches never cross files). The header is not data and does not count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting.base import InputKind, LoadError, MiniBatch, count_text
from pytest_parallelrun.emulator.splitting.column_types import (
    ColumnType,
    Kind,
    kind_of,
    merged_type,
    type_of_whole_column,
)
from pytest_parallelrun.emulator.splitting.csv_file import CsvFile

if TYPE_CHECKING:
    import pandas as pd

INFERENCE_BYTES = 4 << 20
"""Bytes of a file that are looked at together while column types are inferred."""


class _Span(NamedTuple):
    """The bytes of a mini-batch, and the 0-based row in its file that they start with."""

    file: CsvFile
    offset: int
    length: int
    first_row: int


class CsvSplitter:
    """Hands over DataFrames with an index from 0, and the columns of the file that the rows are from.

    Column types are inferred once, by column name over all files, and hold for every mini-batch; they are
    those that pandas infers from the whole input. Dates stay text. Blank lines are no items. A file with
    nothing but a header is a mini-batch of 0 rows; one of zero bytes is none.

    paths: (absolute path, name for messages) of each file, in order.
    delimiter: one ASCII character; of a .tsv file it is a tab unless another than a comma is set.
    Raises InputError for a file that cannot be read or parsed, EmptyInputError where no file has a row.
    """

    kind: InputKind = "tabular"
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
        self._types, self._rows = _infer(self._files)
        if not self._rows:
            raise EmptyInputError(f"input {label}: there is not a single row of data in it.")
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
            with open(path, "rb") as stream:
                stream.seek(span.offset)
                frame = self._parse(span.file, stream.read(span.length))
        except OSError as error:
            raise LoadError(f"'{path}' cannot be read: {error.strerror}") from error
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

    def describe(self) -> str:
        return (
            f"{count_text(self._rows, 'row')} in {count_text(len(self._files), 'file')} "
            f"{self._label}, {count_text(self._size, 'byte')} a mini-batch"
        )

    def _spans(self) -> Iterator[tuple[_Span, pd.DataFrame]]:
        for file in self._files:
            row = 0
            try:
                for offset, data in file.pieces(self._size):
                    frame = self._parse(file, data)
                    yield _Span(file, offset, len(data), row), frame
                    row += len(frame)
            except (OSError, ValueError) as error:
                raise InputError(f"input '{file.path}' changed since it was opened: {error}") from error
            if not row:
                yield _Span(file, 0, 0, 0), self._parse(file, b"")

    def _parse(self, file: CsvFile, data: bytes) -> pd.DataFrame:
        return file.parse(data, {name: self._types[name] for name in file.columns})


def _delimiter_of(path: str, delimiter: str) -> str:
    return "\t" if delimiter == "," and os.path.splitext(path)[1].lower() == ".tsv" else delimiter


def _infer(files: Sequence[CsvFile]) -> tuple[dict[str, ColumnType], int]:
    """The type of every column of the input, and its rows, in one pass over all files."""
    kinds: dict[str, set[Kind]] = {}
    rows = 0
    for file in files:
        for name in file.columns:
            kinds.setdefault(name, set())
        try:
            for piece in file.pieces(INFERENCE_BYTES):
                file.check_width(piece.data)
                frame = file.parse(piece.data)
                rows += len(frame)
                for name in file.columns:
                    kinds[name].add(kind_of(frame[name]))
        except OSError as error:
            raise InputError(f"input '{file.path}' cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise file.explain(error) from error
    return {name: merged_type(seen) or _whole(files, name) for name, seen in kinds.items()}, rows


def _whole(files: Sequence[CsvFile], column: str) -> ColumnType:
    fields: list[str] = []
    for file in files:
        if column in file.columns:
            for piece in file.pieces(INFERENCE_BYTES):
                fields += file.fields(piece.data, column)
    return type_of_whole_column(fields)

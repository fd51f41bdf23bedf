r"""One CSV file: its header, where its records end, in bytes, and their parsing.

A record ends at \n, \r\n or a lone \r outside quotes. A quote opens a field only as its first character,
"" stands for a quote inside of it, and after its closing quote the field goes on unquoted: the reading of
pandas' own parser, which gets the records afterwards.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, TypeVar

from pytest_parallelrun.emulator.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

ColumnType = Literal["int64", "uint64", "float64", "bool", "bool_or_null", "text"]
"""bool_or_null is a column of Python objects."""

_READ_AS: dict[ColumnType, type[str] | str] = {
    "int64": "int64",
    "uint64": "uint64",
    "float64": "float64",
    "bool": "bool",
    "text": str,
}
"""dtype argument of read_csv; bool_or_null has none, because it would then be read as text."""

BLOCK = 4 << 20
"""Bytes read at once. Memory holds a mini-batch and a block, however large the file."""

UTF8_BOM = b"\xef\xbb\xbf"

_TERMINATOR = re.compile(rb"\r\n|\r|\n")


class Piece(NamedTuple):
    """Whole consecutive records, and the offset of the first in the file.

    guessed: whether its end could be in a quoted field; the parser then finds an open quote.
    """

    offset: int
    data: bytes
    guessed: bool = False


class RecordGrammar:
    """The shape of records for one delimiter, a single byte."""

    def __init__(self, delimiter: bytes) -> None:
        # It cannot fail once it began, so that it never backtracks into a shorter field. A match that ends
        # with the data is unfinished: the next byte could be the second quote of a pair.
        self._quoted = re.compile(
            rb"(?:\A|(?<=[\r\n" + re.escape(delimiter) + rb']))"[^"]*(?:""[^"]*)*"?',
        )
        self._visible = re.compile(b"[^\\r\\n" + re.escape(b" \t".replace(delimiter, b"")) + b"]")

    def record_start(self, data: bytes, start: int) -> int | None:
        """Start of the first record at or after `start`; None if only blank lines follow.

        Blank lines are empty or contain only spaces, as in pandas (`skip_blank_lines`).
        """
        visible = self._visible.search(data, start)
        if visible is None:
            return None
        return max(start, 1 + max(data.rfind(mark, start, visible.start()) for mark in (b"\n", b"\r")))

    def record_end(self, data: bytes, start: int, minimum: int, *, final: bool, guess: bool = False) -> int | None:
        """The first end of a record that is `minimum` bytes or more after `start`, the start of one.

        None if the data does not show it yet; `final` says that nothing follows the data. guess: ignore quotes.
        """
        position = start + minimum - 1 if guess else self._skip_quoted(data, start, start + minimum - 1)
        while terminator := _TERMINATOR.search(data, position):
            position = terminator.start() if guess else self._skip_quoted(data, position, terminator.start())
            if position == terminator.start():
                if terminator.group() == b"\r" and terminator.end() == len(data) and not final:
                    return None
                return terminator.end()
        return len(data) if final else None

    def _skip_quoted(self, data: bytes, position: int, stop: int) -> int:
        """`stop`, or the end of the quoted field around it. `position` is outside quotes."""
        while (quote := data.find(b'"', position, stop)) >= 0:
            field = self._quoted.match(data, quote)
            position = field.end() if field else quote + 1
        return max(position, stop)


class RecordReader:
    """Reads whole records from a stream, from its position on, and never splits one."""

    def __init__(self, stream: BinaryIO, delimiter: bytes, *, skip_bom: bool) -> None:
        self._stream = stream
        self._grammar = RecordGrammar(delimiter)
        self._data = stream.read(len(UTF8_BOM))
        self._start = self._last = 0
        self._offset = 0
        self._final = False
        if skip_bom and self._data == UTF8_BOM:
            self._data = b""
            self._offset = len(UTF8_BOM)

    def take(self, size: int, *, guess: bool = False) -> Piece | None:
        """The next records up to one that ends after a multiple of `size`, or all remaining ones; None at the end.

        Offsets count from the start of the file: a record belongs to the multiple of `size` in which it starts,
        including one that starts just where that ends.
        Blank lines before them are dropped; those among them and right before their end are kept.
        guess: takes the next line end for that of a record, which is fast; `take_again()` is exact.
        """
        while True:
            start = self._grammar.record_start(self._data, self._start)
            if start is not None:
                self._start = start
                minimum = _bytes_until(self._offset + start, size)
                if self._final or len(self._data) - start >= minimum:
                    end = self._grammar.record_end(self._data, start, minimum, final=self._final, guess=guess)
                    if end is not None:
                        self._last = start
                        self._start = end
                        return Piece(self._offset + start, self._data[start:end], guess)
            if self._final:
                return None
            self._read_more()

    def take_again(self, size: int) -> Piece | None:
        """The last piece again, and now its end is that of a record."""
        self._start = self._last
        return self.take(size)

    def _read_more(self) -> None:
        left = self._data[self._start :]
        # Twice as much: a record of any length is scanned at most twice, not once a block.
        more = self._stream.read(max(BLOCK, len(left)))
        self._offset += self._start
        self._start = 0
        self._data = left + more
        self._final = not more


def _bytes_until(offset: int, size: int) -> int:
    """From an offset on, the bytes up to the first one after a multiple of `size`."""
    return max(-(-offset // size), 1) * size + 1 - offset


@dataclass(frozen=True)
class CsvFile:
    """A file with a header; `name` is for messages, `columns` are as pandas names them (unique)."""

    path: str
    name: str
    encoding: str
    delimiter: str
    columns: list[str]

    @classmethod
    def open(cls, path: str, name: str, *, encoding: str, delimiter: str) -> CsvFile | None:
        """The file of that path; None if it contains only blank lines.

        InputError if it cannot be read or its header cannot be parsed.
        """
        import pandas as pd

        bare = cls(path, name, encoding, delimiter, [])
        try:
            with open(path, "rb") as stream:
                header = bare._reader(stream).take(1)
            if header is None:
                return None
            columns = pd.read_csv(io.BytesIO(header.data), sep=delimiter, encoding=encoding).columns
        except OSError as error:
            raise InputError(f"input '{path}' cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise bare.parse_error(str(error)) from error
        return cls(path, name, encoding, delimiter, list(columns))

    def parsed(self, size: int, parse: Callable[[bytes], T]) -> Iterator[tuple[Piece, T]]:
        """Pieces of `size` bytes of whole records, or a few more to the end of the last record, with the result of
        `parse`.

        `parse` raises ValueError if a quote is left open, which shows at no cost whether a line end is that of a
        record. OSError if the file cannot be read.
        """
        with open(self.path, "rb") as stream:
            reader = self._reader(stream)
            reader.take(1)
            while piece := reader.take(size, guess=True):
                try:
                    frame = parse(piece.data)
                except ValueError:
                    exact = reader.take_again(size)
                    if exact is None or exact.data == piece.data:
                        raise
                    piece, frame = exact, parse(exact.data)
                yield piece, frame

    def parse(self, data: bytes, types: Mapping[str, ColumnType] | None = None) -> pd.DataFrame:
        """Its records in `data` as a DataFrame, with an index from 0; without types, they are inferred.

        ValueError, or a subclass, if pandas cannot parse them.
        """
        import pandas as pd

        types = types or {}
        dtypes = {name: _READ_AS[column_type] for name, column_type in types.items() if column_type in _READ_AS}
        frame: pd.DataFrame = self._read(data, {name: dtype for name, dtype in dtypes.items() if dtype is not str})
        # Strings that pandas infers take half the time of those with a dtype.
        if any(dtype is str and not _has_texts(frame[name]) for name, dtype in dtypes.items()):
            frame = self._read(data, dtypes)
        if not isinstance(frame.index, pd.RangeIndex):
            # For every other record pandas raises by itself; extra fields of the first one become an index.
            width = len(self.columns) + frame.index.nlevels
            raise ValueError(
                f"a row has {width} fields, the header {len(self.columns)} "
                f"(the row starts with {str(frame.index.get_level_values(0)[0])!r})"
            )
        for name, column_type in types.items():
            if column_type == "bool_or_null":
                frame[name] = frame[name].astype(object)
        return frame

    def _read(self, data: bytes, dtypes: Mapping[str, type[str] | str]) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        # Looking up names takes pandas some time, other dtypes do not.
        resolved: dict[str, Any] = {
            name: np.dtype(dtype) if isinstance(dtype, str) else dtype for name, dtype in dtypes.items()
        }
        frame: pd.DataFrame = pd.read_csv(
            io.BytesIO(data),
            sep=self.delimiter,
            encoding=self.encoding,
            header=None,
            names=self.columns,
            dtype=resolved,
            low_memory=False,
        )
        return frame

    def explain(self, error: ValueError) -> InputError:
        """The error of a piece, with pandas' message on the whole file, which names the line."""
        import pandas as pd

        try:
            with pd.read_csv(
                self.path, sep=self.delimiter, encoding=self.encoding, low_memory=False, chunksize=100_000
            ) as chunks:
                for _ in chunks:
                    pass
        except ValueError as error_of_file:
            return self.parse_error(str(error_of_file))
        return self.parse_error(str(error))

    def parse_error(self, message: str) -> InputError:
        reason = message.strip().removeprefix("Error tokenizing data. C error: ").rstrip(".")
        return InputError(
            f"input '{self.path}' cannot be parsed: {reason}. It is read with "
            f"delimiter={self.delimiter!r} and encoding={self.encoding!r}; set these if they are others."
        )

    def _reader(self, stream: BinaryIO) -> RecordReader:
        is_utf8 = codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig")
        return RecordReader(stream, self.delimiter.encode("ascii"), skip_bom=is_utf8)


def _has_texts(column: pd.Series) -> bool:
    from pandas.api.types import infer_dtype, is_string_dtype

    if str(column.dtype) == "object":
        return infer_dtype(column, skipna=True) == "string"
    return is_string_dtype(column.dtype)

"""One CSV file: its header, its records in pieces, and their parsing."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting.column_types import ColumnType
from pytest_parallelrun.emulator.splitting.csv_records import Piece, RecordReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import pandas as pd

T = TypeVar("T")

_READ_AS: dict[ColumnType, type[str] | type[object] | str] = {
    "int64": "int64",
    "uint64": "uint64",
    "float64": "float64",
    "bool": "bool",
    "big_integer": str,
    "text": str,
    "none": object,
}
"""dtype argument of read_csv; bool_or_null has none, as with a dtype it would come as text."""


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
        """The file of that path; None where nothing is in it but blank lines.

        Raises InputError where it cannot be read or its header not be parsed.
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

    def pieces(self, size: int) -> Iterator[Piece]:
        """Its data, `size` bytes of whole records a piece or the few more that end the last record.

        Raises OSError where it cannot be read.
        """
        with open(self.path, "rb") as stream:
            reader = self._reader(stream)
            reader.take(1)
            while piece := reader.take(size):
                yield piece

    def parsed(self, size: int, parse: Callable[[bytes], T]) -> Iterator[tuple[Piece, T]]:
        """The same pieces with what `parse` makes of them; it raises ValueError where a quote is left open.

        That tells whether a line end is that of a record, at no cost where it is.
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
        """Its records in `data` as a DataFrame, an index from 0; without types, they are inferred.

        Raises ValueError, with its subclasses, where pandas cannot parse them.
        """
        import pandas as pd

        types = types or {}
        read_as = {name: _READ_AS[kind] for name, kind in types.items() if kind in _READ_AS}
        frame: pd.DataFrame = self._read(data, {name: kind for name, kind in read_as.items() if kind is not str})
        # Texts that pandas finds by itself take it half the time of those that it is told of.
        untold = [name for name, kind in read_as.items() if kind is str and not _has_texts(frame[name])]
        if untold:
            frame = self._read(data, read_as)
        if not isinstance(frame.index, pd.RangeIndex):
            # For every other record pandas raises by itself; of the first it takes the surplus as an index.
            width = len(self.columns) + frame.index.nlevels
            raise ValueError(
                f"a row has {width} fields, the header {len(self.columns)} "
                f"(the row starts with {str(frame.index.get_level_values(0)[0])!r})"
            )
        for name, kind in types.items():
            if kind == "bool_or_null":
                frame[name] = frame[name].astype(object)
            elif kind == "big_integer":
                # One by one: pandas would make floats of integers among nulls.
                values = [int(field) if isinstance(field, str) else field for field in frame[name]]
                frame[name] = pd.Series(values, dtype=object)
        return frame

    def _read(self, data: bytes, types: Mapping[str, object]) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        # pandas looks names up for some time, and other dtypes not.
        dtypes: dict[str, Any] = {
            name: np.dtype(kind) if isinstance(kind, str) else kind for name, kind in types.items()
        }
        frame: pd.DataFrame = pd.read_csv(
            io.BytesIO(data),
            sep=self.delimiter,
            encoding=self.encoding,
            header=None,
            names=self.columns,
            dtype=dtypes,
            low_memory=False,
        )
        return frame

    def fields(self, data: bytes, column: str) -> list[str]:
        """The fields of one column as they are written, "" for null."""
        import pandas as pd

        frame = pd.read_csv(
            io.BytesIO(data),
            sep=self.delimiter,
            encoding=self.encoding,
            header=None,
            names=self.columns,
            usecols=[column],
            dtype=str,
        )
        return frame[column].fillna("").tolist()

    def explain(self, error: ValueError) -> InputError:
        """What to tell of an error in one of its pieces: pandas' message, which has the line in the file."""
        import pandas as pd

        try:
            with pd.read_csv(
                self.path, sep=self.delimiter, encoding=self.encoding, low_memory=False, chunksize=100_000
            ) as chunks:
                for _ in chunks:
                    pass
        except ValueError as whole:
            return self.parse_error(str(whole))
        return self.parse_error(str(error))

    def parse_error(self, message: str) -> InputError:
        """The error of a file that cannot be parsed."""
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

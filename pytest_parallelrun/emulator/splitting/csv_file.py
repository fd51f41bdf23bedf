"""One CSV file: its header, its records in pieces, and their parsing."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting.column_types import ColumnType
from pytest_parallelrun.emulator.splitting.csv_records import Piece, RecordReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

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

    def parse(self, data: bytes, types: Mapping[str, ColumnType] | None = None) -> pd.DataFrame:
        """Its records in `data` as a DataFrame, an index from 0; without types, they are inferred.

        Raises ValueError, with its subclasses, where pandas cannot parse them.
        """
        import pandas as pd

        types = types or {}
        frame = pd.read_csv(
            io.BytesIO(data),
            sep=self.delimiter,
            encoding=self.encoding,
            header=None,
            names=self.columns,
            dtype={name: _READ_AS[kind] for name, kind in types.items() if kind in _READ_AS},
            low_memory=False,
        )
        for name, kind in types.items():
            if kind == "bool_or_null":
                frame[name] = frame[name].astype(object)
            elif kind == "big_integer":
                # One by one: pandas would make floats of integers among nulls.
                values = [int(field) if isinstance(field, str) else field for field in frame[name]]
                frame[name] = pd.Series(values, dtype=object)
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

    def check_width(self, data: bytes) -> None:
        """ValueError where the first record in `data` has more fields than the header.

        For every other record pandas raises by itself; for the first it takes the surplus as an index.
        """
        import pandas as pd

        first = pd.read_csv(
            io.BytesIO(data), sep=self.delimiter, encoding=self.encoding, header=None, nrows=1, dtype=str
        )
        if first.shape[1] > len(self.columns):
            raise ValueError(
                f"a row has {first.shape[1]} fields, the header {len(self.columns)} "
                f"(the row starts with {first.iat[0, 0]!r})"
            )

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

    def _reader(self, stream: io.BufferedReader) -> RecordReader:
        is_utf8 = codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig")
        return RecordReader(stream, self.delimiter.encode("ascii"), skip_bom=is_utf8)

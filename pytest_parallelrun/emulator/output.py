"""What run() returned: whether it may be returned, how much it counts, and the file it is appended to."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from pytest_parallelrun.emulator.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

MUST_RETURN = "It must return a list, a tuple or a pandas DataFrame with one element or row per item"


class OutputError(Exception):
    """A returned value that cannot be appended to the output file."""


def count_returned(value: object) -> int | None:
    """How many results run() returned: elements or rows; None where the type is not allowed.

    Lists, tuples and DataFrames are (how-to of parallel jobs in pipelines), subclasses included.
    """
    if isinstance(value, (list, tuple)):
        return len(value)
    return len(value) if _is_frame(value) else None


def wrong_type_message(value: object) -> str:
    """What run() returned, what it must return, and how to turn the one into the other.

    For a value that count_returned() does not count.
    """
    return f"run() returned {returned_type(value)}. {MUST_RETURN}: {_describe_wrong(value)[1]}."


def returned_type(value: object) -> str:
    """What run() returned, for a value that count_returned() does not count: its type, or "None"."""
    description, _ = _describe_wrong(value)
    return description or f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def as_rows(value: object) -> list[object]:
    """The results one by one: the elements of a list or tuple, or a dict (column -> value) for each row.

    Values are Python objects where pandas has them. A column name that comes again gets a number, as
    pandas' reader gives it: "a", "a.1".
    """
    if not _is_frame(value):
        return list(value) if isinstance(value, (list, tuple)) else []
    if not len(value.columns):
        return [{} for _ in range(len(value))]
    columns = value.columns
    unique = value if columns.is_unique else value.set_axis(_unique(list(columns)), axis="columns")
    return list(unique.to_dict("records"))


class AppendedFile:
    """The output file of `append_row`, in UTF-8 with single newlines.

    Elements of a list are written as str() has them, a line each, newlines in them as they are. DataFrames
    are written as CSV with a space for separator, without index and header, a null as an empty field;
    `header` writes the column names once, before the first row of a DataFrame.
    Folders above `path` are made. Raises InputError where the file exists: what a job wrote before is never
    overwritten (troubleshooting guide of batch endpoints).
    """

    def __init__(self, path: Path, *, header: bool = False) -> None:
        self.path = path
        self._header_due = header
        self._empty = True
        self._broken: OutputError | None = None
        self._closed = False
        try:
            self._open()
        except FileExistsError as error:
            if not path.exists():
                # A folder above it is a file.
                raise InputError(_cannot_be_made(path, error)) from error
            raise InputError(
                f"output file '{path}' exists already and is never overwritten: use an empty folder."
            ) from error
        except OSError as error:
            raise InputError(_cannot_be_made(path, error)) from error

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = open(self.path, "xb")  # noqa: SIM115  # closed by close()

    def require(self, written: Written | None = None) -> None:
        """OutputError where the script has removed the file, or what a worker has written, or replaced the file.

        As long as nothing was written it is made anew: a script may clear its folder before it begins.
        """
        self._require_file()
        if written is not None and not written.error and not os.path.exists(written.path):
            raise OutputError(f"'{written.path}', to which the worker wrote them, is gone")

    def _require_file(self) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            there = os.path.samestat(os.stat(self.path), os.fstat(self._stream.fileno()))
        except OSError:
            there = False
        if there:
            return
        if not self._empty:
            raise OutputError(f"'{self.path}' is gone: the script has removed or replaced it, and the rows in it")
        self._stream.close()
        try:
            self._open()
        except OSError as error:
            self._broken = OutputError(f"'{self.path}' was removed, and cannot be made anew: {error.strerror}")
            raise self._broken from error

    def append(self, value: object, written: Written | None = None) -> None:
        """Writes all results in `value` or, raising OutputError, none of them.

        written: where a worker process has written the same already; its bytes are taken.
        """
        if self._broken is not None:
            raise self._broken
        header = self._header_due and _is_frame(value) and len(value) > 0
        if written is None:
            data = lines_of(value, header=header)
        elif written.error:
            raise OutputError(written.error)
        else:
            data = lines_of(value.iloc[:0], header=True) if header else b""  # type: ignore[attr-defined]
            try:
                with open(written.path, "rb") as stream:
                    stream.seek(written.offset)
                    data += stream.read(written.length)
            except OSError as error:
                raise OutputError(f"what a worker wrote to '{written.path}' is gone: {error.strerror}") from error
        try:
            self._stream.write(data)
            # A full disk is told at the mini-batch whose results it has no room for.
            self._stream.flush()
        except OSError as error:
            raise OutputError(f"'{self.path}' cannot be written: {error.strerror}") from error
        if data:
            self._empty = False
        if header:
            self._header_due = False

    def close(self) -> None:
        """OutputError where the rest of it cannot be written, or the file is gone or was changed by the script."""
        if self._closed:
            return
        self._closed = True
        try:
            self.require()
            self._stream.flush()
            size, appended = os.fstat(self._stream.fileno()).st_size, self._stream.tell()
            if size != appended:
                raise OutputError(
                    f"'{self.path}' has {size:,} bytes, and {appended:,} were appended: the script has written to it"
                )
        except OSError as error:
            raise OutputError(f"'{self.path}' cannot be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        if exc is None:
            self.close()
        else:
            # What is on its way says more than what became of the file.
            with suppress(OSError):
                self._stream.close()


def _cannot_be_made(path: Path, error: OSError) -> str:
    return f"output file '{path}' cannot be made: {error.strerror}: use another folder."


class Written(NamedTuple):
    """Where a worker process has written what run() returned: bytes of a file of its own; `error`: why it has not."""

    path: str
    offset: int
    length: int
    error: str = ""


def lines_of(value: object, *, header: bool = False) -> bytes:
    """The lines of results as they are appended, in UTF-8; `header`: those of a DataFrame begin with its columns.

    OutputError for what cannot be written.
    """
    text = _table(value, header=header) if _is_frame(value) else _lines(value)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise OutputError(
            f"run() returned text that UTF-8 cannot hold: {text[error.start : error.end]!r} "
            f"in {text[max(0, error.start - 20) : error.end + 20]!r}"
        ) from error


def _table(frame: pd.DataFrame, *, header: bool) -> str:
    if not len(frame) and not header:
        return ""
    try:
        text: str = frame.to_csv(header=header, index=False, sep=" ", lineterminator="\n")
    except Exception as error:
        raise OutputError(f"run() returned a DataFrame that cannot be written as text: {_brief(error)}") from error
    return text


def _lines(value: object) -> str:
    if not isinstance(value, (list, tuple)):
        raise OutputError(wrong_type_message(value))
    lines = []
    for index, item in enumerate(value):
        try:
            lines.append(f"{item!s}\n")
        except Exception as error:
            raise OutputError(
                f"element {index} of what run() returned, a {type(item).__name__}, "
                f"cannot be written: its str() raised {_brief(error)}"
            ) from error
    return "".join(lines)


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _is_frame(value: object) -> TypeGuard[pd.DataFrame]:
    return _is_pandas(value, "DataFrame")


def _is_pandas(value: object, name: str, module: str = "pandas") -> bool:
    # A value of such a type exists only where its module was imported; importing it costs half a second.
    loaded = getattr(sys.modules.get(module), name, None)
    return isinstance(loaded, type) and isinstance(value, loaded)


def _unique(names: list[object]) -> list[object]:
    taken = set(names)
    seen: dict[object, int] = {}
    unique: list[object] = []
    for name in names:
        number = seen.get(name, 0)
        seen[name] = number + 1
        if number:
            while f"{name}.{number}" in taken:
                number += 1
            seen[name] = number + 1
            name = f"{name}.{number}"
            taken.add(name)
        unique.append(name)
    return unique


def _describe_wrong(value: object) -> tuple[str, str]:
    """(description, "" for the name of its type; how to fix it)"""
    if value is None:
        return "None", "look for a `return` that is missing, or that one path does not reach"
    if isinstance(value, (str, bytes, bytearray)):
        return "", "return a list of texts, [text] for a single one"
    if isinstance(value, Mapping):
        return "", "return a list of dicts, one per item, or list(result.items())"
    if _is_pandas(value, "Series"):
        return "a pandas Series", "return result.tolist(), or result.to_frame() for a DataFrame"
    if _is_pandas(value, "ndarray", "numpy") and getattr(value, "shape", ()) != ():
        return "a numpy array", "return result.tolist()"
    if isinstance(value, Coroutine):
        value.close()  # else Python warns that it was never awaited, in the middle of the report
        return "a coroutine", "`async def run` is not supported; use asyncio.run() inside of run()"
    if isinstance(value, Iterator):
        return f"an iterator ({type(value).__name__})", "return list(result); without `yield` in run()"
    if isinstance(value, Set):
        return "", "return sorted(result), or a list from the start, as a set drops equal results"
    conversion = _conversion_of(value)
    if conversion:
        return "", f"return {conversion}"
    if isinstance(value, (bool, int, float, complex)) or hasattr(value, "__float__"):
        return "", "return the list of results, not how many there are; [result] for a single one"
    if isinstance(value, Iterable):
        return "", "return list(result)"
    return "", "return [result] for a single one"


_CONVERSIONS = {
    "to_dicts": "result.to_dicts(), or result.to_pandas() where pandas and pyarrow are installed",
    "to_pylist": "result.to_pylist()",
    "to_list": "result.to_list()",
    "to_pandas": "result.to_pandas()",
    "toPandas": "result.toPandas()",
    "collect": "result.collect().to_dicts()",
    "compute": "result.compute()",
    "tolist": "result.tolist()",
    "toarray": "result.toarray().tolist()",
    "numpy": "result.numpy().tolist()",
}
"""Method that a type of another library has -> what to return: the first is right for polars, pyarrow, Spark, Dask,
torch, SciPy and TensorFlow. Iterating a frame gives its columns, or their names, and never its rows."""


def _conversion_of(value: object) -> str:
    """How a value of another library becomes a list or a DataFrame; "" for a single value, and where none is known."""
    kind = type(value)
    if kind.__module__ == "builtins" or getattr(value, "shape", None) == ():
        return ""
    return next((text for method, text in _CONVERSIONS.items() if hasattr(kind, method)), "")

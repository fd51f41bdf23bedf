"""Results of run(): their validity, their number, and the file they are appended to."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.worker.file_watch import unwatched

if TYPE_CHECKING:
    import pandas as pd
MUST_RETURN = "It must return a list, a tuple or a pandas DataFrame with one element or row per item"


class OutputError(Exception):
    """A returned value that cannot be appended to the output file."""


def count_returned(value: object) -> int | None:
    """The number of results: elements or rows; None if the type is invalid.

    Lists, tuples and DataFrames are valid (how-to of parallel jobs in pipelines), including subclasses.
    """
    if isinstance(value, (list, tuple)):
        return len(value)
    return len(value) if _is_frame(value) else None


def wrong_type_message(value: object) -> str:
    """What run() returned, what it must return, and how to convert it.

    For a value that count_returned() does not count.
    """
    return f"run() returned {returned_type(value)}. {MUST_RETURN}: {_describe_wrong(value)[1]}."


def returned_type(value: object) -> str:
    """What run() returned, for a value that count_returned() does not count: its type, or "None"."""
    description, _ = _describe_wrong(value)
    return description or f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def as_rows(value: object) -> list[object]:
    """The results one by one: the elements of a list or tuple, or a dict (column -> value) for each row.

    Values are Python objects if pandas has them. A repeated column name gets a number, as in pandas' reader: "a",
    "a.1".
    """
    if not _is_frame(value):
        return list(value) if isinstance(value, (list, tuple)) else []
    if not len(value.columns):
        return [{} for _ in range(len(value))]
    columns = value.columns
    unique = value if columns.is_unique else value.set_axis(_unique(list(columns)), axis="columns")
    return list(unique.to_dict("records"))


def size_of(value: object) -> int:
    """About how many bytes of memory results take; of many elements a few are looked at."""
    if _is_frame(value):
        some = value.iloc[:: -(-len(value) // _LOOKED_AT)] if len(value) > _LOOKED_AT else value
        return _FRAME_BYTES + int(some.memory_usage(deep=True).sum()) * len(value) // max(len(some), 1)
    if not isinstance(value, (list, tuple)) or not value:
        return 0
    looked_at = value[:: -(-len(value) // _LOOKED_AT)]
    return sum(map(_size_of_element, looked_at)) * len(value) // len(looked_at)


def _size_of_element(element: object) -> int:
    parts = [element]
    if isinstance(element, (list, tuple)):
        parts += element
    elif isinstance(element, dict):
        parts += [*element, *element.values()]
    return sum(max(sys.getsizeof(part), int(getattr(part, "nbytes", 0))) for part in parts)


_LOOKED_AT = 20
_FRAME_BYTES = 3_000
"""Of a DataFrame without rows."""


class AppendedFile:
    """The output file of `append_row`, in UTF-8 with single newlines.

    List elements are written with str(), one line each, newlines unchanged. DataFrames are written as CSV with a space
    as separator, without index and header, nulls as empty fields; `header` writes the column names once, before the
    first row of a DataFrame. Parent folders of `path` are created. InputError if the file exists: output is never
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
                # One of its parents is a file.
                raise InputError(_cannot_be_made(path, error)) from error
            raise InputError(
                f"output file '{path}' exists already and is never overwritten: use an empty folder."
            ) from error
        except OSError as error:
            raise InputError(_cannot_be_made(path, error)) from error

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with unwatched():
            # Not by the script.
            self._stream = open(self.path, "xb")  # noqa: SIM115  # closed by close()

    def require(self, written: Written | None = None) -> None:
        """OutputError if the script has removed or replaced the file, or removed what a worker has written.

        It is created again while it is empty: a script may clear its folder at the start.
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
            self._broken = OutputError(f"'{self.path}' was removed, and cannot be created again: {error.strerror}")
            raise self._broken from error

    def append(self, value: object, written: Written | None = None) -> None:
        """Writes all results in `value` or, with OutputError, none of them.

        written: where a worker process has already written them; its bytes are used.
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
        """OutputError if the rest cannot be written, or the script removed or changed the file."""
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

    def __enter__(self) -> AppendedFile:
        return self

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        if exc is None:
            self.close()
        else:
            # The current exception is more informative than the state of the file.
            with suppress(OSError):
                self._stream.close()


def _cannot_be_made(path: Path, error: OSError) -> str:
    return f"output file '{path}' cannot be made: {error.strerror}: use another folder."


class Written(NamedTuple):
    """Where a worker process has written results: bytes of its own file; `error`: why it has not."""

    path: str
    offset: int
    length: int
    error: str = ""


def lines_of(value: object, *, header: bool = False) -> bytes:
    """The lines of results as they are appended, in UTF-8; `header`: with the columns of a DataFrame.

    OutputError for a value that cannot be written.
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
    # A value of such a type exists only if its module was imported; importing it costs half a second.
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
        return "None", "look at each `return` of run(), and at its end"
    if isinstance(value, (str, bytes, bytearray)):
        return "", "return a list of texts, [text] for a single one"
    if isinstance(value, Mapping):
        return "", "return a list of dicts, one per item, or list(result.items())"
    if _is_pandas(value, "Series"):
        return "a pandas Series", "return result.tolist(), or result.to_frame() for a DataFrame"
    if _is_pandas(value, "ndarray", "numpy") and getattr(value, "shape", ()) != ():
        return "a numpy array", "return result.tolist()"
    if isinstance(value, Coroutine):
        value.close()  # Otherwise Python warns in the middle of the report that it was never awaited.
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
    """How to convert a value of another library to a list or a DataFrame; "" for a single value, and if unknown."""
    kind = type(value)
    if kind.__module__ == "builtins" or getattr(value, "shape", None) == ():
        return ""
    return next((text for method, text in _CONVERSIONS.items() if hasattr(kind, method)), "")

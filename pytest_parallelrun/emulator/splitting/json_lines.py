"""JSON lines in row mode: mini-batches of a number of lines, each of which is a dict.

Source: the undocumented arguments --amlbi_* of the runtime; public notes of jobs that use them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting.input_paths import COMPRESSED
from pytest_parallelrun.emulator.splitting.model import (
    Form,
    InputKind,
    ItemName,
    LoadError,
    MiniBatch,
    Partition,
    check_unchanged,
    count_text,
    numbered,
    read_range,
    row_names,
)

UTF8_BOM = b"\xef\xbb\xbf"


class _LinesOfFile(NamedTuple):
    """The bytes of a mini-batch, and the row (from 0) in its file at which they start."""

    path: str
    name: str
    offset: int
    length: int
    first_row: int


class JsonLinesSplitter:
    """Returns a list of dicts, one for each line. A blank line is not a row, and a mini-batch never crosses files.

    paths: (absolute path, name for messages) of each file, in order.
    InputError for a file that is compressed or unreadable, EmptyInputError if no file has a row. A line that is not a
    JSON object fails its mini-batch when it is loaded.
    """

    kind: InputKind = "records"
    form: Form = "json_lines"
    total_mini_batches: int | None = None
    total_items: int | None = None

    def __init__(self, paths: Iterable[tuple[str, str]], rows_per_mini_batch: int, *, label: str) -> None:
        self._paths = list(paths)
        self._size = rows_per_mini_batch
        self._label = label
        for path, _ in self._paths:
            if path.lower().endswith(COMPRESSED):
                raise InputError(
                    f"input '{path}': nothing says that Azure ML reads compressed JSON lines. Decompress it."
                )
        if next(self.mini_batches(), None) is None:
            raise EmptyInputError(f"input {label}: there is not a single line with something in it.")

    def mini_batches(self) -> Iterator[MiniBatch]:
        return numbered(self._parts())

    def _parts(self) -> Iterator[tuple[int, _LinesOfFile, Partition]]:
        for path, name in self._paths:
            try:
                yield from self._cut(path, name)
            except OSError as error:
                raise InputError(f"input '{path}' cannot be read: {error.strerror}.") from error

    def load(self, mini_batch: MiniBatch) -> list[dict[str, object]]:
        lines = cast("_LinesOfFile", mini_batch.position)
        rows: list[dict[str, object]] = []
        for line in read_range(lines.path, lines.offset, lines.length).split(b"\n"):
            if line.strip():
                rows.append(_row(line, ItemName(lines.name, lines.first_row + len(rows) + 1)))
        check_unchanged(lines.path, len(rows), mini_batch)
        return rows

    def item_names(self, mini_batch: MiniBatch) -> Sequence[ItemName]:
        lines = cast("_LinesOfFile", mini_batch.position)
        return row_names(lines.name, lines.first_row, mini_batch.size)

    def describe(self) -> str:
        return (
            f"JSON lines in {count_text(len(self._paths), 'file')} {self._label}, "
            f"{count_text(self._size, 'row')} a mini-batch"
        )

    def _cut(self, path: str, name: str) -> Iterator[tuple[int, _LinesOfFile, Partition]]:
        def lines() -> _LinesOfFile:
            return _LinesOfFile(path=path, name=name, offset=start, length=position - start, first_row=row)

        with open(path, "rb") as stream:
            position = start = size = row = 0
            for line in stream:
                if position == 0 and line.startswith(UTF8_BOM):
                    position = start = len(UTF8_BOM)
                    line = line[len(UTF8_BOM) :]
                position += len(line)
                size += bool(line.strip())
                if size == self._size:
                    yield size, lines(), ()
                    start, row, size = position, row + size, 0
            if size:
                yield size, lines(), ()


def _row(line: bytes, name: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{name} is no JSON: {error}") from error
    if not isinstance(row, dict):
        raise LoadError(f"{name} is no JSON object but of type {type(row).__name__}")
    return row

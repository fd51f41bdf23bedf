r"""Where the records of a CSV end, in bytes, read block by block.

A record ends at \n, \r\n or a lone \r outside quotes. A quote opens a field only as its first character,
"" stands for a quote inside of it, and after its closing quote the field goes on unquoted: the reading of
pandas' own parser, which gets the records afterwards.
"""

from __future__ import annotations

import re
from typing import BinaryIO, NamedTuple

BLOCK = 1 << 20
"""Bytes read at once. Memory is a mini-batch and a block, however large the file."""

UTF8_BOM = b"\xef\xbb\xbf"

_TERMINATOR = re.compile(rb"\r\n|\r|\n")


class Piece(NamedTuple):
    """Whole consecutive records, and the offset of the first in the file."""

    offset: int
    data: bytes


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
        """Where the first record at or after `start` begins; None where only blank lines follow.

        Blank is an empty line and one of blanks, as in pandas (`skip_blank_lines`).
        """
        visible = self._visible.search(data, start)
        if visible is None:
            return None
        return max(start, 1 + max(data.rfind(mark, start, visible.start()) for mark in (b"\n", b"\r")))

    def record_end(self, data: bytes, start: int, minimum: int, *, final: bool) -> int | None:
        """The first end of a record that lies `minimum` bytes or more after `start`, the start of one.

        None where the data does not show it yet; `final` says that nothing follows the data.
        """
        position = self._skip_quoted(data, start, start + minimum - 1)
        while terminator := _TERMINATOR.search(data, position):
            position = self._skip_quoted(data, position, terminator.start())
            if position == terminator.start():
                if terminator.group() == b"\r" and terminator.end() == len(data) and not final:
                    return None
                return terminator.end()
        return len(data) if final else None

    def _skip_quoted(self, data: bytes, position: int, stop: int) -> int:
        """`stop`, or the end of the quoted field that it lies in. `position` is outside of quotes."""
        while (quote := data.find(b'"', position, stop)) >= 0:
            field = self._quoted.match(data, quote)
            position = field.end() if field else quote + 1
        return max(position, stop)


class RecordReader:
    """Takes whole records off a stream, from where it stands, and never splits one."""

    def __init__(self, stream: BinaryIO, delimiter: bytes, *, skip_bom: bool) -> None:
        self._stream = stream
        self._grammar = RecordGrammar(delimiter)
        self._data = stream.read(len(UTF8_BOM))
        self._start = 0
        self._offset = 0
        self._final = False
        if skip_bom and self._data == UTF8_BOM:
            self._data = b""
            self._offset = len(UTF8_BOM)

    def take(self, minimum: int) -> Piece | None:
        """The fewest next records that have `minimum` bytes together, or all that are left; None at the end.

        Blank lines before them are dropped; those among and right before their end count as they lie there.
        """
        while True:
            start = self._grammar.record_start(self._data, self._start)
            if start is not None:
                self._start = start
                if self._final or len(self._data) - start >= minimum:
                    end = self._grammar.record_end(self._data, start, minimum, final=self._final)
                    if end is not None:
                        self._start = end
                        return Piece(self._offset + start, self._data[start:end])
            if self._final:
                return None
            self._read_more()

    def _read_more(self) -> None:
        left = self._data[self._start :]
        # As much again as is there: a record of any length is scanned twice at most, not once a block.
        more = self._stream.read(max(BLOCK, len(left)))
        self._offset += self._start
        self._start = 0
        self._data = left + more
        self._final = not more

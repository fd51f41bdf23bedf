r"""Where the records of a CSV end, in bytes, read block by block.

A record ends at \n, \r\n or a lone \r outside quotes. A quote opens a field only as its first character,
"" stands for a quote inside of it, and after its closing quote the field goes on unquoted: the reading of
pandas' own parser, which gets the records afterwards.
"""

from __future__ import annotations

import re
from typing import BinaryIO, NamedTuple

BLOCK = 4 << 20
"""Bytes read at once. Memory is a mini-batch and a block, however large the file."""

UTF8_BOM = b"\xef\xbb\xbf"

LONG = 4096
"""Bytes from which on quotes are counted and not read one by one."""

_QUOTE = ord('"')
_OUTSIDE, _IRREGULAR = -1, -2

_TERMINATOR = re.compile(rb"\r\n|\r|\n")


class Piece(NamedTuple):
    """Whole consecutive records, and the offset of the first in the file.

    guessed: whether its end could lie in a quoted field; who parses it sees an open quote then.
    """

    offset: int
    data: bytes
    guessed: bool = False


class RecordGrammar:
    """The shape of records for one delimiter, a single byte."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
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

    def record_end(self, data: bytes, start: int, minimum: int, *, final: bool, guess: bool = False) -> int | None:
        """The first end of a record that lies `minimum` bytes or more after `start`, the start of one.

        None where the data does not show it yet; `final` says that nothing follows the data. guess: quotes are not
        looked at.
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
        """`stop` or a bit more, or the end of the quoted field that it lies in. `position` is outside of quotes."""
        if stop - position >= LONG and data.find(b'"', position, stop) >= 0:
            while stop < len(data) and data[stop - 1] == data[stop] == _QUOTE:
                # No pair of quotes is taken apart.
                stop += 1
            opened = self._last_opened(data, position, stop)
            if opened == _OUTSIDE:
                return stop
            if opened != _IRREGULAR:
                position = opened
        while (quote := data.find(b'"', position, stop)) >= 0:
            field = self._quoted.match(data, quote)
            position = field.end() if field else quote + 1
        return max(position, stop)

    def _last_opened(self, data: bytes, start: int, stop: int) -> int:
        """Where the quoted field begins that `stop` lies in; _OUTSIDE, or _IRREGULAR where counting does not tell.

        Every other quote opens a field or is the second of a pair, if no field has a quote in its middle.
        """
        import numpy as np

        signs = np.frombuffer(data, dtype=np.uint8)
        quotes = np.flatnonzero(signs[start:stop] == _QUOTE) + start
        opening = quotes[::2]
        second = np.zeros(len(opening), dtype=bool)
        second[1:] = np.diff(quotes)[1::2] == 1
        # Before the first sign there is none; what stands in for it ends a field.
        first = opening == 0
        ends_field = np.zeros(256, dtype=bool)
        ends_field[list(b"\r\n" + self._delimiter)] = True
        if not (second | first | ends_field[signs[opening - 1]]).all():
            return _IRREGULAR
        if len(quotes) % 2 == 0:
            return _OUTSIDE
        return int(opening[~second][-1])


class RecordReader:
    """Takes whole records off a stream, from where it stands, and never splits one."""

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
        """The next records up to one that ends behind a multiple of `size`, or all that are left; None at the end.

        Offsets count from the beginning of the file: a record belongs to the multiple of `size` that it begins in, one
        that begins just where that ends included.
        Blank lines before them are dropped; those among and right before their end count as they lie there.
        guess: takes the next line end for that of a record, which is quick; `take_again()` looks closer.
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
        """The piece that was taken last, and this time its end is that of a record."""
        self._start = self._last
        return self.take(size)

    def _read_more(self) -> None:
        left = self._data[self._start :]
        # As much again as is there: a record of any length is scanned twice at most, not once a block.
        more = self._stream.read(max(BLOCK, len(left)))
        self._offset += self._start
        self._start = 0
        self._data = left + more
        self._final = not more


def _bytes_until(offset: int, size: int) -> int:
    """From an offset on, the bytes up to the first one behind a multiple of `size`."""
    return max(-(-offset // size), 1) * size + 1 - offset

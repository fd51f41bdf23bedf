"""Ranges of bytes of files, again and in any order; of compressed files quickly where they come one after the other."""

from __future__ import annotations

import os
from typing import BinaryIO, NamedTuple

from pytest_parallelrun.emulator.splitting.compressed import SUFFIXES, open_binary


class _Left(NamedTuple):
    """A stream that stays open behind the last range. identity: of the file when it was opened."""

    path: str
    identity: tuple[int, ...]
    position: int
    stream: BinaryIO


class RangeReader:
    """Reads ranges of the decompressed bytes of files.

    A compressed file can only be read from its beginning on. The stream that a range was read from is kept, so that
    ranges in their order cost one pass over the file together; one before it costs a new start.
    """

    def __init__(self) -> None:
        self._left: _Left | None = None

    def read(self, path: str, offset: int, length: int) -> bytes:
        """The bytes of a range, fewer at the end of the file. One of UNREADABLE, or InputError, as `open_binary()`."""
        if not path.lower().endswith(SUFFIXES):
            with open_binary(path) as stream:
                stream.seek(offset)
                return stream.read(length)
        # Taken away meanwhile, for two threads never to share it.
        left, self._left = self._left, None
        try:
            identity = _identity(path)
        except OSError:
            _close(left)
            raise
        if left is None or (left.path, left.identity) != (path, identity) or left.position > offset:
            _close(left)
            left = _Left(path, identity, 0, open_binary(path))
        try:
            left.stream.seek(offset)
            data = left.stream.read(length)
        except BaseException:
            _close(left)
            raise
        other, self._left = self._left, left._replace(position=offset + len(data))
        _close(other)
        return data

    def __getstate__(self) -> dict[str, object]:
        # A stream stays where it was opened.
        return {"_left": None}

    def __del__(self) -> None:
        _close(self._left)


def _identity(path: str) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _close(left: _Left | None) -> None:
    if left is not None:
        left.stream.close()

"""Files that are compressed, told by their ending as pandas does, as streams of what is in them.

Offsets and sizes are those of the decompressed bytes: records end there, and a mini-batch of so many bytes is one of so
many bytes of records.
"""

from __future__ import annotations

import lzma
import os
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from pytest_parallelrun.emulator.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".zst")

UNREADABLE: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a file raises that is not there, may not be read, or is not what its ending says."""


def open_binary(path: str) -> BinaryIO:
    """A stream of the decompressed bytes, which can be sought forward and, at the price of a new start, backward.

    One of UNREADABLE where it cannot be opened; InputError for an archive of several files, or a missing package.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".gz":
        import gzip

        return cast("BinaryIO", gzip.open(path, "rb"))
    if suffix == ".bz2":
        import bz2

        return cast("BinaryIO", bz2.open(path, "rb"))
    if suffix == ".xz":
        return cast("BinaryIO", lzma.open(path, "rb"))
    if suffix == ".zip":
        return _only_member(path)
    if suffix == ".zst":
        return _zstandard(path)
    return open(path, "rb")


def why_unreadable(error: BaseException) -> str:
    """One of UNREADABLE in words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def uncompressed_name(name: str) -> str:
    """The name without the ending of its compression: "a.csv" of "a.csv.gz"."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


def _only_member(path: str) -> BinaryIO:
    import zipfile

    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise OSError(str(error)) from error
    members = [member for member in archive.namelist() if not member.endswith("/")]
    if len(members) != 1:
        archive.close()
        raise InputError(
            f"input '{path}': the archive holds {len(members)} files, and a table is one. Extract them and give a glob."
        )
    stream = archive.open(members[0])
    # What is open in it stays readable, and closes the file with itself.
    archive.close()
    return cast("BinaryIO", stream)


def _zstandard(path: str) -> BinaryIO:
    try:
        import zstandard
    except ImportError:
        raise InputError(
            f"input '{path}': reading it needs the package zstandard: pip install zstandard, or decompress it."
        ) from None
    stream = open(path, "rb")  # noqa: SIM115  # the reader closes it
    reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True, closefd=True)
    return cast("BinaryIO", _ZstandardStream(reader, zstandard.ZstdError))


class _ZstandardStream:
    """The reader of zstandard with the errors of other streams."""

    def __init__(self, reader: BinaryIO, error: type[Exception]) -> None:
        self._reader = reader
        self._error = error

    def read(self, size: int = -1) -> bytes:
        try:
            return self._reader.read(size)
        except self._error as error:
            raise OSError(str(error)) from error

    def seek(self, offset: int) -> int:
        try:
            return self._reader.seek(offset)
        except self._error as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

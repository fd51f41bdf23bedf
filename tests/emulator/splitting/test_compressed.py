from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting.compressed import UNREADABLE, open_binary, uncompressed_name, why_unreadable

CONTENT = b"x\n" + b"".join(b"%d\n" % number for number in range(1000))


def zipped(data: bytes, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("folder/", b"")
        for name in names or ("data.csv",):
            archive.writestr(name, data)
    return stream.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".BZ2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": zipped,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_stream_has_the_decompressed_bytes_and_seeks_in_them(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data.csv{suffix}"
    path.write_bytes(COMPRESS[suffix](CONTENT))
    with open_binary(str(path)) as stream:
        assert stream.read() == CONTENT
    with open_binary(str(path)) as stream:
        stream.seek(1234)
        assert stream.read(20) == CONTENT[1234:1254]


def test_several_frames_of_zstandard_are_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "data.csv.zst"
    path.write_bytes(COMPRESS[".zst"](b"a\n") + COMPRESS[".zst"](b"b\n"))
    with open_binary(str(path)) as stream:
        assert stream.read() == b"a\nb\n"


@pytest.mark.parametrize("suffix", [".gz", ".BZ2", ".xz", ".zip", ".zst"])
def test_what_is_not_compressed_as_its_ending_says_is_unreadable_with_a_reason(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data.csv{suffix}"
    path.write_bytes(b"nothing of the kind " * 10)
    with pytest.raises(UNREADABLE) as caught, open_binary(str(path)) as stream:
        stream.read()
    assert why_unreadable(caught.value)


def test_seeking_in_broken_zstandard_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "data.csv.zst"
    path.write_bytes(b"nothing of the kind")
    with open_binary(str(path)) as stream, pytest.raises(UNREADABLE):
        stream.seek(5)


def test_an_error_without_words_is_told_by_its_name() -> None:
    assert why_unreadable(EOFError()) == "EOFError"
    assert why_unreadable(OSError(2, "No such file")) == "No such file"


def test_an_archive_of_several_files_is_refused_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    path.write_bytes(zipped(CONTENT, "a.csv", "b.csv"))
    with pytest.raises(InputError, match=r"the archive holds 2 files, and a table is one\. Extract them"):
        open_binary(str(path))


def test_zstandard_without_its_package_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(InputError, match="needs the package zstandard: pip install zstandard"):
        open_binary(str(tmp_path / "data.csv.zst"))


def test_the_name_of_a_compressed_file_is_that_of_what_is_in_it() -> None:
    assert [uncompressed_name(name) for name in ("a.csv.gz", "a.TSV.ZST", "a.csv", "a")] == [
        "a.csv",
        "a.TSV",
        "a.csv",
        "a",
    ]

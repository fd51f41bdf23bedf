from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallelrun.emulator.splitting import open_input, ranges
from pytest_parallelrun.emulator.splitting.compressed import UNREADABLE, open_binary
from pytest_parallelrun.emulator.splitting.ranges import RangeReader
from tests.emulator.splitting._settings import Split

CONTENT = bytes(number % 251 for number in range(5_000))


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ranges") / "a.GZ"
    path.write_bytes(gzip.compress(CONTENT))
    return str(path)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were opened, in their order."""
    paths: list[str] = []

    def counted(path: str) -> BinaryIO:
        paths.append(path)
        return open_binary(path)

    monkeypatch.setattr(ranges, "open_binary", counted)
    return paths


@given(st.lists(st.tuples(st.integers(0, 5_100), st.integers(0, 900)), max_size=8))
def test_ranges_in_any_order_are_those_of_the_content(compressed: str, wanted: list[tuple[int, int]]) -> None:
    reader = RangeReader()
    for offset, length in wanted:
        assert reader.read(compressed, offset, length) == CONTENT[offset : offset + length]


def test_ranges_in_their_order_take_one_pass(compressed: str, opened: list[str]) -> None:
    reader = RangeReader()
    for offset in range(0, 5_000, 100):
        reader.read(compressed, offset, 50)
    assert len(opened) == 1
    reader.read(compressed, 0, 1)
    assert len(opened) == 2


def test_mini_batches_of_compressed_json_lines_are_loaded_in_one_pass(tmp_path: Path, opened: list[str]) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"x": %d}\n' % number for number in range(30))))
    split = open_input(str(path), Split(mini_batch_rows=3))
    rows = [row for batch in split.mini_batches() for row in split.load(batch)]
    assert (rows, opened) == ([{"x": number} for number in range(30)], [str(path)])


def test_a_file_that_changed_or_went_away_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"old content"))
    reader = RangeReader()
    assert reader.read(str(path), 0, 3) == b"old"
    path.write_bytes(gzip.compress(b"something else"))
    assert reader.read(str(path), 4, 5) == b"thing"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        reader.read(str(path), 9, 5)


def test_after_an_error_the_file_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    whole = gzip.compress(os.urandom(50_000))
    path.write_bytes(whole[:30_000])
    reader = RangeReader()
    for _ in range(2):
        with pytest.raises(UNREADABLE):
            reader.read(str(path), 0, 50_000)


def test_a_reader_that_is_sent_elsewhere_starts_anew(compressed: str) -> None:
    reader = RangeReader()
    reader.read(compressed, 0, 10)
    assert pickle.loads(pickle.dumps(reader)).read(compressed, 10, 10) == CONTENT[10:20]

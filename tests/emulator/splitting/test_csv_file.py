from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.emulator.splitting.csv_file import CsvFile


def opened(path: Path, data: bytes) -> CsvFile:
    path.write_bytes(data)
    file = CsvFile.open(str(path), path.name, encoding="utf-8", delimiter=",")
    assert file is not None
    return file


def test_fields_are_those_of_one_column_as_they_are_written_and_nulls_are_empty(tmp_path: Path) -> None:
    file = opened(tmp_path / "data.csv", b"x,y\n")
    assert file.fields(b"01,a\n,b\nNA,c\n1e3,d\n", "x") == ["01", "", "", "1e3"]


@pytest.mark.parametrize(
    "message", ["malformed input file.", "Error tokenizing data. C error: malformed input file.\n"]
)
def test_an_error_of_pandas_becomes_one_sentence_with_what_to_set(tmp_path: Path, message: str) -> None:
    path = tmp_path / "data.csv"
    assert str(opened(path, b"x\n").parse_error(message)) == (
        f"input '{path}' cannot be parsed: malformed input file. It is read with delimiter=',' and "
        "encoding='utf-8'; set these if they are others."
    )

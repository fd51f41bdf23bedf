"""Samples that the tests of strategies draw from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pytest_parallelrun.strategies import Sample

CONTENTS = {
    "a.txt": b"first line\nsecond line\n",
    "b.txt": b"one line\nand more\n",
    "no_extension": b"x\ny\n",
    "sub/a.txt": b"of the same name\nin a folder\n",
    "sub/\xe4 b.dat": b"\x00\x01\x02\n\x03",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five files, two of them in a folder; its own name has a blank and a letter beyond ASCII."""
    folder = tmp_path_factory.mktemp("my data ü")
    for name, content in CONTENTS.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def files(folder: Path) -> Sample:
    return Sample(folder)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Twelve rows with a column of every type that has odd values, and one that has none."""
    size = 12
    numbers = list(range(1, size + 1))
    table: pd.DataFrame = pd.DataFrame(
        {
            "integer": numbers,
            "small": pd.Series(numbers, dtype="int8"),
            "unsigned": pd.Series(numbers, dtype="uint16"),
            "number": [number / 2 for number in numbers],
            "single": pd.Series(numbers, dtype="float32"),
            "text": [f"text {number}" for number in numbers],
            "object": pd.Series([f"text {number}" for number in numbers], dtype=object),
            "mixed": pd.Series([[number] for number in numbers], dtype=object),
            "flag": [True, False] * (size // 2),
            "day": pd.date_range("2024-01-01", periods=size),
            "moment": pd.date_range("2024-01-01", periods=size, tz="Europe/Berlin"),
            "span": pd.to_timedelta(numbers, unit="h"),
            "category": pd.Categorical(["x", "y"] * (size // 2), categories=["x", "y", "never"]),
            "nullable": pd.Series(numbers, dtype="Int32"),
            "maybe": pd.Series([True, False] * (size // 2), dtype="boolean"),
            "string": pd.Series([f"text {number}" for number in numbers], dtype="string"),
        }
    )
    return table


@pytest.fixture(scope="module")
def narrow() -> pd.DataFrame:
    """Twelve rows of three columns, for jobs: they write tables as CSV to split them."""
    numbers = list(range(1, 13))
    halves, texts = [number / 2 for number in numbers], [str(number) for number in numbers]
    table: pd.DataFrame = pd.DataFrame({"integer": numbers, "number": halves, "text": texts})
    return table


@pytest.fixture(scope="module")
def table(narrow: pd.DataFrame) -> Sample:
    return Sample(narrow)


@pytest.fixture(scope="module")
def rows(frame: pd.DataFrame) -> Sample:
    return Sample(frame)

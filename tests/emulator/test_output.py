from __future__ import annotations

import asyncio
import collections
import decimal
import fractions
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pytest

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.output import (
    AppendedFile,
    OutputError,
    Written,
    as_rows,
    count_returned,
    size_of,
    wrong_type_message,
)


class Listed(list[int]):
    pass


class Framed(pd.DataFrame):
    pass


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text for me")


Pair = collections.namedtuple("Pair", "a b")


def generator() -> Iterator[int]:
    yield 1


async def coroutine() -> list[int]:
    return [1]


def written(tmp_path: Path, *values: object, header: bool = False) -> bytes:
    path = tmp_path / "out.txt"
    with AppendedFile(path, header=header) as file:
        for value in values:
            file.append(value)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ([], 0),
        ([1, None], 2),
        ((1, 2, 3), 3),
        (Listed([1]), 1),
        (Pair(1, 2), 2),
        (pd.DataFrame(), 0),
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), 2),
        (pd.DataFrame(index=range(3)), 3),
        (Framed({"a": [1]}), 1),
    ],
)
def test_lists_tuples_and_dataframes_count_their_elements_or_rows(value: object, count: int) -> None:
    assert count_returned(value) == count


WRONG: list[tuple[Callable[[], object], str, str]] = [
    (lambda: None, "returned None", "each `return` of"),
    (lambda: "text", "returned str", r"\[text\]"),
    (lambda: b"text", "returned bytes", r"\[text\]"),
    (lambda: {"a": 1}, "returned dict", "list of dicts"),
    (lambda: collections.OrderedDict(), "returned collections.OrderedDict", "list of dicts"),
    (lambda: pd.Series([1]), "returned a pandas Series", r"\.tolist\(\)"),
    (lambda: np.zeros(2), "returned a numpy array", r"\.tolist\(\)"),
    (generator, r"returned an iterator \(generator\)", r"list\(result\)"),
    (lambda: iter([1]), r"returned an iterator \(list_iterator\)", r"list\(result\)"),
    (lambda: map(str, [1]), r"returned an iterator \(map\)", r"list\(result\)"),
    (lambda: {1, 2}, "returned set", "drops equal results"),
    (lambda: frozenset(), "returned frozenset", "drops equal results"),
    (coroutine, "returned a coroutine", r"asyncio\.run\(\)"),
    (lambda: 3, "returned int", "not how many"),
    (lambda: True, "returned bool", "not how many"),
    (lambda: np.float32(1), "returned numpy.float32", "not how many"),
    (lambda: decimal.Decimal(1), "returned decimal.Decimal", "not how many"),
    (lambda: fractions.Fraction(1), "returned fractions.Fraction", "not how many"),
    (lambda: range(3), "returned range", r"list\(result\)"),
    (object, "returned object", r"\[result\]"),
]


@pytest.mark.parametrize(("make", "what", "advice"), WRONG, ids=[what for _, what, _ in WRONG])
def test_any_other_type_is_not_counted_and_its_message_says_what_to_return(
    make: Callable[[], object], what: str, advice: str
) -> None:
    value = make()
    assert count_returned(value) is None
    message = wrong_type_message(value)
    assert message.startswith("run() returned ")
    assert "It must return a list, a tuple or a pandas DataFrame" in message
    assert re.search(what, message)
    assert re.search(advice, message)


def test_a_coroutine_is_closed_so_that_python_does_not_warn_of_it() -> None:
    value = coroutine()
    wrong_type_message(value)
    with pytest.raises(RuntimeError, match="cannot reuse"):
        asyncio.run(value)


def test_rows_of_a_list_or_tuple_are_its_elements() -> None:
    assert as_rows(["a", {"b": 1}]) == ["a", {"b": 1}]
    assert as_rows((1, None)) == [1, None]


def test_rows_of_a_list_are_a_list_of_their_own() -> None:
    returned = [1]
    as_rows(returned).append(2)
    assert returned == [1]


def test_rows_of_a_dataframe_are_dicts_of_python_objects() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [1.5, 2.5], 3: ["x", None]}, index=[7, 8])
    rows = as_rows(frame)
    assert rows == [{"a": 1, "b": 1.5, 3: "x"}, {"a": 2, "b": 2.5, 3: frame[3][8]}]
    first = rows[0]
    assert isinstance(first, dict)
    assert [type(value) for value in first.values()] == [int, float, str]


def test_column_names_that_come_again_get_a_number_that_is_free() -> None:
    frame = pd.DataFrame([[1, 2, 3, 4]], columns=["a", "a", "a.1", "a"])
    assert as_rows(frame) == [{"a": 1, "a.2": 2, "a.1": 3, "a.3": 4}]
    assert list(frame.columns) == ["a", "a", "a.1", "a"]


def test_rows_of_a_dataframe_without_columns_are_empty_dicts() -> None:
    assert as_rows(pd.DataFrame(index=range(2))) == [{}, {}]


def test_a_value_that_is_not_allowed_has_no_rows() -> None:
    assert as_rows(None) == []


def test_elements_of_a_list_are_lines_as_str_has_them(tmp_path: Path) -> None:
    assert written(tmp_path, ["a", 1.5, {"k": "v"}, None], ("é", "")) == "a\n1.5\n{'k': 'v'}\nNone\né\n\n".encode()


def test_newlines_in_an_element_are_written_as_they_are(tmp_path: Path) -> None:
    assert written(tmp_path, ["a\nb\r\nc"]) == b"a\nb\r\nc\n"


def test_recorded_line_of_a_dataframe_row_is_separated_by_spaces_and_quoted_as_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame([(1, "x y", 1.5, True, 'q"q')], index=[7])
    assert written(tmp_path, frame) == b'1 "x y" 1.5 True "q""q"\n'


def test_a_null_in_a_dataframe_is_an_empty_field(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, None], "b": [None, "x"], "c": [1, 2]})
    assert written(tmp_path, frame) == b'1.0 "" 1\n"" x 2\n'.replace(b'""', b"")


def test_the_header_is_written_once_and_for_dataframes_only(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a b": [1], "c": [2]})
    values = (["line"], frame.iloc[:0], frame, frame)
    assert written(tmp_path, *values, header=True) == b'line\n"a b" c\n1 2\n1 2\n'


def test_nothing_is_written_for_empty_results(tmp_path: Path) -> None:
    assert written(tmp_path, [], (), pd.DataFrame(), header=True) == b""


def test_folders_above_the_file_are_made_and_names_may_have_spaces(tmp_path: Path) -> None:
    path = tmp_path / "my out é" / "deep" / "pre dictions.csv"
    with AppendedFile(path) as file:
        file.append(["x"])
    assert path.read_text() == "x\n"


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("earlier")
    with pytest.raises(InputError, match=r"out\.txt' exists already.*use an empty folder"):
        AppendedFile(path)
    assert path.read_text() == "earlier"


@pytest.mark.parametrize("name", ["file/out.txt", "x" * 300], ids=["below a file", "a name too long"])
def test_a_file_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"' cannot be made: .*: use another folder"):
        AppendedFile(tmp_path / name)


class Full(io.BytesIO):
    """A file on a disk that is full."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        self.write(b"")

    def close(self) -> None:
        self._file.close()
        super().close()


@pytest.mark.parametrize("do", [lambda file: file.append(["x"]), AppendedFile.close], ids=["append", "close"])
def test_a_full_disk_is_told(tmp_path: Path, do: Callable[[AppendedFile], None]) -> None:
    file = AppendedFile(tmp_path / "out.txt")
    file._stream = Full(file._stream)  # type: ignore[assignment]
    with pytest.raises(OutputError, match=r"out\.txt' cannot be written: No space left on device"):
        do(file)


def test_a_file_that_is_removed_before_it_has_rows_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "out" / "all.txt"
    with AppendedFile(path) as file:
        shutil.rmtree(path.parent)
        file.require()
        file.append(["x"])
    assert path.read_text() == "x\n"


def test_a_file_that_is_removed_with_its_rows_is_told_and_so_is_one_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "all.txt"
    gone = r"all\.txt' is gone: the script has removed or replaced it, and the rows in it"
    file = AppendedFile(path)
    file.append(["x"])
    file.require()
    path.rename(tmp_path / "moved.txt")
    with pytest.raises(OutputError, match=gone):
        file.require()
    path.write_text("another")
    with pytest.raises(OutputError, match=gone):
        file.close()
    file.close()
    assert (path.read_text(), (tmp_path / "moved.txt").read_text()) == ("another", "x\n")


def test_an_empty_file_that_cannot_be_made_anew_is_told(tmp_path: Path) -> None:
    path = tmp_path / "out" / "all.txt"
    file = AppendedFile(path)
    shutil.rmtree(path.parent)
    path.parent.touch()
    cannot = r"all\.txt' was removed, and cannot be created again: File exists"
    with pytest.raises(OutputError, match=cannot):
        file.require()
    with pytest.raises(OutputError, match=cannot):
        file.append(["x"])
    with pytest.raises(OutputError, match=cannot):
        file.close()
    file.close()


@pytest.mark.parametrize(("mode", "bytes_then"), [("w", 0), ("a", 9)])
def test_a_file_that_the_script_writes_to_itself_is_told(tmp_path: Path, mode: str, bytes_then: int) -> None:
    path = tmp_path / "all.txt"
    file = AppendedFile(path)
    file.append(["kept"])
    file._stream.flush()
    with open(path, mode) as own:
        own.write("" if mode == "w" else "mine")
    with pytest.raises(
        OutputError, match=rf"has {bytes_then} bytes, and 5 were appended: the script has written to it"
    ):
        file.close()


def test_what_is_on_its_way_is_not_replaced_by_what_became_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "all.txt"

    def interrupted() -> None:
        with AppendedFile(path) as file:
            file.append(["x"])
            path.unlink()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_an_element_without_text_loses_nothing_that_was_written_and_names_its_type(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with AppendedFile(path) as file:
        file.append(["kept"])
        with pytest.raises(OutputError, match=r"element 1 .* a Unprintable, .*RuntimeError: no text for me"):
            file.append(["not written alone", Unprintable()])
        file.append(["kept too"])
    assert path.read_text() == "kept\nkept too\n"


def test_a_cell_without_text_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with AppendedFile(path, header=True) as file:
        with pytest.raises(OutputError, match="DataFrame that cannot be written as text: RuntimeError"):
            file.append(pd.DataFrame({"a": ["x", Unprintable()]}))
        file.append(pd.DataFrame({"a": ["y"]}))
    assert path.read_text() == "a\ny\n"


def test_text_that_utf_8_cannot_hold_is_an_error_that_shows_it(tmp_path: Path) -> None:
    with (
        AppendedFile(tmp_path / "out.txt") as file,
        pytest.raises(OutputError, match=r"'\\ud800' in 'row \\ud800"),
    ):
        file.append(["row \ud800"])


def test_a_value_that_is_not_allowed_cannot_be_appended(tmp_path: Path) -> None:
    with (
        AppendedFile(tmp_path / "out.txt") as file,
        pytest.raises(OutputError, match="run\\(\\) returned None"),
    ):
        file.append(None)


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    with AppendedFile(tmp_path / "out.txt") as file:
        file.close()


def test_counting_and_writing_lists_does_not_import_pandas() -> None:
    program = (
        "import sys, tempfile, pathlib; from pytest_parallelrun.emulator import output as o;"
        "assert o.count_returned([1]) == 1 and o.count_returned(1) is None; o.wrong_type_message(iter(()));"
        "file = o.AppendedFile(pathlib.Path(tempfile.mkdtemp()) / 'x'); file.append([1]); file.close();"
        "sys.exit('pandas' in sys.modules or 'numpy' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


def test_what_a_worker_wrote_already_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "of a worker").write_bytes(b"before|1 2\n|after")
    appended = AppendedFile(tmp_path / "all.txt", header=True)
    frame = pd.DataFrame({"a b": [1], "c": [2]})
    appended.append(frame, Written(str(tmp_path / "of a worker"), 7, 4))
    appended.append(["line"], Written(str(tmp_path / "of a worker"), 12, 5))
    appended.close()
    assert (tmp_path / "all.txt").read_bytes() == b'"a b" c\n1 2\nafter'


def test_what_a_worker_could_not_write_is_an_error_with_its_reason(tmp_path: Path) -> None:
    appended = AppendedFile(tmp_path / "all.txt", header=False)
    with pytest.raises(OutputError, match="No space left on device"):
        appended.append(["a"], Written("", 0, 0, "No space left on device"))
    appended.close()
    assert (tmp_path / "all.txt").read_bytes() == b""


def test_what_a_worker_wrote_and_is_gone_is_an_error_that_names_its_file(tmp_path: Path) -> None:
    appended = AppendedFile(tmp_path / "all.txt", header=False)
    with pytest.raises(OutputError, match=r"what a worker wrote to '.*of a worker' is gone: No such file or directory"):
        appended.append(["a"], Written(str(tmp_path / "of a worker"), 0, 2))
    appended.close()
    assert (tmp_path / "all.txt").read_bytes() == b""


class Frame:
    """Stands for a table of another library; iterating one gives the names of its columns."""

    shape = (2, 1)

    def __iter__(self) -> Iterator[str]:
        return iter(["column"])


@pytest.mark.parametrize(
    ("methods", "conversion"),
    [
        (("to_dicts", "to_pandas", "to_numpy"), r"result.to_dicts(), or result.to_pandas()"),
        (("to_pylist", "to_pandas"), "result.to_pylist()"),
        (("to_list", "to_pandas"), "result.to_list()"),
        (("toPandas", "collect"), "result.toPandas()"),
        (("collect", "columns"), "result.collect().to_dicts()"),
        (("tolist", "numpy"), "result.tolist()"),
        ((), "return list(result)"),
    ],
    ids=["polars", "pyarrow", "polars.Series", "Spark", "LazyFrame", "torch", "unknown"],
)
def test_a_value_of_another_library_is_told_how_it_becomes_rows(methods: tuple[str, ...], conversion: str) -> None:
    kind = type("Table", (Frame,), dict.fromkeys(methods))
    assert conversion in wrong_type_message(kind())


def test_an_array_without_a_dimension_is_a_single_value() -> None:
    assert "[result] for a single one" in wrong_type_message(np.array(1.5))


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ([], 0, 0),
        ("no results", 0, 0),
        (["x" * 1000] * 100, 100_000, 120_000),
        ([{"a": "x" * 1000}] * 10, 10_000, 15_000),
        ([["x" * 1000]], 1_000, 1_300),
        (pd.DataFrame({"x": ["y" * 100] * 1000}), 100_000, 250_000),
        (pd.DataFrame({"x": [1]}), 3_000, 4_000),
    ],
)
def test_the_size_of_results_is_estimated(value: object, least: int, most: int) -> None:
    assert least <= size_of(value) <= most

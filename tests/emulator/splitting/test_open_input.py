from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator import splitting
from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.rules import Rules
from pytest_parallelrun.emulator.splitting import input_paths, open_input
from pytest_parallelrun.emulator.splitting.model import LoadError

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.splitting.delimited import CsvSplitter
    from pytest_parallelrun.emulator.splitting.files import FileSplitter
    from pytest_parallelrun.emulator.splitting.frame import FrameSplitter
    from pytest_parallelrun.emulator.splitting.input_paths import InputLocation
    from pytest_parallelrun.emulator.splitting.model import Splitter

    def keeps_the_protocol(files: FileSplitter, table: CsvSplitter, frame: FrameSplitter) -> list[Splitter]:
        """Checked by mypy alone."""
        return [files, table, frame]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: data/{1,10,2}.csv and data/notes.txt."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("1", "10", "2"):
        (folder / f"{name}.csv").write_text(f"x\n{name}\n")
    (folder / "notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    return folder


def handed_over(split: Splitter) -> list[object]:
    """All paths, or all values of column x."""
    items: list[object] = []
    for one in split.mini_batches():
        loaded = split.load(one)
        items += loaded["x"].tolist() if isinstance(loaded, pd.DataFrame) else loaded
    return items


def test_a_folder_is_files_even_where_all_of_them_are_csv(data: Path) -> None:
    (data / "notes.txt").unlink()
    split = open_input("data", JobSettings(mini_batch_size=2))
    assert split.kind == "files"
    assert handed_over(split) == [str(data / name) for name in ("1.csv", "10.csv", "2.csv")]
    assert split.describe() == "3 files in 'data', 2 a mini-batch: 2 mini-batches"


def test_a_csv_file_is_a_table(data: Path) -> None:
    split = open_input(data / "10.csv", JobSettings(mini_batch_size=1024))
    assert (split.kind, handed_over(split)) == ("tabular", [10])
    assert split.describe() == f"1 row in 1 file '{data / '10.csv'}', 1,024 bytes a mini-batch"


def test_rows_of_a_given_file_have_its_name_as_it_was_given(data: Path) -> None:
    for source in ("data/10.csv", ["data/10.csv"]):
        split = open_input(source, JobSettings())
        assert split.item_names(next(split.mini_batches())) == ["row 1 of data/10.csv"]


def test_a_glob_of_csv_files_is_a_table_in_sorted_order(data: Path) -> None:
    split = open_input("data/*.csv", JobSettings(mini_batch_size=1))
    assert handed_over(split) == [1, 10, 2]
    assert [split.item_names(one) for one in split.mini_batches()] == [
        ["row 1 of 1.csv"],
        ["row 1 of 10.csv"],
        ["row 1 of 2.csv"],
    ]
    assert split.describe() == "3 rows in 3 files matching 'data/*.csv', 1 byte a mini-batch"


def test_a_list_of_csv_files_is_a_table_in_the_order_given_and_may_repeat(data: Path) -> None:
    split = open_input(["data/2.csv", data / "1.csv", "data/2.csv"], JobSettings())
    assert (split.kind, handed_over(split)) == ("tabular", [2, 1, 2])
    assert split.describe() == "3 rows in 3 files of a list, 1,048,576 bytes a mini-batch"


def test_other_files_are_files(data: Path) -> None:
    split = open_input("data/notes.txt", JobSettings(profile="v1"))
    assert (split.kind, handed_over(split)) == ("files", [str(data / "notes.txt")])
    assert split.describe() == "1 file 'data/notes.txt', 10 a mini-batch: 1 mini-batch"


def test_a_list_of_files_keeps_its_order_and_may_repeat_and_be_a_tuple(data: Path) -> None:
    (data / "b.txt").write_text("")
    split = open_input(("data/notes.txt", "data/b.txt", "data/notes.txt"), JobSettings())
    assert handed_over(split) == [str(data / name) for name in ("notes.txt", "b.txt", "notes.txt")]
    assert split.describe() == "3 files of a list, 1 a mini-batch: 3 mini-batches"


def test_folders_and_globs_in_a_list_stand_for_their_files(data: Path) -> None:
    (data / "sub").mkdir()
    (data / "sub" / "a.bin").write_text("")
    split = open_input(["data/sub", "data/*.txt"], JobSettings())
    assert handed_over(split) == [str(data / "sub" / "a.bin"), str(data / "notes.txt")]


def test_a_missing_file_of_a_list_fails_when_its_mini_batch_is_loaded(data: Path) -> None:
    split = open_input(["data/gone.txt"], JobSettings())
    with pytest.raises(LoadError, match=r"gone\.txt' does not exist"):
        split.load(next(split.mini_batches()))


def test_a_missing_table_of_a_list_is_an_input_error_as_it_must_be_read_to_be_split(data: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv' cannot be read"):
        open_input(["data/1.csv", "data/gone.csv"], JobSettings())


@pytest.mark.parametrize("source", ["data/1.csv", "data/*.csv", ["data/1.csv", "data/notes.txt"]])
def test_a_batch_deployment_always_gets_file_paths(data: Path, source: str | list[str]) -> None:
    assert open_input(source, JobSettings(profile="batch")).kind == "files"


@pytest.mark.parametrize(
    ("source", "table", "other"),
    [
        (["data/1.csv", "data/notes.txt"], "data/1.csv", "data/notes.txt"),
        (["data", "data/1.csv"], "data/1.csv", "data"),
        (["data", "data/1.csv", "data/2.csv", "data/notes.txt"], "data/1.csv", "data"),
        (["data/notes.zip", "data/1.csv", "data/more.zip"], "data/1.csv", "data/notes.zip"),
    ],
)
def test_tables_and_other_paths_together_are_refused_with_one_of_each(
    data: Path, source: list[str], table: str, other: str
) -> None:
    with pytest.raises(InputError) as caught:
        open_input(source, JobSettings())
    assert str(caught.value) == (
        f"input mixes a table ('{table}') with other paths ('{other}'): run() receives either paths or DataFrames. "
        "Pass the folder to get paths, or only the files of the table to get DataFrames."
    )


def test_a_glob_that_matches_tables_and_other_files_is_refused(data: Path) -> None:
    with pytest.raises(InputError, match=r"1\.csv'\) with other paths \('.*notes\.txt'\)"):
        open_input("data/*", JobSettings())


@pytest.mark.parametrize("name", ["notes.txt", "a.json", "a.jsonl", "a.zip", "words.sv"])
def test_a_single_file_that_is_no_table_is_refused_as_the_service_refuses_it(data: Path, name: str) -> None:
    (data / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"Input format UriFile is not supported.*Pass its folder") as caught:
        open_input(f"data/{name}", JobSettings())
    assert ("--amlbi_mini_batch_rows ROWS" in str(caught.value)) == ("json" in name)
    # An explicit list is the files of one input, and the other profiles take one file.
    assert open_input([f"data/{name}"], JobSettings()).kind == "files"
    assert open_input(f"data/{name}", JobSettings(profile="v1")).kind == "files"
    assert open_input(f"data/{name}", JobSettings(profile="batch")).kind == "files"


@pytest.mark.parametrize("name", ["a.csv.gz", "a.CSV.ZIP", "a.tsv.zst", "a.csv.bz2", "a.csv.xz"])
def test_a_compressed_table_is_refused_but_where_paths_are_handed(data: Path, name: str) -> None:
    (data / name).write_bytes(b"")
    for source in (f"data/{name}", f"data/*{name}", ["data/1.csv", f"data/{name}"]):
        for profile in ("v1", "v2"):
            with pytest.raises(InputError) as caught:
                open_input(source, JobSettings(profile=profile))
            assert re.fullmatch(
                rf"input '\S*data/{name}': Azure ML's reader does not read compressed CSV\. "
                r"Decompress it, or pass its folder, so that run\(\) gets paths\.",
                str(caught.value),
            )
        assert open_input(source, JobSettings(profile="batch")).kind == "files"
        assert open_input(source, JobSettings(input_type="uri_folder")).kind == "files"
    assert open_input("data", JobSettings()).kind == "files"


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_tables_of_other_formats_are_files_in_a_folder_and_in_batch(data: Path, name: str) -> None:
    (data / name).write_bytes(b"")
    assert open_input("data", JobSettings()).kind == "files"
    assert open_input(f"data/{name}", JobSettings(profile="batch")).kind == "files"


def test_tables_of_two_formats_are_refused_with_one_of_each(data: Path) -> None:
    (data / "a.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"tables of two formats \('data/1\.csv', 'data/a\.parquet'\): give one"):
        open_input(["data/1.csv", "data/a.parquet"], JobSettings())


def test_an_mltable_needs_its_package_and_that_is_said(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "MLTable").write_text("type: mltable\npaths:\n  - file: ./1.csv\n")
    monkeypatch.setitem(sys.modules, "mltable", None)
    for profile in ("v2", "v1", "batch"):
        with pytest.raises(InputError) as caught:
            open_input("data", JobSettings(profile=profile))
        assert str(caught.value) == (
            "input 'data': reading an MLTable needs the package mltable: pip install 'pytest-parallelrun[mltable]'."
        )


def test_an_mltable_beside_other_paths_is_refused(data: Path) -> None:
    (data / "MLTable").write_text("type: mltable\npaths:\n  - file: ./1.csv\n")
    with pytest.raises(
        InputError, match=r"'data': a folder with an MLTable file is an input of its own\. Give it alone"
    ):
        open_input(["data", "data/notes.txt"], JobSettings())


def test_a_file_named_mltable_below_the_root_is_a_file(data: Path) -> None:
    (data / "sub").mkdir()
    (data / "sub" / "MLTable").write_text("")
    assert str(data / "sub" / "MLTable") in handed_over(open_input("data", JobSettings()))


def test_relative_paths_are_resolved_against_the_base(data: Path, tmp_path: Path) -> None:
    os.chdir(data)
    split = open_input("data/notes.txt", JobSettings(profile="v1"), base=tmp_path)
    assert handed_over(split) == [str(data / "notes.txt")]


def test_the_rule_of_file_grouping_is_followed(data: Path) -> None:
    (data / "sub").mkdir()
    (data / "sub" / "a.txt").write_text("")
    observed = JobSettings(mini_batch_size=10, rules=Rules(file_grouping="directory"))
    assert open_input("data", JobSettings(mini_batch_size=10)).total_mini_batches == 1
    assert open_input("data", observed).total_mini_batches == 2


def test_a_dataframe_is_a_table_in_every_profile() -> None:
    split = open_input(pd.DataFrame({"x": [1, 2]}), JobSettings(profile="batch", mini_batch_size=2))
    assert (split.kind, handed_over(split)) == ("tabular", [1, 2])


def test_encoding_and_delimiter_are_followed(data: Path) -> None:
    (data / "1.csv").write_bytes("x;y\né;1\n".encode("latin-1"))
    assert handed_over(open_input("data/1.csv", JobSettings(encoding="latin-1", delimiter=";"))) == ["é"]


@pytest.mark.parametrize("source", [[], ()])
def test_an_empty_list_is_an_empty_input(source: list[str]) -> None:
    with pytest.raises(EmptyInputError) as caught:
        open_input(source, JobSettings())
    assert str(caught.value) == "input: the list of paths is empty."


@pytest.mark.parametrize("name", ["gone", "gone.csv"])
def test_a_missing_path_that_is_no_part_of_a_list_is_an_input_error(data: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"'data/{name}' does not exist"):
        open_input(f"data/{name}", JobSettings())


def test_items_of_a_folder_are_named_relative_to_it(data: Path) -> None:
    (data.parent / "deep" / "sub").mkdir(parents=True)
    (data.parent / "deep" / "sub" / "a.txt").write_text("")
    split = open_input("deep", JobSettings())
    assert split.item_names(next(split.mini_batches())) == [os.path.join("sub", "a.txt")]


@pytest.mark.parametrize("listed", [True, False])
def test_a_folder_without_files_is_an_empty_input(tmp_path: Path, listed: bool) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    path = str(tmp_path / "empty")
    with pytest.raises(EmptyInputError, match="there is no file in the folder or below it"):
        open_input([path] if listed else path, JobSettings())


def test_files_of_zero_bytes_are_items(data: Path) -> None:
    assert open_input(["data/notes.txt"], JobSettings()).total_items == 1


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (None, "NoneType"),
        (3, "int"),
        ({"a": 1}, "dict"),
        ([pd.DataFrame({"x": [1]})], "DataFrame"),
        ([None], "NoneType"),
    ],
)
def test_anything_else_is_refused_with_what_may_be_given(source: object, name: str) -> None:
    with pytest.raises(InputError) as caught:
        open_input(source, JobSettings())  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"input of type {name}: give a path (str or Path), a list or tuple of paths, or one pandas DataFrame."
    )


def test_splitting_files_does_not_import_pandas(data: Path) -> None:
    program = (
        "import sys; from pytest_parallelrun.emulator.splitting import open_input;"
        "from pytest_parallelrun import JobSettings;"
        "split = open_input(sys.argv[1], JobSettings()); split.load(next(split.mini_batches()));"
        "sys.exit('pandas' in sys.modules or 'numpy' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program, str(data)], cwd=root, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "words.sv"])
def test_names_that_only_resemble_tables_are_files(data: Path, name: str) -> None:
    (data / name).write_bytes(b"")
    assert open_input(data / name, JobSettings(profile="v1")).kind == "files"


@pytest.mark.parametrize(("suffix", "kind"), [("txt", "files"), ("csv", "tabular")])
def test_a_long_list_is_opened_as_a_short_one_is(tmp_path: Path, suffix: str, kind: str) -> None:
    given = [tmp_path / f"{number}.{suffix}" for number in reversed(range(100))]
    for path in given:
        path.write_text("x\n1\n")
    split = open_input(given, JobSettings())
    assert (split.kind, len(list(split.mini_batches()))) == (kind, 100)
    if kind == "files":
        assert handed_over(split) == [str(path) for path in given]
    else:
        assert split.item_names(next(split.mini_batches())) == [f"row 1 of {given[0]}"]


def test_the_files_of_a_long_list_are_not_looked_up_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [tmp_path / f"{number}.txt" for number in range(100)]
    for path in given:
        path.touch()
    asked: list[str] = []

    def locate(path: str, base: str, *, must_exist: bool) -> InputLocation:
        asked.append(path)
        return input_paths.locate(path, base, must_exist=must_exist)

    monkeypatch.setattr(splitting, "locate", locate)
    missing = tmp_path / "gone.txt"
    split = open_input([*given, missing], JobSettings())
    assert asked == [str(missing)]
    assert split.total_items == 101

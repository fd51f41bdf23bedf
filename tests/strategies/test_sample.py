from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator.folders import remove_job_folder
from pytest_parallelrun.strategies import Files, Item, Rows, Sample
from pytest_parallelrun.strategies import sample as sample_module
from tests.strategies.conftest import CONTENTS


def test_a_folder_is_a_sample_of_the_files_below_it_in_sorted_order(files: Sample) -> None:
    assert files.kind == "files"
    assert files.names == tuple(sorted(CONTENTS))
    assert files.size == len(CONTENTS)
    assert files.sampled is None


def test_a_list_keeps_its_order_and_a_path_given_twice_is_one_item(folder: Path) -> None:
    sample = Sample([folder / "b.txt", str(folder / "a.txt"), folder / "b.txt"])
    assert sample.names == ("b.txt", "a.txt")


def test_files_of_a_list_that_do_not_exist_are_left_out_and_counted(folder: Path) -> None:
    sample = Sample([folder / "a.txt", folder / "gone.txt"])
    assert sample.names == ("a.txt",)
    assert sample.sampled == "1 missing file left out"


def test_a_csv_file_is_a_sample_of_its_rows_with_the_types_of_the_whole_input(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("id,value,text\n1,1,a\n2,2.5,b\n3,,\n", encoding="utf-8")
    sample = Sample(tmp_path / "table.csv")
    assert sample.kind == "tabular"
    assert [name.partition(" of ")[0] for name in sample.names] == ["row 1", "row 2", "row 3"]
    # Alone, row 1 would have an integer.
    (first,) = [Rows(rows=(0,)).build(sample)]
    assert isinstance(first, pd.DataFrame)
    assert first["value"].dtype == "float64"


def test_rows_of_many_files_are_one_sample_with_one_set_of_types(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("x\n1\n2\n", encoding="utf-8")
    (tmp_path / "2.csv").write_text("x\n", encoding="utf-8")
    (tmp_path / "3.csv").write_text("x\n3.5\n", encoding="utf-8")
    sample = Sample(str(tmp_path / "*.csv"))
    assert list(sample.frame["x"]) == [1.0, 2.0, 3.5]
    assert sample.names == ("row 1 of 1.csv", "row 2 of 1.csv", "row 1 of 3.csv")


def test_files_with_other_columns_have_nulls_as_in_every_mini_batch(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    (tmp_path / "2.csv").write_text("x,z\n1,2\n3,4\n", encoding="utf-8")
    sample = Sample(str(tmp_path / "*.csv"))
    assert list(sample.frame.columns) == ["x", "y", "z"]
    assert sample.frame.dtypes.astype(str).tolist() == ["int64", "float64", "float64"]
    assert sample.size == 3
    assert sample.sampled is None


def test_under_the_batch_profile_a_csv_file_is_an_item(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("x\n1\n", encoding="utf-8")
    assert Sample(path, settings=JobSettings(profile="batch")).names == ("table.csv",)


def test_settings_say_how_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("x;y\nä;1\n".encode("latin-1"))
    sample = Sample(path, settings=JobSettings(delimiter=";", encoding="latin-1", mini_batch_size=1))
    assert sample.frame.iloc[0].tolist() == ["ä", 1]


def test_only_the_chosen_items_are_drawn_from(files: Sample, folder: Path, frame: pd.DataFrame) -> None:
    assert Sample(folder, items=(3, 0)).names == (files.names[0], files.names[3])
    assert Sample(frame, items=[11, 1]).frame["integer"].tolist() == [2, 12]


def test_of_a_large_table_an_evenly_spaced_part_is_taken() -> None:
    sample = Sample(pd.DataFrame({"x": range(10_000)}), most=4)
    assert sample.frame["x"].tolist() == [0, 2_500, 5_000, 7_500]
    assert sample.names[1] == "row 2501"
    assert sample.sampled == "4 of 10,000 rows, evenly spaced"


def test_of_a_large_csv_file_an_evenly_spaced_part_is_taken_over_all_its_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_module._SampleSettings, "bytes_per_mini_batch", 40)
    (tmp_path / "table.csv").write_text("x\n" + "".join(f"{row}\n" for row in range(100)), encoding="utf-8")
    sample = Sample(tmp_path / "table.csv", most=5)
    assert sample.frame["x"].tolist() == [0, 20, 40, 60, 80]


def test_of_many_files_an_evenly_spaced_part_is_taken(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}").touch()
    sample = Sample(tmp_path, most=5)
    assert sample.names == ("0", "2", "4", "6", "8")
    assert sample.sampled == "5 of 10 files, evenly spaced"


def test_of_large_files_so_many_are_taken_as_are_within_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_module, "MAX_BYTES", 2 * 1024**2)
    for number in range(4):
        (tmp_path / f"{number}").write_bytes(bytes(1024**2))
    sample = Sample(tmp_path)
    assert sample.names == ("0", "2")
    assert sample.sampled == "2 of 4 files, evenly spaced: all have 4 MB, 2 MB are taken at most"


def test_one_file_is_taken_however_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "MAX_BYTES", 10)
    for number in range(2):
        (tmp_path / f"{number}").write_bytes(bytes(100))
    assert Sample(tmp_path).names == ("0",)


def test_the_repr_says_what_differs_from_the_defaults(
    folder: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    shown = "Sample('.', settings=JobSettings(profile='batch'), items=(0, 2), most=7)"
    sample = Sample(".", settings=JobSettings(profile="batch"), items=(0, 2), most=7)
    assert repr(sample) == shown
    assert eval(shown, {"Sample": Sample, "JobSettings": JobSettings}) == sample
    assert repr(Sample(["a.txt", Path("b.txt")])) == "Sample(['a.txt', 'b.txt'])"
    assert repr(Sample(frame)) == "Sample(frame)"


def test_samples_are_equal_where_their_arguments_are(folder: Path, frame: pd.DataFrame) -> None:
    assert Sample(folder) == Sample(str(folder))
    assert hash(Sample(folder)) == hash(Sample(str(folder)))
    assert Sample(folder) != Sample(folder, items=(0,))
    assert Sample(frame) == Sample(frame)
    assert Sample(frame) != Sample(frame.copy())


def _empty_csv(folder: Path) -> Path:
    path = folder / "empty.csv"
    path.write_text("x\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "source",
    [
        lambda folder: folder,
        _empty_csv,
        lambda folder: [],
        lambda folder: [folder / "gone.txt"],
        lambda folder: pd.DataFrame({"x": []}),
    ],
    ids=["folder", "table", "list", "missing files", "DataFrame"],
)
def test_an_empty_sample_is_refused_and_said_to_be_empty(source: Callable[[Path], str], tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"^an empty sample has nothing to draw from"):
        Sample(source(tmp_path))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: Sample(folder / "dat"), r"input '.*dat' does not exist"),
        (lambda folder: Sample(5), r"input of type int: give a path"),  # type: ignore[arg-type]
        (lambda folder: Sample(folder, settings={"profile": "v1"}), r"settings=\{'profile': 'v1'\}: give a Job"),  # type: ignore[arg-type]
        (lambda folder: Sample(folder, items=[5]), r"items=5: must be a whole number from 0 to 4"),
        (lambda folder: Sample(folder, items=[True]), r"items=True: must be a whole number"),
        (lambda folder: Sample(folder, items=[]), r"empty sample.*items=\(\) leaves none"),
        (lambda folder: Sample(folder, most=0), r"most=0: must be a whole number from 1 to 65536"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_value_and_what_is_allowed(
    make: Callable[[Path], Sample], message: str, folder: Path
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make(folder)


def test_each_kind_of_sample_refuses_what_only_the_other_has(files: Sample, rows: Sample) -> None:
    with pytest.raises(InvalidArgument, match=r"is a sample of files: it has no rows"):
        Rows(rows=(0,)).build(files)
    with pytest.raises(InvalidArgument, match=r"Sample\(frame\) is a table: its items are rows"):
        Files(items=(Item("a.txt"),)).build(rows)


def test_built_files_outlive_their_sample_and_go_when_python_ends(folder: Path) -> None:
    code = (
        "import gc, os, sys\n"
        "from pytest_parallelrun.strategies import *\n"
        "path = Sample(sys.argv[1]).mini_batch(Files(items=(Item('a.txt'),)))[0]\n"
        "gc.collect()\n"
        "assert os.path.exists(path)\n"
        "print(os.path.dirname(os.path.dirname(path)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, folder], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(os.path.realpath(tempfile.gettempdir()))
    assert not os.path.exists(done.stdout.rstrip("\n"))
    assert done.stderr == ""


def test_files_last_as_long_as_their_example_and_only_those_of_the_last_ones_longer(folder: Path) -> None:
    sample = Sample(folder)
    made: list[str] = []

    @settings(max_examples=30, deadline=None, database=None)
    @given(st.integers())
    def draw(number: int) -> None:
        paths = [str(sample.mini_batch(Files(items=(Item("a.txt"),)))[0]) for _ in range(2)]
        assert all(map(os.path.exists, paths))
        made.extend(paths)

    draw()
    left = [path for path in made if os.path.exists(path)]
    assert left == made[-sample_module.FOLDERS_KEPT :]


def test_a_forked_process_that_ends_leaves_the_files_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path(Sample(folder).new_folder())
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        remove_job_folder(made.parent)
    assert made.exists()
    remove_job_folder(made.parent)
    assert not made.exists()


@pytest.mark.parametrize(
    "statement", ["from pytest_parallelrun import strategies", "import pytest_parallelrun.strategies"]
)
def test_strategies_are_imported_on_demand_alone(statement: str) -> None:
    code = (
        "import sys, pytest_parallelrun\n"
        "assert 'strategies' in dir(pytest_parallelrun)\n"
        "def heavy(): return {'hypothesis', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy(), heavy()\n"
        f"{statement}\n"
        "assert pytest_parallelrun.strategies.Sample\n"
        "assert not heavy(), heavy()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_hands_out_strategies_as_an_attribute() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import pytest_parallelrun; pytest_parallelrun.strategies.jobs"], check=False
    )
    assert done.returncode == 0

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.rules import FileGrouping
from pytest_parallelrun.emulator.splitting.files import FileSplitter
from pytest_parallelrun.emulator.splitting.model import LoadError


def splitter(names: list[str], size: int, *, grouping: FileGrouping = "flat", root: str = "/in/") -> FileSplitter:
    return FileSplitter(root, [name.replace("/", os.sep) for name in names], size, grouping=grouping, label="in 'in'")


def batches(split: FileSplitter) -> list[list[str]]:
    return [[name.replace(os.sep, "/") for name in split.item_names(one)] for one in split.mini_batches()]


def test_recorded_run_100_csv_files_at_size_5_are_consecutive_cuts_of_the_names_sorted_as_text() -> None:
    names = sorted(f"{number}.csv" for number in range(1, 101))
    cuts = batches(splitter(names, 5))
    assert len(cuts) == 20
    assert cuts[0] == ["1.csv", "10.csv", "100.csv", "11.csv", "12.csv"]
    assert cuts[-1] == ["95.csv", "96.csv", "97.csv", "98.csv", "99.csv"]


def test_recorded_run_551_files_are_276_mini_batches_of_2() -> None:
    split = splitter([f"{number:03}" for number in range(551)], 2)
    assert (split.total_mini_batches, split.total_items) == (276, 551)


def test_the_remainder_is_a_smaller_last_mini_batch() -> None:
    found = list(splitter(list("abcde"), 2).mini_batches())
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 2, 0), (1, 2, 2), (2, 1, 4)]


def test_the_service_is_handed_absolute_paths() -> None:
    split = splitter(["a b.txt", "é.txt"], 2, root="/my data/")
    assert split.load(next(split.mini_batches())) == ["/my data/a b.txt", "/my data/é.txt"]


def test_every_load_gives_a_list_of_its_own() -> None:
    split = splitter(["a", "b"], 2)
    first = next(split.mini_batches())
    split.load(first).clear()
    assert split.load(first) == ["/in/a", "/in/b"]


def test_every_call_of_mini_batches_starts_anew() -> None:
    split = splitter(["a", "b"], 1)
    next(split.mini_batches())
    assert [one.id for one in split.mini_batches()] == [0, 1]


def test_flat_grouping_lets_a_mini_batch_span_folders() -> None:
    names = [f"{folder}/{name}" for folder in "wxyz" for name in "123"]
    assert splitter(names, 10).total_mini_batches == 2


def test_directory_grouping_flushes_the_remainder_of_every_folder() -> None:
    names = [f"{folder}/{name}" for folder in "wxyz" for name in "123"]
    cuts = batches(splitter(names, 2, grouping="directory"))
    assert cuts[:3] == [["w/1", "w/2"], ["w/3"], ["x/1", "x/2"]]
    assert splitter(names, 2, grouping="directory").total_mini_batches == 8
    assert splitter(names, 10, grouping="directory").total_mini_batches == 4


def test_directory_grouping_keeps_the_files_of_a_folder_together() -> None:
    # Sorted as text, "a/m/1" stands between "a/1" and "a/z".
    cuts = batches(splitter(["a/1", "a/m/1", "a/z", "b"], 5, grouping="directory"))
    assert cuts == [["b"], ["a/1", "a/z"], ["a/m/1"]]


def test_directory_grouping_takes_the_folders_sorted_as_text() -> None:
    cuts = batches(splitter(["a0/1", "a/m/1", "a/2"], 5, grouping="directory"))
    assert cuts == [["a/2"], ["a/m/1"], ["a0/1"]]


def test_directory_grouping_of_a_list_takes_runs_of_one_folder_in_the_order_given() -> None:
    names = [name.replace("/", os.sep) for name in ("/d/a/1", "/d/a/2", "/d/b/1", "/d/a/1")]
    split = FileSplitter("", names, 5, grouping="directory", known=(), label="of a list")
    assert batches(split) == [["a/1", "a/2"], ["b/1"], ["a/1"]]


def test_a_listed_file_that_is_missing_fails_its_own_mini_batch_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    names = [str(tmp_path / "a.txt"), str(tmp_path / "gone.txt")]
    split = FileSplitter("", names, 1, known=(), label="of a list")
    sound, missing = split.mini_batches()
    assert split.load(sound) == [names[0]]
    with pytest.raises(LoadError, match=r"gone\.txt' does not exist"):
        split.load(missing)


def test_items_of_a_list_are_named_without_the_folder_that_they_share() -> None:
    names = [os.path.join(os.sep, "data", "in", "a.txt"), os.path.join(os.sep, "data", "inner", "b.txt")]
    split = FileSplitter("", names, 2, known=(), label="of a list")
    assert split.item_names(next(split.mini_batches())) == [
        os.path.join("in", "a.txt"),
        os.path.join("inner", "b.txt"),
    ]


@pytest.mark.parametrize(
    ("count", "size", "grouping", "expected"),
    [
        (12, 5, "flat", "12 files in 'in', 5 a mini-batch: 3 mini-batches"),
        (1, 1, "flat", "1 file in 'in', 1 a mini-batch: 1 mini-batch"),
        (3, 2, "directory", "3 files in 'in', 2 a mini-batch, never across folders: 2 mini-batches"),
    ],
)
def test_the_plan_line_says_files_size_and_mini_batches(
    count: int, size: int, grouping: FileGrouping, expected: str
) -> None:
    assert splitter([str(one) for one in range(count)], size, grouping=grouping).describe() == expected


@pytest.mark.parametrize("grouping", ["flat", "directory"])
def test_no_files_are_no_mini_batches(grouping: FileGrouping) -> None:
    split = splitter([], 5, grouping=grouping)
    assert (split.total_mini_batches, list(split.mini_batches())) == (0, [])
    assert split.describe().endswith(": 0 mini-batches")


@settings(deadline=None)
@given(
    names=st.lists(st.text("ab/", min_size=1, max_size=4), min_size=1, unique=True),
    size=st.integers(1, 6),
    grouping=st.sampled_from(["flat", "directory"]),
)
def test_every_file_is_in_exactly_one_mini_batch_and_counts_add_up(
    names: list[str], size: int, grouping: FileGrouping
) -> None:
    split = splitter(sorted(names), size, grouping=grouping)
    found = list(split.mini_batches())
    cuts = batches(split)
    assert sorted(name for cut in cuts for name in cut) == sorted(names)
    assert len(found) == split.total_mini_batches
    assert [one.id for one in found] == list(range(len(found)))
    assert all(1 <= one.size <= size for one in found)
    firsts = [sum(len(cut) for cut in cuts[:index]) for index in range(len(cuts))]
    assert [one.first_item for one in found] == firsts
    if grouping == "flat":
        assert [name for cut in cuts for name in cut] == sorted(names)
    else:
        assert all(len({name.rpartition("/")[0] for name in cut}) == 1 for cut in cuts)

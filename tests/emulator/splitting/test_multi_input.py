"""Inputs of a v1 step: each is split on its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.multi_input import PartOfInput
from tests.emulator.splitting._settings import Split

V1 = Split(profile="v1", files_per_mini_batch=2)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder, count in (("one", 3), ("two", 1)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            (tmp_path / folder / f"{number}.txt").touch()
            (tmp_path / folder / f"{number}.csv").write_text("x\n1\n2\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_folder_is_an_input_whose_remainder_is_a_mini_batch(data: Path) -> None:
    split = open_input(["one/*.txt", "two/*.txt"], V1)
    found = list(split.mini_batches())
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 2, 0), (1, 1, 2), (2, 1, 3)]
    assert split.load(found[2]) == [str(data / "two" / "0.txt")]
    assert list(split.item_names(found[1])) == ["2.txt"]
    assert (split.kind, split.total_mini_batches, split.total_items) == ("files", 3, 4)
    assert split.describe() == (
        "2 inputs: 3 files matching 'one/*.txt', 2 a mini-batch: 2 mini-batches; "
        "1 file matching 'two/*.txt', 2 a mini-batch: 1 mini-batch"
    )


def test_under_other_profiles_a_list_is_one_input(data: Path) -> None:
    for profile in ("v2", "batch"):
        split = open_input(["one/*.txt", "two/*.txt"], Split(profile=profile, files_per_mini_batch=2))
        assert [one.size for one in split.mini_batches()] == [2, 2]


def test_files_that_stand_side_by_side_are_one_input_of_a_list_under_v1_too(data: Path) -> None:
    split = open_input(["one/0.txt", "two/0.txt", "one/1.txt"], V1)
    assert [one.size for one in split.mini_batches()] == [2, 1]
    mixed = open_input(["one/0.txt", "two/0.txt", "one/*.txt", "one/1.txt"], V1)
    assert [one.size for one in mixed.mini_batches()] == [2, 2, 1, 1]


def test_the_same_values_of_two_inputs_are_two_partitions(data: Path) -> None:
    split = open_input([".", "."], Split(profile="v1", partition_keys=("folder",)))
    assert [dict(one.partition) for one in split.mini_batches()] == [{"folder": "one"}, {"folder": "two"}] * 2


def test_tables_of_several_inputs_are_not_counted_in_advance(data: Path) -> None:
    split = open_input(["one/*.csv", "two/*.csv"], V1)
    assert (split.kind, split.total_mini_batches, split.total_items) == ("tabular", None, None)
    assert [one.size for one in split.mini_batches()] == [2, 2, 2, 2]


def test_inputs_of_two_kinds_are_refused_with_both(data: Path) -> None:
    with pytest.raises(InputError, match=r"inputs of two kinds: .*'one/\*\.csv'.*; .*'two/\*\.txt'.* are files, or al"):
        open_input(["one/*.csv", "two/*.txt"], V1)


def test_a_part_of_an_input_is_an_input(data: Path) -> None:
    whole = open_input("one/*.txt", V1)
    part = PartOfInput(whole, list(whole.mini_batches())[1:])
    assert open_input(part, V1) is part
    (batch,) = part.mini_batches()
    assert (batch.id, batch.size, batch.first_item) == (0, 1, 0)
    assert part.load(batch) == [str(data / "one" / "2.txt")]
    assert part.item_names(batch) == ["2.txt"]
    assert (part.kind, part.form, part.total_mini_batches, part.total_items) == ("files", "files", 1, 1)
    assert part.describe().startswith("1 mini-batch of 3 files")

"""What is compared of a large sample is bounded, and what was left out is said."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pytest_parallelrun.contract.bounds import evenly
from pytest_parallelrun.contract.entry import baseline as baseline_module
from pytest_parallelrun.contract.entry import entry_under_test, sample_attempts
from pytest_parallelrun.contract.entry.baseline import part_of, run_baseline
from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.settings import JobSettings

ECHO = "def run(mini_batch):\n    return [str(item) for item in mini_batch]\n"
TABLE = "def run(mini_batch):\n    return mini_batch\n"


def entry_of(folder: Path, script: str, sample: Path, **settings: object) -> EntryUnderTest:
    path = folder / "score.py"
    path.write_text(script, encoding="utf-8")
    work = folder / "work"
    work.mkdir()
    found = find_entry(path, None)
    assert isinstance(found, EntryFile)
    return EntryUnderTest(
        entry=found,
        settings=JobSettings(**settings),  # type: ignore[arg-type]
        arguments=(),
        models={},
        sample=str(sample),
        folder=work,
    )


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.txt").write_text(str(number), encoding="utf-8")
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("x\n" + "".join(f"{number}\n" for number in range(1000)), encoding="utf-8")
    return path


@pytest.mark.parametrize(("most", "chosen"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (10, [*range(10)])])
def test_evenly_spaced_ones_include_the_first_and_the_last(most: int, chosen: list[int]) -> None:
    assert list(evenly(range(10), most)) == chosen


def test_a_part_of_a_result_keeps_an_index_that_means_something() -> None:
    counted = pd.DataFrame({"x": [1, 2, 3, 4, 5]})
    assert part_of(counted, 3).index.tolist() == [0, 1, 2]  # type: ignore[attr-defined]
    named = counted.set_index(pd.Index(list("abcde")))
    assert part_of(named, 3).index.tolist() == ["a", "c", "e"]  # type: ignore[attr-defined]
    assert part_of([1, 2, 3], 2) == [1, 3]


def test_results_are_examined_in_part_and_this_is_said(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline_module, "MAX_ROWS", 100)
    baseline = run_baseline(entry_of(tmp_path, TABLE, table, mini_batch_size="1KB"))
    returned, left_out = baseline.examined
    total = len(baseline.last_returned)
    assert sum(len(one.value) for one in returned) < 100 + total
    assert (
        left_out
        == f"examined {sum(len(one.value) for one in returned)} of 1,000 results, from {total} of {total} mini-batches"
    )


def test_a_small_sample_is_examined_as_a_whole(tmp_path: Path, table: Path) -> None:
    baseline = run_baseline(entry_of(tmp_path, TABLE, table))
    assert baseline.examined == (baseline.returned, "")


def test_results_beyond_the_limit_of_memory_are_counted_only(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline_module, "MAX_KEPT_BYTES", 20_000)
    baseline = run_baseline(entry_of(tmp_path, TABLE, table, mini_batch_size="100"))
    assert baseline.result.status == "Completed"
    assert 1 < len(baseline.returned) < len(baseline.last_returned)
    assert baseline.returned[0].mini_batch == 0
    assert sum(one.returned or 0 for one in baseline.last_returned) == 1000
    assert f"of 1,000 results, from {len(baseline.returned)} of " in baseline.examined[1]


def test_each_mini_batch_that_is_compared_has_its_share_of_items(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = entry_of(tmp_path, TABLE, table, mini_batch_size="1KB")
    monkeypatch.setattr(sample_attempts, "MAX_ITEMS", 20)
    observations = Observations(entry, run_baseline(entry))
    share = 20 // len(observations.answered)
    assert {one.size for one in observations.answered} == {share}
    last = observations.answered[0]
    assert [int(name.row or 0) - 1 for name in last.names] == last.payload["x"].tolist()  # type: ignore[call-overload]
    assert observations.left_out.startswith(f"compared {share * len(observations.answered)} of 1,000 items, from ")


def test_of_a_large_sample_only_the_files_that_are_used_are_copied_again(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_under_test, "MAX_COPIED_FILES", 5)
    monkeypatch.setattr(sample_attempts, "MAX_GROUPS", 2)
    entry = entry_of(tmp_path, ECHO, files)
    observations = Observations(entry, run_baseline(entry))
    assert [one.names for one in observations.answered] == [("0.txt",), ("9.txt",)]
    copied = [path.name for path in Path(observations.root).rglob("*.txt")]
    assert sorted(copied) == ["0.txt", "9.txt"]
    path = Path(observations.answered[0].payload[0])  # type: ignore[arg-type]
    path.write_text("changed", encoding="utf-8")
    observations.restore()
    assert path.read_text("utf-8") == "0"
    assert (files / "0.txt").read_text("utf-8") == "0"


def test_a_table_is_read_where_it_is(tmp_path: Path, table: Path) -> None:
    entry = entry_of(tmp_path, TABLE, table)
    copy = entry.copy_sample()
    assert (copy.input, copy.is_copy) == (str(table), False)
    assert list((tmp_path / "work").iterdir()) == []


def test_many_rows_that_differ_in_floats_alone_are_compared_quickly() -> None:
    """Each with each would be 25 million comparisons."""
    rows = [["k", number / 7919] for number in range(5_000)]
    assert difference(rows, rows[::-1]) is None
    assert difference([["k", 0.5]] * 5_000, [["k", 0.5]] * 4_999 + [["k", 0.7]]) == ("['k', 0.5]", "['k', 0.7]")
    assert difference([float("nan"), 1.0, float("-inf")], [float("-inf"), float("nan"), 1.0000001]) is None

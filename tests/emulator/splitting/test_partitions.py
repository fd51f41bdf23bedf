"""Partitions of folders, tables and DataFrames, and the keys in the names of folders."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import cast

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.rules import Rules
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting import partitions as partitions_module
from pytest_parallelrun.emulator.splitting.frame import FrameSplitter
from pytest_parallelrun.emulator.splitting.model import LoadError, Splitter
from pytest_parallelrun.emulator.splitting.partitions import PartitionedTable, named_levels, values_by_path

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n1\n", encoding="utf-8")
    return folder


def partitions(split: Splitter) -> list[dict[str, str]]:
    return [dict(one.partition) for one in split.mini_batches()]


def loaded(split: Splitter) -> list[pd.DataFrame]:
    return [cast("pd.DataFrame", split.load(one)) for one in split.mini_batches()]


def test_each_combination_of_folders_is_a_mini_batch_in_sorted_order_whatever_the_size(tmp_path: Path) -> None:
    data = touch(
        tmp_path, "Store=2/Brand=b/1.txt", "Store=10/Brand=a/1.txt", "Store=2/Brand=a/2.txt", "Store=2/Brand=a/1.txt"
    )
    split = open_input(data, JobSettings(partition_keys=("Store", "Brand"), mini_batch_size=1))
    found = list(split.mini_batches())
    assert partitions(split) == [
        {"Store": "10", "Brand": "a"},
        {"Store": "2", "Brand": "a"},
        {"Store": "2", "Brand": "b"},
    ]
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 1, 0), (1, 2, 1), (2, 1, 3)]
    assert split.load(found[1]) == [str(data / "Store=2" / "Brand=a" / name) for name in ("1.txt", "2.txt")]
    assert list(split.item_names(found[0])) == [str(Path("Store=10", "Brand=a", "1.txt"))]
    assert (split.kind, split.total_mini_batches, split.total_items) == ("files", 3, 4)
    assert split.describe() == f"4 files in '{data}', one mini-batch for each Store and Brand: 3 mini-batches"


def test_a_subset_of_the_keys_is_the_union_of_their_folders(tmp_path: Path) -> None:
    data = touch(tmp_path, "Store=1/Brand=a/1.txt", "Store=1/Brand=b/1.txt", "Store=2/Brand=a/1.txt")
    split = open_input(data, JobSettings(partition_keys=("Brand",)))
    assert partitions(split) == [{"Brand": "a"}, {"Brand": "b"}]
    assert [one.size for one in split.mini_batches()] == [2, 1]


def test_plain_folders_are_partitions_too_and_grouping_by_folder_changes_nothing(tmp_path: Path) -> None:
    data = touch(tmp_path, "berlin/2025/1.txt", "berlin/2026/1.txt", "köln/2026/a b.txt")
    for rules in (Rules(), Rules(file_grouping="directory")):
        split = open_input(data, JobSettings(partition_keys=("station",), rules=rules))
        assert partitions(split) == [{"station": "berlin"}, {"station": "köln"}]
        assert [one.size for one in split.mini_batches()] == [2, 1]


def test_globs_and_lists_of_folders_have_partitions_below_each(tmp_path: Path) -> None:
    touch(tmp_path, "one/s=1/a.txt", "two/s=1/b.txt", "two/s=2/c.txt")
    glob = open_input(str(tmp_path / "two" / "*" / "*.txt"), JobSettings(partition_keys=("s",)))
    assert partitions(glob) == [{"s": "1"}, {"s": "2"}]
    both = open_input([tmp_path / "one", tmp_path / "two"], JobSettings(partition_keys=("s",)))
    assert [one.size for one in both.mini_batches()] == [2, 1]


def test_a_missing_file_of_a_partitioned_list_fails_its_mini_batch(tmp_path: Path) -> None:
    touch(tmp_path, "one/s=1/a.txt")
    split = open_input([tmp_path / "one"], JobSettings(partition_keys=("s",)))
    (tmp_path / "one" / "s=1" / "a.txt").unlink()
    with pytest.raises(LoadError, match="does not exist"):
        split.load(next(split.mini_batches()))


def sales(path: Path) -> Path:
    path.write_text("Store,Brand,n\n2,a,0\n10,b,1\n2,a,2\n2,b,3\n10,b,4\n", encoding="utf-8")
    return path


def test_rows_of_a_csv_are_partitioned_by_columns_in_the_order_of_the_texts(tmp_path: Path) -> None:
    split = open_input(sales(tmp_path / "sales.csv"), JobSettings(partition_keys=("Store", "Brand")))
    found = list(split.mini_batches())
    assert partitions(split) == [
        {"Store": "10", "Brand": "b"},
        {"Store": "2", "Brand": "a"},
        {"Store": "2", "Brand": "b"},
    ]
    assert [frame["n"].tolist() for frame in loaded(split)] == [[1, 4], [0, 2], [3]]
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 2, 0), (1, 2, 2), (2, 1, 4)]
    assert all(list(frame.index) == list(range(len(frame))) for frame in loaded(split))
    assert list(split.item_names(found[1])) == [f"row {n} of {tmp_path / 'sales.csv'}" for n in (1, 3)]
    assert (split.kind, split.total_mini_batches, split.total_items) == ("tabular", None, None)
    assert split.describe() == (
        f"5 rows in 1 file '{tmp_path / 'sales.csv'}', one mini-batch for each Store and Brand: 3 mini-batches"
    )


def test_a_partition_has_rows_of_all_files_and_the_types_of_the_whole_input(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("k,v\nx,1\ny,2\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("k,v\nx,\n", encoding="utf-8")
    first, second = loaded(open_input(str(tmp_path / "*.csv"), JobSettings(partition_keys=("k",))))
    assert first["v"].tolist()[:1] == [1.0]
    assert math.isnan(first["v"].tolist()[1])
    assert str(second["v"].dtype) == "float64"


def test_a_null_is_the_empty_text_and_integers_beside_it_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("k,v\n1000,1\n,2\n1.5,3\n", encoding="utf-8")
    assert partitions(open_input(tmp_path / "a.csv", JobSettings(partition_keys=("k",)))) == [
        {"k": ""},
        {"k": "1.5"},
        {"k": "1000"},
    ]


def test_rows_of_parquet_files_and_of_dataframes_are_partitioned_too(tmp_path: Path) -> None:
    frame = pd.read_csv(sales(tmp_path / "sales.csv"))
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "s.parquet", row_group_size=2)
    keys = JobSettings(partition_keys=("Brand",))
    for source in (frame, tmp_path / "s.parquet"):
        split = open_input(source, keys)
        assert partitions(split) == [{"Brand": "a"}, {"Brand": "b"}]
        assert [part["n"].tolist() for part in loaded(split)] == [[0, 2], [1, 3, 4]]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_folders_key_value_are_columns_of_a_table_where_they_are_keys(tmp_path: Path, suffix: str) -> None:
    for store, brand, n in ((2, "a", 0), (10, "b", 1)):
        folder = tmp_path / f"Store={store}" / f"Brand={brand}"
        folder.mkdir(parents=True)
        if suffix == "csv":
            (folder / "x.csv").write_text(f"n\n{n}\n", encoding="utf-8")
        else:
            pq.write_table(pa.table({"n": [n]}), folder / "x.parquet")
    split = open_input(str(tmp_path / "**" / f"*.{suffix}"), JobSettings(partition_keys=("Store", "Brand")))
    assert partitions(split) == [{"Store": "10", "Brand": "b"}, {"Store": "2", "Brand": "a"}]
    first, _ = loaded(split)
    assert list(first.columns) == ["Store", "Brand", "n"]
    assert first.iloc[0].tolist() == [10, "b", 1]
    one = loaded(open_input(str(tmp_path / "**" / f"*.{suffix}"), JobSettings(partition_keys=("Brand",))))[0]
    assert list(one.columns) == ["Brand", "n"]


def test_a_level_that_only_some_files_have_is_no_key(tmp_path: Path) -> None:
    touch(tmp_path, "Store=1/a.csv", "b.csv")
    with pytest.raises(InputError, match=r"there is no 'Store', a column of the table matching '"):
        open_input(str(tmp_path / "**" / "*.csv"), JobSettings(partition_keys=("Store",)))


def test_a_key_that_is_no_column_is_refused_with_the_columns_that_are(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"no 'brand', a column of the table '.*sales\.csv'\. Did you mean 'Brand'\? The keys there are: Store, B",
    ):
        open_input(sales(tmp_path / "sales.csv"), JobSettings(partition_keys=("brand",)))


def test_a_key_that_no_parquet_file_has_is_refused_with_the_table(tmp_path: Path) -> None:
    pd.DataFrame({"Store": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        InputError, match=r"no 'Brand', a column of the table '.*a\.parquet'\. The keys there are: Store"
    ):
        open_input(tmp_path / "a.parquet", JobSettings(partition_keys=("Brand",)))


def test_a_key_that_no_dataframe_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"no 'b', a column of the DataFrame\. The keys there are: a\.$"):
        open_input(pd.DataFrame({"a": [1]}), JobSettings(partition_keys=("b",)))


def test_every_load_of_a_partition_is_a_fresh_copy(tmp_path: Path) -> None:
    split = open_input(sales(tmp_path / "sales.csv"), JobSettings(partition_keys=("Brand",)))
    one = next(split.mini_batches())
    for _ in range(2):
        frame = cast("pd.DataFrame", split.load(one))
        assert frame["n"].tolist() == [0, 2]
        frame["n"] = 7


def test_chunks_that_do_not_fit_in_memory_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions_module, "KEPT_BYTES", 0)
    frame = pd.DataFrame({"k": ["a", "b"] * 4, "n": range(8)})
    split = PartitionedTable(FrameSplitter(frame, 1), ["k"])
    assert [part["n"].tolist() for part in loaded(split)] == [[0, 2, 4, 6], [1, 3, 5, 7]]


keys = st.sampled_from(["a", "b", "", "0", "-1", "ä ö"]) | st.none()


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(keys, st.integers(0, 2)), min_size=1, max_size=20),
    size=st.integers(1, 40),
    names=st.sampled_from([("k",), ("n",), ("k", "n"), ("n", "k")]),
)
def test_the_partitions_together_are_the_table_and_each_has_its_own_values_alone(
    rows: list[tuple[str | None, int]], size: int, names: tuple[str, ...]
) -> None:
    frame = pd.DataFrame({"k": pd.Series([k for k, _ in rows], dtype=object), "n": [n for _, n in rows]})
    frame["row"] = range(len(frame))
    split = PartitionedTable(FrameSplitter(frame, size), names)
    seen: list[int] = []
    for one in split.mini_batches():
        part = split.load(one)
        texts = {name: {"" if value is None else str(value) for value in part[name]} for name in names}
        assert texts == {name: {value} for name, value in one.partition}
        assert part["row"].is_monotonic_increasing
        assert len(part) == one.size
        seen += part["row"].tolist()
    assert sorted(seen) == list(range(len(rows)))
    values = [tuple(value for _, value in one.partition) for one in split.mini_batches()]
    assert values == sorted(set(values))


def test_a_null_and_an_empty_text_are_one_partition_with_rows_in_their_order() -> None:
    table = pd.DataFrame({"k": ["", None, "a", ""], "x": [1, 2, 3, 4]})
    split = open_input(table, JobSettings(partition_keys=("k",)))
    assert partitions(split) == [{"k": ""}, {"k": "a"}]
    assert [list(part["x"]) for part in loaded(split)] == [[1, 2, 4], [3]]


def name(*parts: str) -> str:
    return os.path.join(*parts)


def test_folders_key_value_are_named_levels_and_the_file_is_none() -> None:
    assert named_levels(name("Store=1000", "plain", "Brand=a=b", "x=1.csv")) == {"Store": "1000", "Brand": "a=b"}


def test_keys_are_found_at_whatever_level_they_stand_and_in_their_own_order() -> None:
    names = [name("Store=1", "Brand=a", "x.csv"), name("Store=2", "deep", "Brand=", "y.csv")]
    assert values_by_path(names, ["Brand", "Store"], "data") == [("a", "1"), ("", "2")]
    assert values_by_path(names, ["Store"], "data") == [("1",), ("2",)]


def test_plain_levels_are_named_by_the_keys_from_the_first_on() -> None:
    names = [name("1000", "dominicks", "2026", "x.csv"), name("1001", "tropicana", "y.csv")]
    assert values_by_path(names, ["Store", "Brand"], "data") == [("1000", "dominicks"), ("1001", "tropicana")]


def test_a_key_that_does_not_exist_is_refused_with_the_nearest_and_with_all_that_do() -> None:
    names = [name("Store=1", "Brand=a", "x.csv")]
    with pytest.raises(InputError) as caught:
        values_by_path(names, ["Sotre"], "data")
    assert str(caught.value) == (
        "partition_keys: there is no 'Sotre', a folder 'Sotre=...' in the input 'data'. Did you mean 'Store'? "
        "The keys there are: Store, Brand."
    )
    with pytest.raises(InputError, match=r"\.\.\.' in the input 'data'\. The keys there are: Store, Brand\.$"):
        values_by_path(names, ["week"], "data")


def test_a_file_outside_of_the_named_folders_is_refused_by_its_name() -> None:
    names = [name("Store=1", "x.csv"), "_SUCCESS"]
    with pytest.raises(InputError, match=r"'_SUCCESS' in the input 'data' lies in no folder 'Store=\.\.\.'"):
        values_by_path(names, ["Store"], "data")


def test_a_file_that_does_not_lie_deep_enough_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match=r"the first 2 folder levels of the input 'data', and '.*x\.csv' lies 1 d"):
        values_by_path([name("1000", "x.csv")], ["Store", "Brand"], "data")

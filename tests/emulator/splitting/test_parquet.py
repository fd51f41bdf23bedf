from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting import open_input, parquet
from pytest_parallelrun.emulator.splitting.model import LoadError
from pytest_parallelrun.emulator.splitting.parquet import ParquetSplitter

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write(path: Path, rows: int = 10, group: int = 4, **columns: list[object]) -> Path:
    data = columns or {"x": list(range(rows))}
    pq.write_table(pa.table(data), path, row_group_size=group)
    return path


def opened(*paths: Path, size: int = 1) -> ParquetSplitter:
    return ParquetSplitter([(str(path), path.name) for path in paths], size, label=f"'{paths[0].name}'")


def frames(split: ParquetSplitter) -> list[pd.DataFrame]:
    return [split.load(one) for one in split.mini_batches()]


def test_a_mini_batch_is_a_row_group_where_each_reaches_the_size(tmp_path: Path) -> None:
    split = opened(write(tmp_path / "a.parquet"))
    found = list(split.mini_batches())
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 4, 0), (1, 4, 4), (2, 2, 8)]
    assert [split.load(one)["x"].tolist() for one in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(list(split.load(one).index) == list(range(one.size)) for one in found)
    assert split.item_names(found[2]) == ["row 9 of a.parquet", "row 10 of a.parquet"]
    assert split.path_of(found[0]) == "a.parquet"


def test_row_groups_are_taken_until_their_compressed_bytes_reach_the_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", rows=40, group=10)
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(number).column(0).total_compressed_size for number in range(4)]
    assert [one.size for one in opened(path, size=max(groups) + 1).mini_batches()] == [20, 20]
    assert [one.size for one in opened(path, size=1 << 30).mini_batches()] == [40]


def test_a_mini_batch_never_crosses_files_and_rows_are_counted_on(tmp_path: Path) -> None:
    split = opened(write(tmp_path / "a.parquet", 3), write(tmp_path / "b.parquet", 3), size=1 << 30)
    found = list(split.mini_batches())
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 3, 0), (1, 3, 3)]
    assert split.item_names(found[1])[0] == "row 1 of b.parquet"


def test_a_single_row_group_is_one_mini_batch_at_any_size_and_that_is_said(tmp_path: Path) -> None:
    split = opened(write(tmp_path / "a.parquet", group=100))
    assert [one.size for one in split.mini_batches()] == [10]
    assert split.describe() == (
        "10 rows in 1 file 'a.parquet', 1 row group (a row group is never split, so no size makes more mini-batches "
        "of it), 1 byte a mini-batch"
    )


def test_the_plan_line_says_row_groups(tmp_path: Path) -> None:
    assert opened(write(tmp_path / "a.parquet"), size=1024).describe() == (
        "10 rows in 1 file 'a.parquet', 3 row groups, 1,024 bytes a mini-batch"
    )


def test_only_the_row_groups_of_the_mini_batch_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = opened(write(tmp_path / "a.parquet"))
    read: list[list[int]] = []
    real = pq.ParquetFile.read_row_groups

    def counted(self: Any, groups: list[int], **options: Any) -> Any:
        read.append(groups)
        return real(self, groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    found = list(split.mini_batches())
    assert read == []
    split.load(found[1])
    assert read == [[1]]


def test_a_large_row_group_read_by_columns_is_the_same_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns: dict[str, Any] = {
        "a": [1, 2, None],
        "flag": [True, None, False],
        "text": ["x", None, "z"],
        "a.b": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
        "nested": [[1], [], None],
        "record": [{"b": 1}, {"b": 2}, {"b": 3}],
        "number": [0.5, 1.5, 2.5],
    }
    split = opened(write(tmp_path / "a.parquet", **columns), write(tmp_path / "b.parquet", extra=["only here"]))
    expected, pool = frames(split), pa.default_memory_pool().backend_name
    monkeypatch.setattr(parquet, "BYTES_READ_AT_ONCE", 1)
    for frame, other in zip(frames(split), expected, strict=True):
        pd.testing.assert_frame_equal(frame, other)
        frame.iloc[:, -1] = None  # A script may write to it.
    assert pa.default_memory_pool().backend_name == pool


def test_types_hold_for_every_mini_batch_though_nulls_are_in_one(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "whole": [1, 2, 3, None],
        "flag": [True, False, None, True],
        "full": [1, 2, 3, 4],
        "text": ["a", "b", "c", None],
    }
    first, second = frames(opened(write(tmp_path / "a.parquet", 0, 2, **columns)))
    assert first.dtypes.equals(second.dtypes)
    assert [str(first[name].dtype) for name in ("whole", "flag", "full")] == ["float64", "object", "int64"]


def test_nulls_are_looked_for_where_there_are_no_statistics(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2, None, 4], "y": [1, 2, 3, 4]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2, write_statistics=False)
    first, second = frames(opened(tmp_path / "a.parquet"))
    assert [str(frame["x"].dtype) for frame in (first, second)] == ["float64"] * 2
    assert str(first["y"].dtype) == "int64"


def test_columns_of_several_files_are_taken_by_name_with_nulls_and_one_type(tmp_path: Path) -> None:
    one = write(tmp_path / "a.parquet", x=[1, 2], y=["a", "b"])
    other = write(tmp_path / "b.parquet", y=["c"], x=[2.5], z=[7])
    first, second = frames(opened(one, other))
    assert list(first.columns) == list(second.columns) == ["x", "y", "z"]
    assert first.dtypes.equals(second.dtypes)
    assert (first["x"].tolist(), second["x"].tolist()) == ([1.0, 2.0], [2.5])
    assert first["z"].isna().all()


def test_dictionaries_of_row_groups_are_plain_values_of_one_type(tmp_path: Path) -> None:
    groups = [pa.table({"kind": pa.array(kinds).dictionary_encode()}) for kinds in (["a", "b"], ["c", None])]
    with pq.ParquetWriter(tmp_path / "a.parquet", groups[0].schema) as writer:
        for group in groups:
            writer.write_table(group)
    split = open_input(tmp_path / "a.parquet", JobSettings(mini_batch_size=1))
    frames = [split.load(batch) for batch in split.mini_batches()]
    first, second = (pd.DataFrame(frame)["kind"] for frame in frames)
    assert first.dtype == second.dtype == pd.Series(["a"]).dtype
    assert [*first, *second.fillna("-")] == ["a", "b", "c", "-"]


def test_columns_that_no_type_has_in_common_are_refused_with_the_file(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.parquet", x=[1]), write(tmp_path / "b.parquet", x=["a"])
    with pytest.raises(InputError, match=r"b\.parquet': its columns do not go with those of the files before"):
        opened(one, other)


def test_an_index_that_pandas_noted_is_a_column_like_any_other(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="key")).to_parquet(tmp_path / "a.parquet")
    (frame,) = frames(opened(tmp_path / "a.parquet"))
    assert sorted(frame.columns) == ["key", "x"]
    assert list(frame.index) == [0, 1]


def test_a_column_that_comes_twice_is_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="its column 'x' comes more than once"):
        opened(tmp_path / "a.parquet")


def test_what_is_no_parquet_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"a\.parquet' is corrupt, or not a Parquet file: "):
        opened(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"gone\.parquet' cannot be read: .*[Nn]o such file"):
        opened(tmp_path / "gone.parquet")


def test_an_input_without_a_row_is_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyInputError, match=r"'a\.parquet': there is not a single row"):
        opened(write(tmp_path / "a.parquet", 0))


def test_a_row_group_without_rows_is_a_mini_batch_of_0_rows_as_a_header_alone_is(tmp_path: Path) -> None:
    split = opened(write(tmp_path / "a.parquet", 0), write(tmp_path / "b.parquet", 2))
    found = list(split.mini_batches())
    assert [one.size for one in found] == [0, 2]
    assert list(split.load(found[0]).columns) == ["x"]


def test_a_file_that_changed_fails_its_mini_batch(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    split = opened(path)
    first, second, third = split.mini_batches()
    write(path, rows=8, group=3)
    with pytest.raises(LoadError, match=r"a\.parquet' changed since it was split: 3 rows where there were 4"):
        split.load(first)
    path.write_bytes(b"nothing")
    with pytest.raises(LoadError, match=r"a\.parquet' changed since it was split"):
        split.load(second)
    path.unlink()
    with pytest.raises(LoadError, match=r"a\.parquet' changed since it was split"):
        split.load(third)


def test_without_pyarrow_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"reading Parquet needs pyarrow: pip install 'pytest-parallelrun\[parquet\]'"):
        opened(path)


def test_neither_mini_batches_nor_items_are_counted_in_advance(tmp_path: Path) -> None:
    split = opened(write(tmp_path / "a.parquet"))
    assert (split.total_mini_batches, split.total_items) == (None, None)
    assert split.columns == ["x"]


def test_a_given_parquet_file_is_a_table_and_a_glob_of_them_too(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet")
    for source in (tmp_path / "a.parquet", str(tmp_path / "*.PARQUET".lower())):
        split = open_input(source, JobSettings(mini_batch_size=1))
        assert split.kind == "tabular"
        assert [one.size for one in split.mini_batches()] == [4, 4, 2]


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=3).filter(any),
    group=st.integers(1, 5),
    size=st.integers(1, 400),
)
def test_all_mini_batches_together_are_the_files(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], group: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    paths = []
    start = 0
    for number, rows in enumerate(sizes):
        paths.append(write(folder / f"{number}.parquet", group=group, x=list(range(start, start + rows))))
        start += rows
    paths = [path for path, rows in zip(paths, sizes, strict=True) if rows]
    split = opened(*paths, size=size)
    found = list(split.mini_batches())
    assert [x for one in found for x in split.load(one)["x"]] == list(range(start))
    assert [one.first_item for one in found] == [sum(one.size for one in found[:n]) for n in range(len(found))]

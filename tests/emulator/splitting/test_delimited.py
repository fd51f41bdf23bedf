from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting import csv_file, delimited
from pytest_parallelrun.emulator.splitting.csv_file import ColumnType, CsvFile
from pytest_parallelrun.emulator.splitting.delimited import CsvSplitter
from pytest_parallelrun.emulator.splitting.model import LoadError

UNSIGNED = str(2**64 - 1)
HUGE = "9" * 23


def opened(paths: Sequence[Path], size: int, *, encoding: str = "utf-8", delimiter: str = ",") -> CsvSplitter:
    return CsvSplitter(
        [(str(path), path.name) for path in paths],
        size,
        encoding=encoding,
        delimiter=delimiter,
        label=f"'{paths[0].name}'",
    )


def of_bytes(folder: Path, data: bytes, size: int, *, encoding: str = "utf-8") -> CsvSplitter:
    path = folder / "data.csv"
    path.write_bytes(data)
    return opened([path], size, encoding=encoding)


def sizes(split: CsvSplitter) -> list[int]:
    return [one.size for one in split.mini_batches()]


def test_recorded_run_iris_csv_of_2470_bytes_at_1kb_is_3_mini_batches(tmp_path: Path) -> None:
    header = "sepal_length,sepal_width,petal_length,petal_width\n"
    data = (header + "5.1,3.5,1.4,0.25\n" * 20 + "5.1,3.5,1.4,0.2\n" * 130).encode()
    assert len(data) == 2470
    # The header has 50 bytes: row 59 begins at 50 + 20 * 17 + 39 * 16 = 1,014, row 123 at 2,038.
    assert sizes(of_bytes(tmp_path, data, 1024)) == [60, 64, 26]


def test_the_same_rows_as_windows_lines_count_both_bytes_of_their_ends(tmp_path: Path) -> None:
    assert sizes(of_bytes(tmp_path, b"a,b\r\n" + b"1,2\r\n" * 4, 8)) == [1, 2, 1]
    assert sizes(of_bytes(tmp_path, b"a,b\n" + b"1,2\n" * 4, 8)) == [2, 2]


def test_small_files_are_never_merged_into_one_mini_batch(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_text("x\n1\n2\n")
    split = opened(paths, 1 << 20)
    found = list(split.mini_batches())
    assert [(one.id, one.size, one.first_item) for one in found] == [(0, 2, 0), (1, 2, 2)]
    assert split.item_names(found[1]) == ["row 1 of b.csv", "row 2 of b.csv"]


def test_rows_are_named_by_their_number_in_their_file(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n" + b"1\n" * 12, 20)
    assert split.item_names(list(split.mini_batches())[1]) == ["row 11 of data.csv", "row 12 of data.csv"]


def test_rows_are_counted_on_over_all_mini_batches_of_a_file_and_of_the_input(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n2\n3\n")
    split = opened([tmp_path / "a.csv", tmp_path / "b.csv"], 1)
    found = list(split.mini_batches())
    assert [one.first_item for one in found] == [0, 1, 2, 3, 4, 5]
    assert [split.item_names(one) for one in found[3:]] == [["row 1 of b.csv"], ["row 2 of b.csv"], ["row 3 of b.csv"]]


def test_the_index_of_every_mini_batch_starts_at_0(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n1\n2\n3\n", 4)
    assert [list(split.load(one).index) for one in split.mini_batches()] == [[0, 1], [0]]


def test_a_quoted_field_with_newlines_is_never_split(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b'x,y\n1,"a\nb\n\nc"\n2,d\n', 1)
    assert [split.load(one)["y"].tolist() for one in split.mini_batches()] == [["a\nb\n\nc"], ["d"]]


def test_blank_lines_are_no_items(tmp_path: Path) -> None:
    assert sizes(of_bytes(tmp_path, b"\n\nx\n\n1\n\n  \n2\n\n\n", 1)) == [1, 1]


def test_a_file_of_a_header_alone_is_a_mini_batch_of_0_rows_and_an_empty_file_is_none(tmp_path: Path) -> None:
    contents = {
        "a.csv": "x,y\n1,True\n,\n",
        "b.csv": "x,y,z\n",
        "c.csv": "",
        "d.csv": "\n \n",
        "e.csv": "x,y\n3,",
    }
    paths = [tmp_path / name for name in contents]
    for path, text in zip(paths, contents.values(), strict=True):
        path.write_text(text)
    split = opened(paths, 1 << 20)
    found = list(split.mini_batches())
    assert [one.size for one in found] == [2, 0, 1]
    assert split.item_names(found[1]) == []
    for _ in range(2):
        empty = split.load(found[1])
        assert list(empty.columns) == ["x", "y", "z"]
        assert [str(dtype) for dtype in empty.dtypes] == ["float64", "object", "float64"]


@pytest.mark.parametrize("data", [b"", b"\n", b"x,y\n", b"x,y", codecs.BOM_UTF8])
def test_an_input_without_a_row_is_empty(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(EmptyInputError, match=r"'data\.csv': there is not a single row"):
        of_bytes(tmp_path, data, 1)


def test_columns_of_files_with_other_headers_are_taken_by_name_with_nulls(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,t,flag\n1,2,a,True\n")
    (tmp_path / "b.csv").write_text("y,z,x\n2.5,b,7\n")
    split = opened([tmp_path / "a.csv", tmp_path / "b.csv"], 1 << 20)
    first, second = (split.load(one) for one in list(split.mini_batches()))
    assert list(first.columns) == list(second.columns) == ["x", "y", "t", "flag", "z"]
    assert first.dtypes.equals(second.dtypes)
    assert [str(first[name].dtype) for name in ("x", "y", "flag")] == ["int64", "float64", "object"]
    assert (second["x"].tolist(), second["y"].tolist(), second["z"].tolist()) == ([7], [2.5], ["b"])
    assert first["z"].isna().all()
    assert second[["t", "flag"]].isna().all(axis=None)


def test_the_same_header_in_another_order_is_brought_into_that_of_the_first_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,a\n")
    (tmp_path / "b.csv").write_text("y,x\nb,2\n")
    split = opened([tmp_path / "a.csv", tmp_path / "b.csv"], 1 << 20)
    frames = [split.load(one) for one in list(split.mini_batches())]
    assert [list(frame.columns) for frame in frames] == [["x", "y"]] * 2
    assert frames[1].to_dict("list") == {"x": [2], "y": ["b"]}
    assert frames[0].dtypes.equals(frames[1].dtypes)


def test_integers_that_no_type_holds_are_text_in_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"x\n{UNSIGNED}\n")
    (tmp_path / "b.csv").write_text("y\n1\n")
    (tmp_path / "c.csv").write_text("x\n-1\n")
    split = opened([tmp_path / name for name in ("a.csv", "b.csv", "c.csv")], 1 << 20)
    first, _, third = (split.load(one) for one in list(split.mini_batches()))
    assert (first["x"].tolist(), third["x"].tolist()) == ([UNSIGNED], ["-1"])


def test_repeated_and_missing_column_names_are_those_of_pandas(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"a,a,\n1,2,3\n4,5,6\n", 1)
    frames = [split.load(one) for one in split.mini_batches()]
    assert [list(frame.columns) for frame in frames] == [["a", "a.1", "Unnamed: 2"]] * 2
    assert frames[1].values.tolist() == [[4, 5, 6]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "UTF8"])
def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path, encoding: str) -> None:
    split = of_bytes(tmp_path, codecs.BOM_UTF8 + b'"na\nme",y\n1,2\n3,4\n', 1, encoding=encoding)
    assert [split.load(one).columns.tolist() for one in split.mini_batches()] == [["na\nme", "y"]] * 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252"])
def test_text_is_read_in_the_encoding_that_is_set(tmp_path: Path, encoding: str) -> None:
    split = of_bytes(tmp_path, "nàme\né,1\nü,2\n".replace(",", "").encode(encoding), 1, encoding=encoding)
    frames = [split.load(one) for one in split.mini_batches()]
    assert [frame["nàme"].tolist() for frame in frames] == [["é1"], ["ü2"]]


def test_the_wrong_encoding_is_an_input_error_that_names_file_and_encoding(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.csv' cannot be parsed: 'utf-8' codec can't.*encoding='utf-8'"):
        of_bytes(tmp_path, "x\né\n".encode("latin-1"), 1)
    with pytest.raises(InputError, match=r"data\.csv' cannot be parsed: 'utf-8' codec can't"):
        of_bytes(tmp_path, "é\n1\n".encode("latin-1"), 1)


def test_the_delimiter_that_is_set_separates_fields(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x;y\n1;2\n")
    split = opened([tmp_path / "a.csv"], 1, delimiter=";")
    assert split.load(next(split.mini_batches())).to_dict("list") == {"x": [1], "y": [2]}


def test_a_tsv_file_is_separated_by_tabs_unless_another_delimiter_is_set(tmp_path: Path) -> None:
    (tmp_path / "a.TSV").write_text("x\ty,z\n1\t2\n")
    assert list(opened([tmp_path / "a.TSV"], 1)._files[0].columns) == ["x", "y,z"]
    (tmp_path / "b.tsv").write_text("x;y\n1;2\n")
    assert list(opened([tmp_path / "b.tsv"], 1, delimiter=";")._files[0].columns) == ["x", "y"]


def test_a_delimiter_beyond_ascii_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"delimiter='§'.*ASCII"):
        opened([tmp_path / "a.csv"], 1, delimiter="§")


def test_a_row_with_too_many_fields_is_an_input_error_with_pandas_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.csv' cannot be parsed: Expected 2 fields in line 4, saw 3"):
        of_bytes(tmp_path, b"x,y\n1,2\n3,4\n5,6,7\n8,9\n", 1)


def test_pandas_line_is_told_in_whatever_encoding_and_delimiter_the_file_has(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes("x;é\n1;ü\n3;4\n5;6;7\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"data\.csv' cannot be parsed: Expected 2 fields in line 4, saw 3"):
        opened([tmp_path / "data.csv"], 1, encoding="latin-1", delimiter=";")


@pytest.mark.parametrize("row", [b"5,6,7\n", b"5,6,\n"])
def test_a_first_row_with_too_many_fields_is_no_index(tmp_path: Path, row: bytes) -> None:
    with pytest.raises(InputError, match=r"a row has 3 fields, the header 2 \(the row starts with '5'\)"):
        of_bytes(tmp_path, b"x,y\n" + row, 1)


def test_fields_of_a_first_row_are_counted_by_the_delimiter_that_is_set(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x;y\n5;6;7\n")
    with pytest.raises(InputError, match=r"a row has 3 fields, the header 2"):
        opened([tmp_path / "a.csv"], 1, delimiter=";")
    (tmp_path / "b.csv").write_text("x;y\n5,6,7;8\n")
    split = opened([tmp_path / "b.csv"], 1, delimiter=";")
    assert split.load(next(split.mini_batches()))["x"].tolist() == ["5,6,7"]


def test_a_row_with_too_many_fields_is_found_wherever_inference_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "INFERENCE_BYTES", 1)
    with pytest.raises(InputError, match=r"Expected 2 fields in line 3, saw 3"):
        of_bytes(tmp_path, b"x,y\n1,2\n5,6,7\n8,9\n", 1)


def test_a_row_with_too_few_fields_has_nulls(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x,y,z\n1,2,3\n4\n", 1)
    second = split.load(list(split.mini_batches())[1])
    assert second["x"].tolist() == [4]
    assert second[["y", "z"]].isna().all(axis=None)


def test_a_quote_that_is_never_closed_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be parsed: EOF inside string starting at row 2"):
        of_bytes(tmp_path, b'x,y\n1,2\n3,"4\n5,6\n', 1)


def test_a_missing_file_is_an_input_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv' cannot be read: No such file"):
        opened([tmp_path / "gone.csv"], 1)


def test_a_file_that_vanishes_while_types_are_inferred_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(self: CsvFile, data: bytes) -> pd.DataFrame:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(CsvFile, "parse", vanish)
    with pytest.raises(InputError, match=r"data\.csv' cannot be read: Input/output error"):
        of_bytes(tmp_path, b"x\n1\n", 1)


def test_a_file_that_vanishes_before_it_is_split_is_an_input_error(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n1\n", 1)
    (tmp_path / "data.csv").unlink()
    with pytest.raises(InputError, match=r"data\.csv' changed since it was opened"):
        next(split.mini_batches())


def test_a_file_that_changed_before_it_is_split_is_an_input_error(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n1\n", 1)
    (tmp_path / "data.csv").write_bytes(b"x\na\n")
    with pytest.raises(InputError, match=r"data\.csv' changed since it was opened"):
        next(split.mini_batches())


@pytest.mark.parametrize("field", ["True", "7", "2.5", ""])
def test_a_column_of_texts_has_texts_in_every_mini_batch_whatever_is_in_it(tmp_path: Path, field: str) -> None:
    split = of_bytes(tmp_path, f"x,y\na,1\n{field},2\n,3\nb,4\n".encode(), len(field) + 4)
    frames = [split.load(one) for one in split.mini_batches()]
    assert all(frame.dtypes.equals(frames[0].dtypes) for frame in frames)
    assert [value for frame in frames for value in frame["x"].dropna()] == ["a", *([field] if field else []), "b"]


def test_loading_a_file_that_vanished_is_a_load_error_that_names_it(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n1\n2\n", 1)
    first, _ = split.mini_batches()
    (tmp_path / "data.csv").unlink()
    with pytest.raises(LoadError, match=r"data\.csv' cannot be read"):
        split.load(first)


@pytest.mark.parametrize("changed", [b"x\n111\n33\n", b"x\na\n2\n33\n"])
def test_loading_a_file_that_changed_is_a_load_error(tmp_path: Path, changed: bytes) -> None:
    split = of_bytes(tmp_path, b"x\n1\n2\n33\n", 4)
    first, _ = split.mini_batches()
    (tmp_path / "data.csv").write_bytes(changed)
    with pytest.raises(LoadError, match=r"data\.csv' changed since it was split"):
        split.load(first)


def test_every_load_is_a_fresh_copy_the_first_one_included(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n1\n2\n", 100)
    one = next(split.mini_batches())
    for _ in range(3):
        frame = split.load(one)
        assert frame["x"].tolist() == [1, 2]
        frame["x"] = 0


def test_the_first_load_of_a_mini_batch_does_not_parse_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = of_bytes(tmp_path, b"x\n1\n2\n", 1)
    parsed: list[bytes] = []
    real = CsvFile.parse

    def parse(self: CsvFile, data: bytes, types: dict[str, ColumnType]) -> pd.DataFrame:
        parsed.append(data)
        return real(self, data, types)

    monkeypatch.setattr(CsvFile, "parse", parse)
    for one in split.mini_batches():
        split.load(one)
    assert parsed == [b"1\n", b"2\n"]


def test_every_call_of_mini_batches_starts_anew(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n1\n2\n", 1)
    next(split.mini_batches())
    assert sizes(split) == [1, 1]


def test_neither_mini_batches_nor_items_of_a_table_are_counted_in_advance(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n1\n", 1)
    assert (split.total_mini_batches, split.total_items) == (None, None)


def test_the_plan_line_says_rows_files_and_bytes(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x\n" + b"1\n" * 1210, 1024)
    assert split.describe() == "1,210 rows in 1 file 'data.csv', 1,024 bytes a mini-batch"


def test_splitting_reads_no_further_than_the_mini_batch_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = of_bytes(tmp_path, b"x\n" + b"1\n" * 10_000, 10)
    monkeypatch.setattr(csv_file, "BLOCK", 64)
    sizes_read: list[int] = []
    real = csv_file.RecordReader._read_more

    def counted(self: csv_file.RecordReader) -> None:
        real(self)
        sizes_read.append(len(self._data))

    monkeypatch.setattr(csv_file.RecordReader, "_read_more", counted)
    next(split.mini_batches())
    assert sum(sizes_read) < 200


FIELDS = {
    "integers": st.integers(-9, 9).map(str),
    "floats": st.sampled_from(["1.5", "1e3", "-0.0", "inf", " 2.5"]),
    "nulls": st.sampled_from(["", "NA", "null"]),
    "bools": st.sampled_from(["True", "false", "TRUE"]),
    "text": st.sampled_from(["a", "1_000", "0x1", "2024-01-02"]),
}


def columns() -> st.SearchStrategy[list[str]]:
    """Fields of one column, of one to three kinds."""
    kinds = st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3)
    return kinds.flatmap(lambda chosen: st.lists(st.one_of([FIELDS[kind] for kind in chosen]), min_size=1, max_size=8))


@settings(deadline=None)
@given(column=columns(), chunk=st.integers(1, 30))
@example(column=["True", ""], chunk=1)
@example(column=["", ""], chunk=1)
@example(column=[UNSIGNED, "1"], chunk=30)
@example(column=["1.5", "", UNSIGNED], chunk=30)
@example(column=["1.5", "NA", UNSIGNED], chunk=30)
@example(column=[UNSIGNED, "-1"], chunk=30)
def test_types_and_values_are_those_of_pandas_for_the_whole_column(column: list[str], chunk: int) -> None:
    text = "x,y\n" + "".join(f"{field},0\n" for field in column)
    whole = pd.read_csv(io.StringIO(text), low_memory=False)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "INFERENCE_BYTES", chunk)
        split = of_bytes(Path(folder), text.encode(), 1)
        loaded = [split.load(one) for one in list(split.mini_batches())]
    assert all(frame.dtypes.equals(whole.dtypes) for frame in loaded)
    joined = pd.concat(loaded, ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole)
    cells = zip(joined["x"].dropna(), whole["x"].dropna(), strict=True)
    assert all(type(ours) is type(theirs) for ours, theirs in cells)


@pytest.mark.parametrize(
    ("fields", "chunk"),
    [
        ([UNSIGNED, "1"], 1),
        ([UNSIGNED, "-1"], 1),
        ([UNSIGNED, ""], 1),
        ([UNSIGNED, ""], 60),
        ([HUGE, "1"], 1),
        ([HUGE, "1"], 60),
        ([HUGE, "1.5"], 1),
        ([HUGE, ""], 60),
        ([HUGE, "True"], 60),
    ],
)
def test_integers_that_no_type_holds_are_text_and_their_nulls_stay_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: list[str], chunk: int
) -> None:
    monkeypatch.setattr(delimited, "INFERENCE_BYTES", chunk)
    split = of_bytes(tmp_path, ("x,y\n" + "".join(f"{field},0\n" for field in fields)).encode(), 1)
    cells = [split.load(one)["x"].iat[0] for one in split.mini_batches()]
    assert [cell if isinstance(cell, str) else None for cell in cells] == [field or None for field in fields]


@pytest.mark.parametrize(
    ("fields", "dtype"),
    [
        (["1", "2"], "int64"),
        (["1", "-2"], "int64"),
        (["1", "2.5"], "float64"),
        (["1", ""], "float64"),
        (["1.5", ""], "float64"),
        (["", ""], "float64"),
        (["True", "False"], "bool"),
        (["True", ""], "object"),
        ([UNSIGNED, UNSIGNED], "uint64"),
    ],
)
def test_one_type_holds_for_mini_batches_of_one_row_each(tmp_path: Path, fields: list[str], dtype: str) -> None:
    split = of_bytes(tmp_path, ("x,y\n" + "".join(f"{field},0\n" for field in fields)).encode(), 1)
    assert [str(split.load(one)["x"].dtype) for one in split.mini_batches()] == [dtype] * 2


def test_numbers_among_text_stay_as_they_are_written(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"x,y\n01,0\nTrue,0\n1.50,0\n", 1)
    assert [split.load(one)["x"].tolist() for one in split.mini_batches()] == [["01"], ["True"], ["1.50"]]


def test_dates_stay_text(tmp_path: Path) -> None:
    split = of_bytes(tmp_path, b"day\n2024-01-02\n", 1)
    assert split.load(next(split.mini_batches()))["day"].tolist() == ["2024-01-02"]


def test_a_long_piece_of_a_file_is_inferred_at_once(tmp_path: Path) -> None:
    # In pieces of a quarter of a million rows pandas would warn of mixed types.
    split = of_bytes(tmp_path, b"x,y\n" + b"1,0\n" * 270_000 + b"a,0\n", 2 << 20)
    column = split.load(next(split.mini_batches()))["x"]
    assert (column.iat[0], column.iat[-1]) == ("1", "a")


def large(monkeypatch: pytest.MonkeyPatch, exact: int) -> None:
    """An input of more than `exact` bytes is looked at in part, record by record."""
    monkeypatch.setattr(delimited, "INFERENCE_BYTES", 1)
    monkeypatch.setattr(delimited, "BEGINNING", 1)
    monkeypatch.setattr(delimited, "EXACT_BYTES", exact)


def test_of_a_large_input_a_part_is_looked_at_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large(monkeypatch, 8)
    split = of_bytes(tmp_path, b"x\n" + b"1\n" * 10, 4)
    assert split.describe() == (
        "a table in 1 file 'data.csv' (types of columns from its first 0 MB), 4 bytes a mini-batch"
    )
    assert sizes(split) == [2] * 5
    assert all(str(split.load(one)["x"].dtype) == "int64" for one in split.mini_batches())


def test_the_first_bytes_are_looked_at_and_the_beginning_of_every_file_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(monkeypatch, 8)
    paths = [tmp_path / f"{number}.csv" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_text("x\n" + "".join(f"{number}{row}\n" for row in range(4)))
    parsed: list[bytes] = []
    real = CsvFile.parse

    def parse(self: CsvFile, data: bytes, types: dict[str, ColumnType] | None = None) -> pd.DataFrame:
        parsed.append(data)
        return real(self, data, types)

    monkeypatch.setattr(CsvFile, "parse", parse)
    opened(paths, 4)
    assert parsed == [b"00\n", b"01\n", b"02\n", b"10\n", b"20\n"]


def test_a_mini_batch_that_does_not_fit_has_other_types_in_the_columns_that_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(monkeypatch, 20)
    rows = ["1,1.5,a,True"] * 4 + ["2,2,7,False", ",x,b,", "3,2.5,c,True"]
    split = of_bytes(tmp_path, ("i,f,t,b\n" + "\n".join(rows) + "\n").encode(), 1)
    types = [[str(split.load(one)[name].dtype) for name in "ifb"] for one in split.mini_batches()]
    text = str(pd.Series(["a"]).dtype if int(pd.__version__.split(".")[0]) >= 3 else "object")
    assert types[:5] == [["int64", "float64", "bool"]] * 5
    assert types[5][:2] == ["float64", text]
    assert types[6] == ["int64", "float64", "bool"]
    found = list(split.mini_batches())
    assert split.load(found[4])["t"].tolist() == ["7"]
    assert split.load(found[5])["f"].tolist() == ["x"]


def test_a_row_of_a_large_input_that_cannot_be_parsed_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large(monkeypatch, 4)
    split = of_bytes(tmp_path, b"x,y\n" + b"1,2\n" * 4 + b"5,6,7\n", 1)
    with pytest.raises(InputError, match=r"data\.csv' cannot be parsed: Expected 2 fields in line 6, saw 3"):
        list(split.mini_batches())


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A header and rows of fields, as text."""
    width = draw(st.integers(1, 3))
    names = [f"column {number}" for number in range(width)]
    cell = st.one_of(st.text('ab ",\n;\té', max_size=5), st.sampled_from(["1", "-2", "1.5", "True", "NA", ""]))
    row = st.lists(cell, min_size=width, max_size=width)
    return names, draw(st.lists(row, min_size=1, max_size=12))


@settings(deadline=None)
@given(
    table=tables(),
    size=st.integers(1, 60),
    terminator=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 20),
    chunk=st.integers(1, 60),
    mark=st.sampled_from([b"", codecs.BOM_UTF8]),
)
def test_all_mini_batches_together_are_what_pandas_reads_from_the_file(
    table: tuple[list[str], list[list[str]]],
    size: int,
    terminator: str,
    block: int,
    chunk: int,
    mark: bytes,
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=terminator)
    writer.writerow(table[0])
    writer.writerows(table[1])
    data = mark + text.getvalue().encode()
    whole = pd.read_csv(io.BytesIO(data), low_memory=False)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_file, "BLOCK", block)
        patch.setattr(delimited, "INFERENCE_BYTES", chunk)
        try:
            path = Path(folder, "data.csv")
            path.write_bytes(data)
            split = opened([path], size)
        except EmptyInputError:
            assert whole.empty
            return
        found = list(split.mini_batches())
        loaded = [split.load(one) for one in found]
    assert [one.size for one in found] == [len(frame) for frame in loaded]
    assert all(one.size for one in found)
    assert all(frame.dtypes.equals(whole.dtypes) for frame in loaded)
    pd.testing.assert_frame_equal(pd.concat(loaded, ignore_index=True), whole)


@settings(deadline=None)
@given(
    body=st.text('aa1""",,\n\n \t', max_size=40),
    size=st.integers(1, 30),
    terminator=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 9),
    chunk=st.integers(1, 30),
)
def test_any_text_is_read_as_pandas_reads_it_or_refused(
    body: str, size: int, terminator: str, block: int, chunk: int
) -> None:
    data = ("x,y,z\n" + body).replace("\n", terminator).encode()
    try:
        whole = pd.read_csv(io.BytesIO(data), low_memory=False)
    except ValueError:
        whole = None
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_file, "BLOCK", block)
        patch.setattr(delimited, "INFERENCE_BYTES", chunk)
        try:
            split = of_bytes(Path(folder), data, size)
        except EmptyInputError:
            assert whole is not None
            assert whole.empty
            return
        except InputError as error:
            # pandas takes the surplus of a first row as an index; here a row is refused wherever it is.
            if whole is not None and "fields, the header" not in str(error):
                raise
            return
        loaded = [split.load(one) for one in list(split.mini_batches())]
    assert whole is not None
    assert all(len(frame) for frame in loaded)
    pd.testing.assert_frame_equal(pd.concat(loaded, ignore_index=True), whole)

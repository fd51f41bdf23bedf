"""MLTable folders, read with the real package. Run in an environment of its own: see .ci/run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pandas as pd
import pytest
from mltable import from_delimited_files, from_json_lines_files, from_parquet_files

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import EmptyInputError, InputError
from pytest_parallelrun.emulator.splitting import mltable as mltable_module
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.mltable import files_of
from pytest_parallelrun.emulator.splitting.model import LoadError, Splitter

DELIMITED = "read_delimited: {delimiter: ',', encoding: utf8, header: all_files_same_headers}"


def mltable(folder: Path, *transformations: str, paths: str = "pattern: ./**/*.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    steps = "".join(f"\n  - {step}" for step in transformations)
    text = f"type: mltable\npaths:\n  - {paths}\n" + (f"transformations:{steps}\n" if steps else "")
    (folder / "MLTable").write_text(text, encoding="utf-8")
    return folder


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def frames(split: Splitter) -> list[pd.DataFrame]:
    return [cast("pd.DataFrame", split.load(one)) for one in split.mini_batches()]


IRIS = "sepal_length,sepal_width,petal_length,petal_width\n" + "5.1,3.5,1.4,0.25\n" * 20 + "5.1,3.5,1.4,0.2\n" * 130


def test_delimited_files_are_a_table_cut_where_the_reader_of_the_service_cuts(tmp_path: Path) -> None:
    assert len(IRIS) == 2470
    folder = mltable(write(tmp_path / "a b ä", **{"iris.csv": IRIS}), DELIMITED)
    split = open_input(folder, JobSettings(mini_batch_size=1024))
    found = list(split.mini_batches())
    # As many as the recorded run of the service had; a row belongs to the 1,024 bytes that it begins in.
    assert [(one.size, one.first_item) for one in found] == [(60, 0), (64, 60), (26, 124)]
    assert all(list(frame.index) == list(range(len(frame))) for frame in frames(split))
    assert list(split.item_names(found[2]))[:1] == [f"row 125 of {folder}"]
    assert split.kind == "tabular"
    assert (split.total_mini_batches, split.total_items) == (None, None)
    assert (
        split.describe() == f"the table of the MLTable '{folder}', 1,024 bytes a mini-batch, 3 partitions of its reader"
    )


def test_each_load_is_a_fresh_copy_and_the_same(tmp_path: Path) -> None:
    split = open_input(mltable(write(tmp_path, **{"a.csv": "x\n1\n2\n"}), DELIMITED), JobSettings())
    (one,) = split.mini_batches()
    for _ in range(3):
        frame = cast("pd.DataFrame", split.load(one))
        assert frame["x"].tolist() == [1, 2]
        frame["x"] = 0


def test_delimiter_encoding_and_header_are_those_of_the_mltable_and_not_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("é;1\nü;2\n".encode("latin-1"))
    step = "read_delimited: {delimiter: ';', encoding: iso88591, header: no_header}"
    (frame,) = frames(open_input(mltable(tmp_path, step, paths="file: ./a.txt"), JobSettings(delimiter=",")))
    assert frame.values.tolist() == [["é", 1], ["ü", 2]]


def test_csv_files_are_cut_where_the_reader_of_the_service_cuts_them(tmp_path: Path) -> None:
    # Short rows, of which one begins at each multiple of 4, and then some that are longer than the size.
    rows = "a,b\n" + "1,2\n" * 40 + "".join(f"{'9' * (37 * number % 110 + 1)},3\n" for number in range(8))
    write(tmp_path, **{"table__a.csv": rows})
    table = mltable(tmp_path / "table", DELIMITED, paths="file: ./a.csv")
    theirs = [batch.size for batch in open_input(table, JobSettings(mini_batch_size=80)).mini_batches()]
    ours = [
        batch.size for batch in open_input(tmp_path / "table" / "a.csv", JobSettings(mini_batch_size=80)).mini_batches()
    ]
    # Where no record begins, the reader has a partition without rows.
    assert ours == [size for size in theirs if size]


def test_json_lines_and_parquet_are_tables_too(tmp_path: Path) -> None:
    write(tmp_path, **{"lines__a.jsonl": '{"x": 1}\n{"x": 2}\n'})
    lines = mltable(
        tmp_path / "lines", "read_json_lines: {encoding: utf8, invalid_lines: error}", paths="file: ./a.jsonl"
    )
    assert [frame["x"].tolist() for frame in frames(open_input(lines, JobSettings()))] == [[1, 2]]
    (tmp_path / "parquet").mkdir()
    pd.DataFrame({"x": range(10)}).to_parquet(tmp_path / "parquet" / "a.parquet", row_group_size=4)
    parquet = mltable(tmp_path / "parquet", "read_parquet", paths="file: ./a.parquet")
    split = open_input(parquet, JobSettings(mini_batch_size=1))
    # The reader makes one partition of each row group, whatever the size.
    assert [len(frame) for frame in frames(split)] == [4, 4, 2]
    assert split.describe().endswith("', 3 partitions of its reader")
    assert split.form == "mltable_row_groups"


@pytest.mark.parametrize("reader", ["delimited", "json_lines", "parquet"])
def test_folders_that_the_package_saved_itself_are_read(tmp_path: Path, reader: str) -> None:
    data = write(tmp_path / "data", **{"a.csv": "x\n1\n", "a.jsonl": '{"x": 1}\n'})
    pd.DataFrame({"x": [1]}).to_parquet(data / "a.parquet")
    make, name = {
        "delimited": (from_delimited_files, "a.csv"),
        "json_lines": (from_json_lines_files, "a.jsonl"),
        "parquet": (from_parquet_files, "a.parquet"),
    }[reader]
    make(paths=[{"file": str(data / name)}]).save(str(tmp_path / "saved"))
    assert [frame["x"].tolist() for frame in frames(open_input(tmp_path / "saved", JobSettings()))] == [[1]]


def test_types_are_those_that_the_reader_gives_to_each_partition(tmp_path: Path) -> None:
    write(tmp_path, **{"a.csv": "x,y\n" + "5,7\n" * 5 + ",7\n5,7\n" + "5,7\n" * 5})
    split = open_input(mltable(tmp_path, DELIMITED), JobSettings(mini_batch_size=20))
    # A null among integers makes floats of them, in its own partition alone.
    assert {str(frame["x"].dtype) for frame in frames(split)} == {"int64", "float64"}


def test_without_a_reader_it_is_a_list_of_files_in_sorted_order(tmp_path: Path) -> None:
    write(tmp_path, **{"b.txt": "", "sub__a.txt": "", "sub__c.csv": ""})
    split = open_input(mltable(tmp_path, paths="pattern: ./**/*.txt"), JobSettings(mini_batch_size=1))
    assert [split.load(one) for one in split.mini_batches()] == [
        [str(tmp_path / "b.txt")],
        [str(tmp_path / "sub" / "a.txt")],
    ]
    assert split.describe() == f"2 files of the MLTable '{tmp_path}', 1 a mini-batch: 2 mini-batches"


def test_files_may_lie_outside_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, **{"data__a.txt": "x"})
    folder = mltable(tmp_path / "asset", paths="folder: ../data")
    split = open_input(folder, JobSettings())
    assert split.load(next(split.mini_batches())) == [str(tmp_path / "data" / "a.txt")]
    assert list(split.item_names(next(split.mini_batches()))) == [str(Path("data", "a.txt"))]
    assert files_of(str(folder), "asset") == (f"{tmp_path}/", ["data/a.txt"])
    assert files_of(str(mltable(write(tmp_path / "t", **{"a.csv": "x\n1\n"}), DELIMITED)), "t") is None


PARTS = "extract_columns_from_partition_format: {partition_format: '/Store={Store}/{Brand}/x.csv'}"


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        **{
            "Store=2__b__x.csv": "n\n0\n",
            "Store=10__a__x.csv": "n\n1\n2\n",
            "Store=2__a__x.csv": "n\n3\n",
        },
    )


def test_files_are_partitioned_by_what_the_mltable_takes_from_their_paths(stores: Path) -> None:
    split = open_input(mltable(stores, PARTS), JobSettings(partition_keys=("Store", "Brand")))
    assert split.kind == "files"
    assert [dict(one.partition) for one in split.mini_batches()] == [
        {"Store": "10", "Brand": "a"},
        {"Store": "2", "Brand": "a"},
        {"Store": "2", "Brand": "b"},
    ]
    assert split.load(next(split.mini_batches())) == [str(stores / "Store=10" / "a" / "x.csv")]


def test_rows_are_partitioned_by_these_columns_and_by_a_subset_of_them(stores: Path) -> None:
    folder = mltable(stores, PARTS, DELIMITED)
    both = open_input(folder, JobSettings(partition_keys=("Store", "Brand")))
    assert [frame["n"].tolist() for frame in frames(both)] == [[1, 2], [3], [0]]
    one = open_input(folder, JobSettings(partition_keys=("Brand",)))
    assert [(dict(batch.partition), batch.size) for batch in one.mini_batches()] == [
        ({"Brand": "a"}, 3),
        ({"Brand": "b"}, 1),
    ]
    assert frames(one)[1]["Store"].tolist() == [2]
    assert one.describe() == f"the table of the MLTable '{stores}', one mini-batch for each Brand: 2 mini-batches"


@pytest.mark.parametrize("steps", [(PARTS,), (PARTS, DELIMITED)])
def test_a_key_that_is_none_of_the_mltable_is_refused_with_those_that_are(stores: Path, steps: tuple[str, ...]) -> None:
    folder = mltable(stores, *steps)
    with pytest.raises(InputError, match=r"no 'store', a partition key of the MLTable.*Did you mean 'Store'\?.*Brand"):
        open_input(folder, JobSettings(partition_keys=("store",)))
    # A column of the data is no partition key on the service either.
    with pytest.raises(InputError, match=r"no 'n', a partition key of the MLTable"):
        open_input(folder, JobSettings(partition_keys=("n",)))


def test_parquet_row_groups_are_the_chunks_of_a_partitioned_mltable(tmp_path: Path) -> None:
    for brand in "ab":
        (tmp_path / brand).mkdir()
        pd.DataFrame({"n": range(4)}).to_parquet(tmp_path / brand / "x.parquet", row_group_size=3)
    step = "extract_columns_from_partition_format: {partition_format: '/{Brand}/x.parquet'}"
    folder = mltable(tmp_path, step, "read_parquet", paths="pattern: ./*/x.parquet")
    split = open_input(folder, JobSettings(partition_keys=("Brand",)))
    assert [frame["n"].tolist() for frame in frames(split)] == [[0, 1, 2, 3]] * 2


def test_a_batch_deployment_takes_an_mltable_of_files_and_none_of_a_table(stores: Path) -> None:
    assert open_input(mltable(stores), JobSettings(profile="batch")).total_items == 3
    with pytest.raises(InputError, match="its MLTable makes a table, and a batch deployment passes paths of files"):
        open_input(mltable(stores, DELIMITED), JobSettings(profile="batch"))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("azureml://datastores/store/paths/a.csv", "az ml data show"),
        ("https://example.org/a.csv", "azcopy copy"),
        ("wasbs://c@a.blob.core.windows.net/a.csv", "azcopy copy"),
    ],
)
def test_remote_data_is_refused_with_how_to_give_a_local_sample(tmp_path: Path, path: str, told: str) -> None:
    with pytest.raises(
        InputError, match=rf"its MLTable names '{path}': remote inputs are not downloaded.*{told}.*sample"
    ):
        open_input(mltable(tmp_path, DELIMITED, paths=f"file: {path}"), JobSettings())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- file: [", r"its MLTable cannot be read: expected the node content.*line 4"),
        ("- file: ./a.csv\ntransformations:\n  - read_delimted", r"does not adhere to.*read_delimted"),
        ("- file: ./gone.csv\ntransformations:\n  - read_parquet", r"names what is not there: file '\./gone\.csv'\.$"),
        ("- pattern: ./z*\n  - folder: ./zz", r"names what is not there: pattern '\./z\*', folder '\./zz'\.$"),
    ],
)
def test_what_is_wrong_with_an_mltable_is_told_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "MLTable").write_text(f"type: mltable\npaths:\n  {text}\n", encoding="utf-8")
    with pytest.raises(InputError, match=told) as caught:
        open_input(tmp_path, JobSettings())
    assert "session_id" not in str(caught.value)


def test_files_that_are_there_and_cannot_be_read_are_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no Parquet", encoding="utf-8")
    with pytest.raises(InputError, match=r"its MLTable cannot be read: "):
        open_input(mltable(tmp_path, "read_parquet", paths="file: ./a.parquet"), JobSettings())


def test_delta_tables_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Delta:
        paths = ({"folder": "./delta"},)

        def __str__(self) -> str:
            return "paths:\n- folder: ./delta\ntransformations:\n- read_delta_lake:\n    timestamp_as_of: x\n"

    monkeypatch.setattr(mltable_module, "_load", lambda folder: Delta())
    with pytest.raises(InputError, match=r"read_delta_lake of its MLTable is not supported\. Save a"):
        open_input(mltable(tmp_path, paths="folder: ./delta"), JobSettings())


def test_files_without_their_paths_are_refused(tmp_path: Path) -> None:
    write(tmp_path, **{"a.csv": "x\n1\n"})
    step = "extract_columns_from_partition_format: {partition_format: '/{name}.csv'}"
    folder = mltable(tmp_path, step, "drop_columns: Path")
    with pytest.raises(InputError, match="its MLTable has no column 'Path' left"):
        open_input(folder, JobSettings())


def test_an_mltable_without_a_row_or_a_file_is_an_empty_input(tmp_path: Path) -> None:
    with pytest.raises(EmptyInputError, match="there is not a single row"):
        open_input(mltable(write(tmp_path / "rows", **{"a.csv": "x\n"}), DELIMITED), JobSettings())
    with pytest.raises(EmptyInputError, match="its MLTable names no file"):
        open_input(mltable(write(tmp_path / "files", **{"a.csv": "x\n"}), "take: 0"), JobSettings())


def test_an_mltable_beside_other_paths_is_refused_but_is_an_input_of_its_own_under_v1(
    stores: Path, tmp_path: Path
) -> None:
    folder = mltable(stores)
    with pytest.raises(InputError, match=r"a folder with an MLTable file is an input of its own\. Give it"):
        open_input([folder, folder], JobSettings())
    split = open_input([folder, folder], JobSettings(profile="v1", mini_batch_size=2))
    assert [one.size for one in split.mini_batches()] == [2, 1, 2, 1]


def test_data_that_changed_fails_its_mini_batch(tmp_path: Path) -> None:
    split = open_input(mltable(write(tmp_path, **{"a.csv": "x\n1\n2\n"}), DELIMITED), JobSettings())
    (one,) = split.mini_batches()
    split.load(one)
    write(tmp_path, **{"a.csv": "x\n1\n"})
    with pytest.raises(LoadError, match="changed since it was split: 1 rows where there were 2"):
        split.load(one)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(LoadError, match="its MLTable cannot be read"):
        split.load(one)


def test_without_the_package_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mltable(write(tmp_path, **{"a.csv": "x\n1\n"}), DELIMITED)

    def missing(folder: str) -> object:
        raise ModuleNotFoundError("No module named 'mltable'", name="mltable")

    monkeypatch.setattr(mltable_module, "_load", missing)
    with pytest.raises(InputError, match=r"needs the package mltable: pip install 'pytest-parallelrun\[mltable\]'"):
        open_input(folder, JobSettings())

    def broken(folder: str) -> object:
        raise ImportError("No native module", name="azureml.dataprep")

    monkeypatch.setattr(mltable_module, "_load", broken)
    with pytest.raises(InputError, match="the package mltable cannot be imported: No native module"):
        open_input(folder, JobSettings())


SCRIPT = """
from azureml.core import Run
import azureml.core


def run(mini_batch, context):
    assert "pytest_parallelrun" in azureml.core.__file__, azureml.core.__file__
    return [f"{context.partition_key_value} {n}" for n in mini_batch["n"]]
"""


def test_a_worker_sees_the_stand_ins_while_the_reader_has_its_own_modules(stores: Path, tmp_path: Path) -> None:
    script = tmp_path / "code" / "score.py"
    script.parent.mkdir()
    script.write_text(SCRIPT, encoding="utf-8")
    folder = mltable(stores, PARTS, DELIMITED)
    keys = JobSettings(partition_keys=["Store"], error_threshold=0)
    result = ParallelJob(script, folder, keys).run()
    assert result.status == "Completed", result.explain()
    assert result.rows == ["{'Store': '10'} 1", "{'Store': '10'} 2", "{'Store': '2'} 3", "{'Store': '2'} 0"]

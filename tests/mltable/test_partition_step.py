"""MLTable folders as the partition step of the official samples writes them, and others of the kind."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import cast

import pandas as pd
import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.splitting import mltable as mltable_module
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.model import LoadError, Splitter
from tests.mltable.test_mltable import frames, mltable, write

KEYS = ("Store", "Brand")
READ = (
    "read_delimited: {delimiter: ',', encoding: ascii, header: all_files_same_headers, empty_as_string: false, "
    "include_path_column: true}"
)
EXTRACT = "extract_columns_from_partition_format: {partition_format: '{Store}/{Brand}/{file_name}.{extension}'}"
DROP = "drop_columns: [Path, file_name, extension]"


def stores(folder: Path, suffix: str = ".csv", separator: str = ",") -> Path:
    """A file for each store and brand, below a folder for each."""
    rows = {
        "10__tea": ["2020-01-06", "1"],
        "10__coffee cup": ["2020-01-06", "2"],
        "2__tea": ["2020-01-13", "3"],
    }
    header = separator.join(["Week", "Quantity"])
    return write(folder, **{f"{key}__part{suffix}": f"{header}\n{separator.join(row)}\n" for key, row in rows.items()})


def partitions(split: Splitter) -> list[tuple[str, ...]]:
    return [tuple(value for _, value in batch.partition) for batch in split.mini_batches()]


def test_both_keys_are_taken_from_the_paths_and_helper_columns_are_dropped(tmp_path: Path) -> None:
    folder = mltable(stores(tmp_path / "a b=c #1"), READ, EXTRACT, DROP)
    split = open_input(folder, JobSettings(partition_keys=KEYS))
    assert partitions(split) == [("10", "coffee cup"), ("10", "tea"), ("2", "tea")]
    assert [frame["Quantity"].tolist() for frame in frames(split)] == [[2], [1], [3]]
    first = frames(split)[0]
    assert list(first.columns) == ["Week", "Quantity", "Store", "Brand"]
    # Text, though all are numbers, as the reader takes it from the path.
    assert first["Store"].tolist() == ["10"]
    assert partitions(open_input(folder, JobSettings(partition_keys=("Brand", "Store"), profile="v1")))[0] == (
        "coffee cup",
        "10",
    )
    subset = open_input(folder, JobSettings(partition_keys=("Store",)))
    assert [frame["Quantity"].tolist() for frame in frames(subset)] == [[2, 1], [3]]


def test_without_keys_a_table_with_steps_after_its_reader_is_cut_by_size(tmp_path: Path) -> None:
    write(tmp_path, **{"10__tea__part.csv": "Week,Quantity\n" + "2020-01-06,1\n" * 6})
    split = open_input(mltable(tmp_path, READ, EXTRACT, DROP), JobSettings(mini_batch_size=40))
    assert [batch.size for batch in split.mini_batches()] == [3, 3, 0]
    assert frames(split)[1]["Store"].tolist() == ["10"] * 3


@pytest.mark.parametrize(
    ("suffix", "separator", "reader"),
    [
        (".tsv", "\t", "read_delimited: {delimiter: '\\t', include_path_column: true}"),
        (".csv", ",", "read_delimited: {include_path_column: true}"),
    ],
)
def test_other_delimiters_and_defaults(tmp_path: Path, suffix: str, separator: str, reader: str) -> None:
    folder = mltable(stores(tmp_path, suffix, separator), reader, EXTRACT, paths=f"pattern: ./**/*{suffix}")
    split = open_input(folder, JobSettings(partition_keys=KEYS))
    assert partitions(split) == [("10", "coffee cup"), ("10", "tea"), ("2", "tea")]


def test_parquet_and_json_lines_take_keys_from_paths_after_they_are_read(tmp_path: Path) -> None:
    for month in (3, 4):
        (tmp_path / "parquet" / f"year=2020/month={month}").mkdir(parents=True)
        pd.DataFrame({"n": [month]}).to_parquet(tmp_path / "parquet" / f"year=2020/month={month}/x.parquet")
    step = "extract_columns_from_partition_format: {partition_format: '/year={year}/month={month}'}"
    parquet = mltable(
        tmp_path / "parquet", "read_parquet: {include_path_column: true}", step, paths="pattern: ./**/*.parquet"
    )
    assert partitions(open_input(parquet, JobSettings(partition_keys=("year", "month")))) == [
        ("2020", "3"),
        ("2020", "4"),
    ]
    write(tmp_path / "lines", **{f"2020__01__02__{hour}__x.jsonl": '{"n": 1}\n' for hour in ("03", "04")})
    lines = mltable(
        tmp_path / "lines",
        "read_json_lines: {include_path_column: true}",
        "extract_columns_from_partition_format: {partition_format: '{At:yyyy/MM/dd/HH}/{name}.jsonl'}",
        paths="pattern: ./**/*.jsonl",
    )
    split = open_input(lines, JobSettings(partition_keys=("At",)))
    assert partitions(split) == [("2020-01-02 03:00:00",), ("2020-01-02 04:00:00",)]
    assert frames(split)[1]["At"].tolist() == [pd.Timestamp(2020, 1, 2, 4)]


def test_days_in_the_paths_of_files_are_keys(tmp_path: Path) -> None:
    step = "extract_columns_from_partition_format: {partition_format: '/{day:yyyy/MM/dd}/{name}.txt'}"
    folder = mltable(write(tmp_path, **{"2020__01__02__a.txt": "", "2020__01__03__a.txt": ""}), step, paths="folder: .")
    split = open_input(folder, JobSettings(partition_keys=("day",)))
    # The MLTable file itself lies in no folder of a day.
    assert partitions(split) == [("",), (f"{date(2020, 1, 2)} 00:00:00",), (f"{date(2020, 1, 3)} 00:00:00",)]


@pytest.mark.parametrize("reader", [(), (READ,)])
def test_a_key_that_the_table_does_not_have_is_refused_with_what_it_has(tmp_path: Path, reader: tuple[str]) -> None:
    folder = mltable(stores(tmp_path), *reader, EXTRACT, "drop_columns: [file_name, extension]")
    with pytest.raises(InputError, match=r"no 'Week', a partition key of the.*The keys there are: Store, Brand"):
        open_input(folder, JobSettings(partition_keys=("Store", "Week")))
    with pytest.raises(
        InputError, match=r"'file_name' is dropped by a later step.*out of drop_columns\. Keys that are left: Store, B"
    ):
        open_input(folder, JobSettings(partition_keys=("file_name",)))
    mltable(tmp_path, *reader)
    with pytest.raises(InputError, match=r"no keys at all\. Its step extract_columns_from_partition_format would take"):
        open_input(tmp_path, JobSettings(partition_keys=KEYS))


@pytest.mark.parametrize(
    "steps",
    [
        # The reader gives nulls without a word.
        ("read_delimited", EXTRACT),
        (READ, "extract_columns_from_partition_format: {partition_format: '/year={Store}/month={Brand}'}"),
        ("extract_columns_from_partition_format: {partition_format: '/year={Store}/month={Brand}'}",),
    ],
)
def test_keys_that_no_path_has_a_value_of_are_refused(tmp_path: Path, steps: tuple[str, ...]) -> None:
    with pytest.raises(
        InputError, match=r"partition_keys=Store,Brand: no path in the MLTable.*include_path_column: true"
    ):
        open_input(mltable(stores(tmp_path), *steps), JobSettings(partition_keys=KEYS))


def test_a_key_that_is_a_column_of_the_data_too_is_refused_as_the_reader_does(tmp_path: Path) -> None:
    folder = mltable(write(tmp_path, **{"10__tea__x.csv": "Store,n\n10,1\n"}), READ, EXTRACT, DROP)
    with pytest.raises(InputError, match=r"its MLTable cannot be read: .*'Store' already exists"):
        open_input(folder, JobSettings(partition_keys=KEYS))


def test_names_of_columns_are_not_taken_for_steps(tmp_path: Path) -> None:
    folder = mltable(write(tmp_path, **{"a.csv": "read_delta_lake,n\n1,2\n"}), READ, "drop_columns: [read_delta_lake]")
    assert list(frames(open_input(folder, JobSettings()))[0].columns) == ["Path", "n"]


def test_a_folder_that_is_named_as_a_file_stands_for_the_files_below_it(tmp_path: Path) -> None:
    write(tmp_path, **{"images__b.png": "", "images__sub__a.png": ""})
    (tmp_path / "MLTable").write_text("paths:\n- file: ./images\n", encoding="utf-8")
    split = open_input(tmp_path, JobSettings(mini_batch_size=10))
    names = [str(tmp_path / "images" / "b.png"), str(tmp_path / "images" / "sub" / "a.png")]
    assert [path for batch in split.mini_batches() for path in split.load(batch)] == names


@pytest.mark.parametrize("reader", [(), (READ,)])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, reader: tuple[str]) -> None:
    write(tmp_path, **{"a.csv": "x\n1\n"})
    with pytest.raises(InputError, match=r"its MLTable names what is not there: file 'gone\.csv'\.$"):
        open_input(mltable(tmp_path, *reader, paths="file: ./a.csv\n  - file: gone.csv"), JobSettings())


def test_a_folder_whose_name_is_a_pattern_is_told(tmp_path: Path) -> None:
    folder = mltable(write(tmp_path / "data [1]", **{"a.csv": "x\n1\n"}), READ)
    with pytest.raises(InputError, match=r"cannot be read: .* It takes '\*', '\?' and '\[' in the path of its folder"):
        open_input(folder, JobSettings())


def unreadable_part(folder: Path) -> Path:
    """Three Parquet files, the second of which the reader cannot read."""
    folder.mkdir()
    for name, values in {"1": ["a"], "2": pd.Categorical(["b"]), "3": ["c"]}.items():
        pd.DataFrame({"id": values}).to_parquet(folder / f"{name}.parquet")
    return mltable(folder, "read_parquet", paths="pattern: ./*.parquet")


def test_a_part_that_cannot_be_read_fails_its_own_mini_batch(tmp_path: Path) -> None:
    split = open_input(unreadable_part(tmp_path / "data"), JobSettings())
    first, second, third = split.mini_batches()
    assert [first.size, second.size, third.size] == [1, 1, 1]
    with pytest.raises(LoadError, match=r"its MLTable cannot be read: .*Panic"):
        split.load(second)
    assert cast("pd.DataFrame", split.load(third))["id"].tolist() == ["c"]
    # Rows of a partition may lie in any part.
    with pytest.raises(InputError, match="there is no 'id', a partition key"):
        open_input(tmp_path / "data", JobSettings(partition_keys=("id",)))


def test_a_part_of_a_partitioned_table_that_cannot_be_read_is_a_wrong_input(tmp_path: Path) -> None:
    folder = unreadable_part(tmp_path / "data")
    step = "extract_columns_from_partition_format: {partition_format: '/{name}.parquet'}"
    mltable(folder, "read_parquet: {include_path_column: true}", step, paths="pattern: ./*.parquet")
    with pytest.raises(InputError, match=r"its MLTable cannot be read: .*Panic"):
        open_input(folder, JobSettings(partition_keys=("name",)))


class PanicException(BaseException):
    """As native code raises it: no Exception."""


@pytest.mark.parametrize("error", [PanicException("called `Option::unwrap()` on a `None` value"), OverflowError()])
def test_whatever_the_reader_raises_is_a_wrong_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def broken(folder: str) -> object:
        raise error

    monkeypatch.setattr(mltable_module, "_load", broken)
    # As before the reader is imported for the first time.
    monkeypatch.setattr(mltable_module, "_kept_modules", {})
    monkeypatch.delitem(sys.modules, "azureml.dataprep.api._loggerfactory")
    assert mltable_module._call_reader("data", lambda: "read") == "read"
    with pytest.raises(InputError, match=r"its MLTable cannot be read: (called `Option|OverflowError)"):
        open_input(mltable(tmp_path), JobSettings())


def test_an_interrupt_inside_the_reader_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(mltable_module, "_load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_input(mltable(tmp_path), JobSettings())


def test_parts_are_read_once_while_they_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    read = mltable_module.MLTableSplitter._partition

    def counted(self: mltable_module.MLTableSplitter, number: int) -> pd.DataFrame:
        reads.append(number)
        return read(self, number)

    monkeypatch.setattr(mltable_module.MLTableSplitter, "_partition", counted)
    folder = mltable(write(tmp_path, **{f"{name}.csv": "x\n1\n" for name in "abc"}), READ)
    for batches in (list, iter):
        split = open_input(folder, JobSettings())
        reads.clear()
        assert [len(cast("pd.DataFrame", split.load(one))) for one in batches(split.mini_batches())] == [1, 1, 1]
        # The first one was read, and handed over, when the columns were looked at.
        assert reads.count(1) == reads.count(2) == 1
    monkeypatch.setattr(mltable_module, "KEPT_BYTES", 0)
    split = open_input(folder, JobSettings())
    batches_of_all = list(split.mini_batches())
    reads.clear()
    assert [len(cast("pd.DataFrame", split.load(one))) for one in batches_of_all] == [1, 1, 1]
    assert reads == [0, 1]


SCRIPT = """

import pandas as pd


def run(rows, context):
    keys = context.partition_key_value
    return rows.assign(key="/".join(keys.values()))[["key", "Store", "Quantity"]]
"""


@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_workers_get_rows_and_keys(tmp_path: Path, engine: str) -> None:
    script = tmp_path / "score.py"
    script.write_text(SCRIPT, encoding="utf-8")
    folder = mltable(stores(tmp_path / "table"), READ, EXTRACT, DROP)
    job = ParallelJob(script, folder, JobSettings(partition_keys=KEYS, error_threshold=0), engine=engine)
    result = job.run()
    assert result.status == "Completed", result.explain()
    rows = pd.DataFrame(list(result.rows)).astype(str).values.tolist()
    assert sorted(rows) == [["10/coffee cup", "10", "2"], ["10/tea", "10", "1"], ["2/tea", "2", "3"]]


PIPELINE = """
type: pipeline
jobs:
  partition:
    type: command
    component: ./partition.yml
    outputs:
      table: {type: mltable}
  fit:
    type: parallel
    inputs:
      table: {type: mltable, mode: direct, path: "${{parent.jobs.partition.outputs.table}}"}
    outputs:
      rows: {type: uri_file}
    input_data: ${{inputs.table}}
    partition_keys: [Store, Brand]
    error_threshold: 0
    task:
      type: run_function
      code: ./src
      entry_script: fit.py
      environment: azureml:fit:1
      append_row_to: ${{outputs.rows}}
"""


def test_a_job_whose_input_is_written_by_such_a_step_is_gated_with_a_sample(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    write(pytester.path, **{"pipeline.yml": PIPELINE, "src__fit.py": SCRIPT})
    mltable(stores(tmp_path / "a table"), READ, EXTRACT, DROP)
    result = pytester.runpytest_inprocess(
        "--parallelrun-job=pipeline.yml",
        f"--parallelrun-input={tmp_path / 'a table'}",
        "-k",
        "job_completes or leaves_input_unchanged",
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*fit.py: passed: 2 checks, 3 of 3 mini-batches and 3 of 3 items succeeded*"])


def test_a_part_that_cannot_be_read_is_a_finding_and_nothing_is_drawn_from_it(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    script = pytester.makepyfile(score="def run(rows):\n    return [f'{id} scored' for id in rows['id']]\n")
    result = pytester.runpytest_inprocess(
        f"--parallelrun-entry={script}",
        f"--parallelrun-input={unreadable_part(tmp_path / 'data')}",
        "-k",
        "no_silent_losses or handles_generated",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*1 of 3 items failed*", "*load_error: *its MLTable cannot be read: *"])

"""Recorded runs of the real service that files, CSV and thresholds cover; each is named after its record."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.service.worker_info import MiniBatchContext
from pytest_parallelrun.emulator.settings import JobSettings
from tests.emulator.jobs import Names, Rows, Scripted, attempts, make_files, run_job, statuses, table


def iris(path: Path) -> Path:
    """150 rows and 2,470 bytes with the header, as the file of the record had."""
    header = "sepal_length,sepal_width\n"
    total = 2470 - len(header)
    lines = []
    for row in range(150):
        length = total // 150 + (row < total % 150)
        lines.append(f"{row:03d},".ljust(length - 1, "5") + "\n")
    path.write_text(header + "".join(lines), encoding="utf-8", newline="")
    assert path.stat().st_size == 2470
    return path


def test_iris_of_150_rows_in_2470_bytes_at_1KB_makes_3_mini_batches(tmp_path: Path) -> None:
    result = run_job(Rows(), iris(tmp_path / "iris.csv"), profile="v1", mini_batch_size="1KB", node_count=2)
    assert (result.status, result.total_mini_batches, result.total_items) == ("Completed", 3, 150)


@pytest.mark.parametrize("rules", ["documented", "observed"])
def test_100_csv_files_of_one_folder_at_5_are_cut_from_the_list_sorted_as_text(rules: str, tmp_path: Path) -> None:
    names = sorted(f"{number}.csv" for number in range(1, 101))
    assert names[:4] == ["1.csv", "10.csv", "100.csv", "11.csv"]
    for name in names:
        (tmp_path / name).touch()
    seen: list[list[str]] = []

    class Looks:
        def run(self, paths: list[str]) -> list[str]:
            seen.append([os.path.basename(path) for path in paths])
            return paths

    result = ParallelJob(Looks(), tmp_path, JobSettings.from_mapping({"mini_batch_size": 5, "rules": rules})).run()
    assert seen == [names[first : first + 5] for first in range(0, 100, 5)]
    assert result.status == "Completed"


def test_1000_images_of_one_folder_at_5_on_2_nodes_with_2_processes_are_cut_alike(tmp_path: Path) -> None:
    names = sorted(f"{number}.png" for number in range(1000))
    for name in names:
        (tmp_path / name).touch()
    result = run_job(
        Names(),
        tmp_path,
        profile="v1",
        mini_batch_size=5,
        node_count=2,
        process_count_per_node=2,
        allowed_failed_count=0,
    )
    assert result.total_mini_batches == 200
    assert sorted(map(str, result.rows)) == names
    assert result.item_names(1) == tuple(names[5:10])
    assert {event.worker for event in result.attempts} == {0, 1, 2, 3}


def test_the_output_of_100_files_is_a_permutation_of_whole_mini_batches(tmp_path: Path) -> None:
    make_files(tmp_path, 100)
    result = run_job(
        Names(),
        tmp_path,
        Fault.crashes(mini_batch=0, attempt=1),
        Fault.raises(ValueError, mini_batch=7, attempt=1),
        mini_batch_size=5,
        output_action="append_row",
        instance_count=2,
    )
    assert result.output_path is not None
    lines = result.output_path.read_text(encoding="utf-8").splitlines()
    blocks = [lines[first : first + 5] for first in range(0, 100, 5)]
    assert sorted(blocks) == [[f"f{n:02d}" for n in range(first, first + 5)] for first in range(0, 100, 5)]
    assert blocks[0] != ["f00", "f01", "f02", "f03", "f04"]


@pytest.mark.parametrize("size", ["1KB", "1MB", None])
def test_iris_as_one_parquet_file_of_4874_bytes_is_1_mini_batch_at_any_size(tmp_path: Path, size: str | None) -> None:
    # The record had one row group, as a file of 150 rows has.
    frame = pd.read_csv(iris(tmp_path / "iris.csv"))
    pytest.importorskip("pyarrow")
    frame.to_parquet(tmp_path / "iris.parquet")
    result = run_job(Rows(), tmp_path / "iris.parquet", profile="v1", mini_batch_size=size, node_count=2)
    assert (result.status, result.total_mini_batches, result.total_items) == ("Completed", 1, 150)


def orange_juice(folder: Path) -> Path:
    """1,210 rows of 10 combinations of Store and Brand, in the order of the weeks: rows of one are far apart."""
    combinations = [(store, brand) for store in range(1000, 1005) for brand in ("dominicks", "tropicana")]
    lines = [f"{week},{store},{brand},{week * 10}" for week in range(121) for store, brand in combinations]
    path = folder / "orange_juice.csv"
    path.write_text("WeekStarting,Store,Brand,Quantity\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_1210_rows_in_10_partitions_of_store_and_brand_with_one_row_each_returned_leave_exactly_10_rows(
    tmp_path: Path,
) -> None:
    keys: list[dict[str, str] | None] = []

    class One:
        def run(self, rows: pd.DataFrame, context: MiniBatchContext) -> pd.DataFrame:
            keys.append(context.partition_key_value)
            assert len(rows) == 121
            assert set(rows["Brand"]) == {(context.partition_key_value or {})["Brand"]}
            first: pd.DataFrame = rows.head(1)
            return first

    result = run_job(
        One(),
        orange_juice(tmp_path),
        rules="observed",
        partition_keys=["Store", "Brand"],
        error_threshold=-1,
        output_action="append_row",
    )
    assert keys[0] == {"Store": "1000", "Brand": "dominicks"}
    assert len(keys) == 10
    assert result.output_path is not None
    assert (result.status, result.total_mini_batches) == ("Completed", 10)
    assert len(result.output_path.read_text(encoding="utf-8").splitlines()) == 10


def test_3_folders_with_1_file_each_and_1_result_each_complete_with_error_threshold_0(tmp_path: Path) -> None:
    for store in ("1000", "1001", "1002"):
        (tmp_path / f"Store={store}").mkdir()
        (tmp_path / f"Store={store}" / "sales.csv").touch()
    result = run_job(Names(), tmp_path, partition_keys=["Store"], error_threshold=0)
    assert (result.status, result.total_mini_batches, result.total_items) == ("Completed", 3, 3)
    assert [batch.size for batch in result.mini_batches] == [1, 1, 1]


@pytest.mark.parametrize(("rules", "left"), [("observed", 99), ("documented", 6)])
def test_99_partitions_of_14_rows_with_nothing_returned(
    tmp_path: Path, rules: Literal["observed", "documented"], left: int
) -> None:
    lines = [f"{store},{row}" for row in range(14) for store in range(99)]
    (tmp_path / "rows.csv").write_text("store,row\n" + "\n".join(lines) + "\n", encoding="utf-8")
    outputs: set[str] = set()

    class LeavesItsOwnOutput:
        def run(self, rows: pd.DataFrame, context: MiniBatchContext) -> list[object]:
            assert rows["row"].tolist() == list(range(14))
            outputs.add((context.partition_key_value or {})["store"])
            return []

    result = run_job(
        LeavesItsOwnOutput(),
        tmp_path / "rows.csv",
        rules=rules,
        partition_keys=["store"],
        mini_batch_error_threshold=5,
        max_retries=1,
        instance_count=6,
        max_concurrency_per_instance=2,
    )
    # As documented the job stops at the sixth failed mini-batch; all 99 had their first attempt before that.
    assert len(outputs) == 99
    assert result.processed_mini_batches == left
    assert result.status == ("Completed" if rules == "observed" else "Failed")


def test_partition_keys_alone_send_the_default_size_as_well_and_the_job_runs(tmp_path: Path) -> None:
    class Arguments:
        def run(self, rows: pd.DataFrame) -> list[str]:
            return [" ".join(sys.argv)] * len(rows)

    job = run_job(Arguments(), orange_juice(tmp_path), profile="v1", partition_keys=["Store"])
    assert job.status == "Completed"
    assert "--mini_batch_size " in str(job.rows[0])
    assert '--partition_keys ["Store"]' in str(job.rows[0])


def test_10_mini_batches_that_return_one_row_each_with_error_threshold_off_leave_exactly_10_rows() -> None:
    # The record had 1,210 rows in 10 partitions; the same sizes come from a table cut every 121 rows.
    class One:
        def run(self, rows: pd.DataFrame) -> pd.DataFrame:
            first: pd.DataFrame = rows.head(1)
            return first

    result = run_job(
        One(),
        table(1210),
        rules="observed",
        mini_batch_size=121 * 8,
        error_threshold=-1,
        output_action="append_row",
    )
    assert result.output_path is not None
    assert (result.status, result.total_mini_batches) == ("Completed", 10)
    assert len(result.output_path.read_text(encoding="utf-8").splitlines()) == 10
    assert all(len(batch.attempts) == 1 for batch in result.mini_batches)


def returns_nothing(**settings: object) -> tuple[ParallelJob, list[int]]:
    """99 mini-batches of 14 rows, `[]` returned each time, on 6 instances with 2 workers."""
    left: list[int] = []

    class LeavesItsOwnOutput:
        def run(self, rows: pd.DataFrame) -> list[object]:
            left.append(int(rows["id"].iloc[0]) // 14)
            return []

    given = {
        "mini_batch_size": 14 * 8,
        "mini_batch_error_threshold": 5,
        "max_retries": 1,
        "instance_count": 6,
        "max_concurrency_per_instance": 2,
        **settings,
    }
    return ParallelJob(LeavesItsOwnOutput(), table(99 * 14), JobSettings.from_mapping(given)), left


def test_99_mini_batches_of_empty_returns_all_leave_their_output_as_observed() -> None:
    job, left = returns_nothing(rules="observed")
    result = job.run()
    assert left == list(range(99))
    assert (result.status, result.total_mini_batches) == ("Completed", 99)
    assert (result.failed_mini_batches, result.failed_items) == (0, 99 * 14)


def test_99_mini_batches_of_empty_returns_stop_at_the_sixth_as_documented() -> None:
    job, left = returns_nothing(rules="documented")
    result = job.run()
    assert (result.status, result.exceeded) == ("Failed", "mini_batch_error_threshold")
    assert (result.processed_mini_batches, result.failed_mini_batches) == (6, 6)
    assert result.readings["observed"] == "Completed"
    assert len(left) == 99 + 6


def test_the_default_timeout_cuts_a_run_at_90_seconds_as_observed(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text("import time\ndef run(paths):\n    time.sleep(3600)\n    return paths\n", encoding="utf-8")
    result = run_job(script, [str(script)], rules="observed", max_retries=0)
    (attempt,) = result.mini_batches[0].attempts
    assert attempt.outcome == "timeout"
    # Loading the mini-batch counts too.
    assert attempt.duration == pytest.approx(90, abs=1)


def test_none_returned_is_tried_three_times_and_fails_the_job(tmp_path: Path) -> None:
    files = make_files(tmp_path, 2)
    result = run_job(Scripted(at0=[None] * 3), files, profile="v1", mini_batch_size=1, error_threshold=0)
    assert attempts(result, 0) == ["wrong_type"] * 3
    assert "None" in (result.mini_batches[0].attempts[0].error or "")
    assert result.status == "Failed"


def test_append_row_with_nothing_succeeded_fails_at_the_end_of_the_job(tmp_path: Path) -> None:
    result = run_job(Names(), make_files(tmp_path, 3), Fault.returns([]), output_action="append_row")
    assert statuses(result) == ["failed"] * 3
    assert result.status == "Failed"
    assert "NoResultToAppendError" in (result.reason or "")


def test_duplicate_deliveries_of_a_csv_job_add_rows_and_never_counts(tmp_path: Path) -> None:
    result = run_job(
        Rows(),
        iris(tmp_path / "iris.csv"),
        Fault.delivers_twice(mini_batch=0),
        Fault.delivers_twice(mini_batch=2),
        rules="observed",
        mini_batch_size="1KB",
        output_action="append_row",
        error_threshold=0,
        mini_batch_error_threshold=0,
    )
    assert (result.status, result.total_items, result.succeeded_items) == ("Completed", 150, 150)
    assert (result.total_mini_batches, result.processed_mini_batches) == (3, 3)
    assert result.output_path is not None
    with open(result.output_path, encoding="utf-8", newline="") as stream:
        written = list(csv.reader(stream, delimiter=" "))
    extra = result.mini_batches[0].size + result.mini_batches[2].size
    assert len(written) == len(result.rows) == 150 + extra


def test_two_rows_returned_for_each_row_are_no_complaint(tmp_path: Path) -> None:
    class Twice:
        def run(self, rows: pd.DataFrame) -> pd.DataFrame:
            return pd.concat([rows, rows])

    result = run_job(Twice(), iris(tmp_path / "iris.csv"), mini_batch_size="1KB", error_threshold=0)
    assert (result.status, result.succeeded_items, result.failed_items) == ("Completed", 150, 0)
    assert len(result.rows) == 300


def test_1KB_reaches_the_driver_as_1024(tmp_path: Path) -> None:
    class Arguments:
        def run(self, rows: pd.DataFrame) -> list[str]:
            import sys

            return [sys.argv[sys.argv.index("--mini_batch_size") + 1]] * len(rows)

    result = run_job(Arguments(), iris(tmp_path / "iris.csv"), profile="v1", mini_batch_size="1KB")
    assert set(result.rows) == {"1024"}

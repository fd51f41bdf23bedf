from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pytest_parallelrun.emulator.faults import Fault
from tests.emulator.jobs import ROW_BYTES, Names, Rows, Scripted, attempts, make_files, run_job, statuses, table


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return make_files(tmp_path, 6)


def failing(*mini_batches: int) -> list[Fault]:
    return [Fault.raises(ValueError, mini_batch=mini_batch) for mini_batch in mini_batches]


def test_as_many_failures_as_the_thresholds_tolerate_complete_the_job(files: list[str]) -> None:
    result = run_job(
        Names(),
        files,
        *failing(0, 1),
        mini_batch_size=2,
        error_threshold=4,
        mini_batch_error_threshold=2,
        allowed_failed_percent=66.7,
    )
    assert (result.status, result.reason, result.exceeded) == ("Completed", None, None)
    assert (result.failed_items, result.failed_mini_batches) == (4, 2)


def test_one_failed_item_more_than_error_threshold_fails_the_job(files: list[str]) -> None:
    result = run_job(Names(), files, *failing(0, 1), mini_batch_size=2, error_threshold=3)
    assert (result.status, result.exceeded) == ("Failed", "error_threshold")
    assert result.reason == "4 failed items > error_threshold 3"


def test_one_failed_mini_batch_more_than_its_threshold_fails_the_job(files: list[str]) -> None:
    result = run_job(Names(), files, *failing(0, 1), mini_batch_error_threshold=1)
    assert (result.exceeded, result.reason) == (
        "mini_batch_error_threshold",
        "2 failed mini-batches > mini_batch_error_threshold 1",
    )


def test_a_percentage_of_all_mini_batches_of_the_job_fails_it(files: list[str]) -> None:
    result = run_job(Names(), files, *failing(0, 1), allowed_failed_percent=20)
    assert result.exceeded == "allowed_failed_percent"
    assert result.reason == "2 of 6 mini-batches failed = 33.33 % > allowed_failed_percent 20"


@pytest.mark.parametrize("settings", [{"error_threshold": 0}, {"mini_batch_error_threshold": 0}])
def test_a_threshold_of_zero_tolerates_no_failure(settings: dict[str, int], files: list[str]) -> None:
    assert run_job(Names(), files, *failing(5), **settings).status == "Failed"  # type: ignore[arg-type]


def test_thresholds_that_are_off_tolerate_that_everything_fails(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.raises(ValueError))
    assert (result.status, result.failed_items, result.failed_mini_batches) == ("Completed", 6, 6)


def test_the_first_threshold_in_their_order_is_named(files: list[str]) -> None:
    limits = {"mini_batch_error_threshold": 0, "allowed_failed_percent": 0}
    faults = [Fault.raises(ValueError, mini_batch=0)]
    assert run_job(Names(), files, *faults, error_threshold=0, **limits).exceeded == "error_threshold"  # type: ignore[arg-type]
    assert run_job(Names(), files, *faults, **limits).exceeded == "mini_batch_error_threshold"  # type: ignore[arg-type]


def test_an_exceeded_threshold_stops_the_job_and_leaves_the_rest_unfinished(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError()], at2=[ValueError()] * 2)
    result = run_job(entry, files, max_retries=0, mini_batch_error_threshold=1)
    assert entry.order == [0, 1, 2]
    assert statuses(result) == ["failed", "succeeded", "failed", "unfinished", "unfinished", "unfinished"]
    assert (result.processed_mini_batches, result.total_mini_batches) == (3, 6)
    assert (result.succeeded_items, result.failed_items, result.total_items) == (1, 2, 6)
    assert (result.mini_batches[4].succeeded, result.mini_batches[4].failed) == (0, 0)


def test_what_awaited_a_retry_when_the_job_was_stopped_keeps_its_attempts(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError()], at1=[])
    result = run_job(entry, files, Fault.returns([], mini_batch=1), rules="observed", error_threshold=0)
    assert statuses(result)[:3] == ["unfinished", "succeeded", "unfinished"]
    assert attempts(result, 0) == ["exception"]
    assert result.failed_items == 1


def test_processed_counts_the_mini_batch_that_exceeded(files: list[str]) -> None:
    result = run_job(Names(), files, *failing(0), max_retries=0, error_threshold=0)
    assert (result.processed_mini_batches, result.failed_mini_batches) == (1, 1)


def test_a_retry_that_succeeds_makes_the_failure_undone(files: list[str]) -> None:
    result = run_job(Scripted(at0=[ValueError(), ValueError()]), files, error_threshold=0, mini_batch_error_threshold=0)
    assert (result.status, result.failed_items) == ("Completed", 0)


def test_under_pending_what_awaits_a_retry_exceeds_the_mini_batch_thresholds(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError()], at1=[ValueError()])
    result = run_job(entry, files, threshold_check="pending", mini_batch_error_threshold=1)
    assert result.exceeded == "mini_batch_error_threshold"
    assert entry.order == [0, 1]
    assert (result.processed_mini_batches, result.failed_mini_batches) == (0, 0)


def test_under_pending_a_retry_that_succeeds_in_time_counts_no_longer(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError()], at5=[ValueError()])
    result = run_job(entry, files, threshold_check="pending", mini_batch_error_threshold=2)
    assert result.status == "Completed"


def test_under_pending_items_count_only_at_the_end_of_their_mini_batch(files: list[str]) -> None:
    result = run_job(Scripted(at0=[ValueError()]), files, threshold_check="pending", error_threshold=0)
    assert result.status == "Completed"


def test_a_short_return_counts_against_the_mini_batch_thresholds_as_documented(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0)
    result = run_job(Names(), files, drops, mini_batch_size=3, mini_batch_error_threshold=0)
    assert (result.exceeded, attempts(result, 0)) == ("mini_batch_error_threshold", ["short"] * 3)


def test_a_short_return_counts_only_its_missing_items_as_observed(files: list[str]) -> None:
    drops = Fault.drops(1, mini_batch=0)
    result = run_job(Names(), files, drops, mini_batch_size=3, short_return="items_only", mini_batch_error_threshold=0)
    assert (result.status, result.failed_items, attempts(result, 0)) == ("Completed", 1, ["short"])


def test_the_percentage_of_files_is_checked_from_the_first_ended_mini_batch_on(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError()])
    result = run_job(entry, files, max_retries=0, allowed_failed_percent=16)
    assert entry.order == [0]
    assert result.exceeded == "allowed_failed_percent"


def test_the_percentage_of_a_table_is_checked_once_its_splitter_is_exhausted() -> None:
    seen: list[int] = []

    class Fails:
        def run(self, rows: pd.DataFrame) -> pd.DataFrame:
            seen.append(int(rows["id"].iloc[0]))
            if seen[-1] == 0:
                raise ValueError
            return rows

    result = run_job(Fails(), table(4), mini_batch_size=ROW_BYTES, max_retries=0, allowed_failed_percent=24)
    assert seen == [0, 1, 2, 3]
    assert (result.exceeded, result.processed_mini_batches) == ("allowed_failed_percent", 4)
    assert result.reason == "1 of 4 mini-batches failed = 25 % > allowed_failed_percent 24"


def test_the_percentage_of_a_table_is_checked_before_its_retries() -> None:
    faults = [Fault.raises(ValueError, mini_batch=0), Fault.returns(None, mini_batch=1, attempt=1)]
    result = run_job(
        Rows(),
        table(3),
        *faults,
        mini_batch_size=ROW_BYTES,
        max_retries=1,
        allowed_failed_percent=0,
        threshold_check="pending",
    )
    assert result.exceeded == "allowed_failed_percent"
    assert statuses(result) == ["unfinished", "unfinished", "succeeded"]


@pytest.mark.parametrize(("unit", "failed"), [("rows", 3), ("partition", 1)])
def test_a_given_up_table_mini_batch_fails_its_rows_or_one_item(unit: str, failed: int) -> None:
    result = run_job(
        Rows(),
        table(4),
        Fault.raises(ValueError, mini_batch=0),
        mini_batch_size=3 * ROW_BYTES,
        failed_unit=unit,
        max_retries=0,
    )
    assert (result.failed_items, result.mini_batches[0].failed) == (failed, failed)
    assert (result.succeeded_items, result.total_items) == (1, 1 + failed)


def test_a_stopped_job_counts_the_mini_batches_of_a_table_that_were_split_by_then() -> None:
    result = run_job(Rows(), table(5), *failing(1), mini_batch_size=ROW_BYTES, max_retries=0, error_threshold=0)
    assert (result.total_mini_batches, statuses(result)) == (2, ["succeeded", "failed"])


def test_a_table_that_is_not_a_threshold_matter_counts_rows_as_items() -> None:
    result = run_job(Rows(), table(5), mini_batch_size=2 * ROW_BYTES, error_threshold=0)
    assert (result.status, result.total_mini_batches, result.total_items) == ("Completed", 3, 5)

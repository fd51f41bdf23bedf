"""The rules in words, computed by hand for small jobs. They are what generated jobs are judged by."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_parallelrun.contract.generation.expected_counts import ExpectedCounts, predict
from pytest_parallelrun.emulator.events import Outcome
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import InputKind


def job(fates: dict[int, list[tuple[Outcome, int]]], kind: InputKind = "files", **settings: Any) -> ExpectedCounts:
    """Three mini-batches of 4, 4 and 2 items; those that are not named succeed. A list has the fate of each attempt."""
    sizes = (4, 4, 2)

    def fate(mini_batch: int, number: int) -> tuple[Outcome, int]:
        told = fates.get(mini_batch)
        return told[min(number, len(told)) - 1] if told else ("succeeded", sizes[mini_batch])

    return predict(sizes, fate, JobSettings(**settings), kind)


def counts(predicted: ExpectedCounts) -> tuple[int, int, int, int]:
    return (
        predicted.succeeded_mini_batches,
        predicted.failed_mini_batches,
        predicted.succeeded_items,
        predicted.failed_items,
    )


def test_all_succeed() -> None:
    predicted = job({})
    assert counts(predicted) == (3, 0, 10, 0)
    assert (predicted.status, predicted.exceeded) == ("Completed", None)
    assert predicted.attempts == {0: 1, 1: 1, 2: 1}


def test_an_exception_costs_all_items_of_its_mini_batch_after_the_last_try() -> None:
    predicted = job({1: [("exception", 0)]}, max_retries=2)
    assert counts(predicted) == (2, 1, 6, 4)
    assert predicted.attempts == {0: 1, 1: 3, 2: 1}
    assert predicted.status == "Completed"


def test_a_retry_that_succeeds_costs_nothing() -> None:
    predicted = job({0: [("exception", 0), ("succeeded", 4)]}, error_threshold=0)
    assert counts(predicted) == (3, 0, 10, 0)
    assert predicted.attempts[0] == 2


def test_a_short_return_costs_the_missing_items_and_is_tried_again() -> None:
    predicted = job({0: [("short", 3)]}, max_retries=1)
    assert counts(predicted) == (2, 1, 9, 1)
    assert predicted.attempts[0] == 2


def test_a_short_return_is_final_where_items_alone_count() -> None:
    predicted = job({0: [("short", 3)]}, max_retries=1, rules="observed")
    assert counts(predicted) == (3, 0, 9, 1)
    assert predicted.attempts[0] == 1


def test_more_results_than_items_are_capped() -> None:
    assert counts(job({2: [("succeeded", 7)]})) == (3, 0, 10, 0)


@pytest.mark.parametrize(("threshold", "exceeded"), [(3, "error_threshold"), (4, None), (-1, None)])
def test_the_error_threshold_is_exceeded_by_more_items_than_it(threshold: int, exceeded: str | None) -> None:
    predicted = job({0: [("exception", 0)]}, max_retries=0, error_threshold=threshold)
    assert predicted.exceeded == exceeded
    assert predicted.status == ("Failed" if exceeded else "Completed")


@pytest.mark.parametrize(("threshold", "exceeded"), [(0, "mini_batch_error_threshold"), (1, None), (-1, None)])
def test_the_mini_batch_threshold_is_exceeded_by_more_mini_batches_than_it(
    threshold: int, exceeded: str | None
) -> None:
    predicted = job({0: [("exception", 0)]}, max_retries=0, mini_batch_error_threshold=threshold)
    assert predicted.exceeded == exceeded


@pytest.mark.parametrize(("percent", "exceeded"), [(33, "allowed_failed_percent"), (33.4, None)])
def test_the_percentage_is_of_all_mini_batches_of_the_job(percent: float, exceeded: str | None) -> None:
    # One of three is 33.33 percent.
    predicted = job({0: [("exception", 0)]}, max_retries=0, allowed_failed_percent=percent)
    assert predicted.exceeded == exceeded


def test_what_has_not_started_when_a_threshold_is_exceeded_is_not_run() -> None:
    predicted = job({0: [("exception", 0)]}, max_retries=0, error_threshold=0)
    assert predicted.processed_mini_batches == 1
    assert predicted.attempts == {0: 1}


def test_a_table_knows_its_percentage_only_when_all_mini_batches_are_out() -> None:
    predicted = job({0: [("exception", 0)]}, "tabular", max_retries=0, allowed_failed_percent=10)
    assert predicted.exceeded == "allowed_failed_percent"
    assert predicted.attempts == {0: 1, 1: 1, 2: 1}


def test_one_awaiting_a_retry_counts_where_it_is_said_so() -> None:
    fates: dict[int, list[tuple[Outcome, int]]] = {0: [("exception", 0), ("succeeded", 4)]}
    eager = job(fates, mini_batch_error_threshold=0, rules="observed")
    assert (eager.exceeded, eager.failed_mini_batches) == ("mini_batch_error_threshold", 0)
    assert job(fates, mini_batch_error_threshold=0).exceeded is None


def test_a_partition_that_is_given_up_is_one_item_where_it_is_said_so() -> None:
    assert counts(job({0: [("timeout", 0)]}, "tabular", max_retries=0, rules="observed")) == (2, 1, 6, 1)


def test_nothing_to_append_fails_the_job_whatever_the_thresholds() -> None:
    fates: dict[int, list[tuple[Outcome, int]]] = {number: [("exception", 0)] for number in range(3)}
    assert job(fates, max_retries=0, output_action="append_row").status == "Failed"
    assert job(fates, max_retries=0).status == "Completed"

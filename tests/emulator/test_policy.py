from __future__ import annotations

from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.events import Outcome
from pytest_parallelrun.emulator.policy import (
    Limits,
    Ruling,
    Tally,
    classify_return,
    exceeded_threshold,
    init_failures_allowed,
    init_limit,
    job_init_failures_allowed,
    rule_on_attempt,
)
from pytest_parallelrun.emulator.rules import ShortReturn

FAILURES: tuple[Outcome, ...] = ("exception", "timeout", "wrong_type", "crashed", "load_error")
SHORT_RETURNS: tuple[ShortReturn, ...] = ("mini_batch_failed", "items_only")


def ruling(
    outcome: Outcome,
    *,
    number: int = 1,
    max_attempts: int = 3,
    returned: int | None = None,
    short_return: ShortReturn = "mini_batch_failed",
    retry_allowed: bool = True,
) -> Ruling:
    return rule_on_attempt(
        outcome,
        number=number,
        max_attempts=max_attempts,
        size=4,
        returned=returned,
        short_return=short_return,
        retry_allowed=retry_allowed,
    )


@pytest.mark.parametrize(("returned", "outcome"), [(0, "short"), (3, "short"), (4, "succeeded"), (5, "succeeded")])
def test_only_fewer_results_than_items_are_short(returned: int, outcome: str) -> None:
    assert classify_return(returned, 4) == outcome


def test_a_success_counts_all_items_and_is_final() -> None:
    assert ruling("succeeded", returned=9) == Ruling(retry=False, failed=False, succeeded=4, failed_items=0)


@pytest.mark.parametrize("short_return", SHORT_RETURNS)
@pytest.mark.parametrize("outcome", FAILURES)
def test_a_failed_attempt_is_retried_and_fails_all_items(outcome: Outcome, short_return: ShortReturn) -> None:
    assert ruling(outcome, short_return=short_return) == Ruling(True, True, 0, 4)


@pytest.mark.parametrize("outcome", FAILURES)
def test_the_last_try_is_not_retried(outcome: Outcome) -> None:
    assert ruling(outcome, number=2).retry
    assert not ruling(outcome, number=3).retry


def test_a_documented_short_return_is_retried_and_fails_the_missing_items() -> None:
    assert ruling("short", returned=3) == Ruling(True, True, 3, 1)
    assert ruling("short", number=3, returned=3) == Ruling(False, True, 3, 1)


@pytest.mark.parametrize("short_return", SHORT_RETURNS)
def test_a_short_return_of_nothing_fails_all_items(short_return: ShortReturn) -> None:
    result = ruling("short", returned=0, short_return=short_return)
    assert (result.succeeded, result.failed_items) == (0, 4)


def test_an_observed_short_return_is_final_and_fails_no_mini_batch() -> None:
    assert ruling("short", returned=3, short_return="items_only") == Ruling(False, False, 3, 1)


def test_an_attempt_that_must_not_be_retried_is_final() -> None:
    assert ruling("exception", retry_allowed=False) == Ruling(False, True, 0, 4)


def test_a_retry_is_allowed_where_nothing_is_said_of_it() -> None:
    ruling = rule_on_attempt(
        "timeout", number=1, max_attempts=2, size=4, returned=None, short_return="mini_batch_failed"
    )
    assert ruling == Ruling(True, True, 0, 4)


@settings(deadline=None)
@given(
    outcome=st.sampled_from(get_args(Outcome)),
    number=st.integers(1, 5),
    max_attempts=st.integers(1, 5),
    size=st.integers(1, 9),
    short_return=st.sampled_from(SHORT_RETURNS),
    data=st.data(),
)
def test_items_of_a_ruling_add_up_and_attempts_stay_within_the_tries(
    outcome: Outcome, number: int, max_attempts: int, size: int, short_return: ShortReturn, data: st.DataObject
) -> None:
    returned = data.draw(st.integers(0, size - 1)) if outcome == "short" else None
    result = rule_on_attempt(
        outcome, number=number, max_attempts=max_attempts, size=size, returned=returned, short_return=short_return
    )
    assert result.succeeded + result.failed_items == size
    assert not (result.retry and number >= max_attempts)
    assert not (result.retry and not result.failed)


def exceeded(limits: Limits, failed_items: int = 0, failed: int = 0, total: int | None = 10) -> str | None:
    exceeded = exceeded_threshold(Tally(failed_items, failed, total), limits)
    return None if exceeded is None else exceeded.setting


def test_a_threshold_is_exceeded_only_by_a_greater_count() -> None:
    limits = Limits(error_threshold=2, mini_batch_error_threshold=2, allowed_failed_percent=20)
    assert exceeded(limits, failed_items=2, failed=2) is None
    assert exceeded(limits, failed_items=3) == "error_threshold"
    assert exceeded(limits, failed=3) == "mini_batch_error_threshold"
    assert exceeded(Limits(allowed_failed_percent=20), failed=3) == "allowed_failed_percent"


def test_minus_one_and_a_hundred_percent_switch_thresholds_off() -> None:
    assert exceeded(Limits(), failed_items=10**9, failed=10) is None


def test_zero_tolerates_none() -> None:
    assert exceeded(Limits(error_threshold=0), failed_items=1) == "error_threshold"
    assert exceeded(Limits(mini_batch_error_threshold=0), failed=1) == "mini_batch_error_threshold"
    assert exceeded(Limits(allowed_failed_percent=0), failed=1, total=10**6) == "allowed_failed_percent"
    assert exceeded(Limits(0, 0, 0)) is None


def test_thresholds_are_checked_in_their_order() -> None:
    assert exceeded(Limits(0, 0, 0), 1, 1) == "error_threshold"
    assert exceeded(Limits(-1, 0, 0), 1, 1) == "mini_batch_error_threshold"
    assert exceeded(Limits(-1, -1, 0), 1, 1) == "allowed_failed_percent"


def test_the_percentage_waits_for_its_denominator() -> None:
    assert exceeded(Limits(allowed_failed_percent=10), failed=5, total=None) is None


@pytest.mark.parametrize(("percent", "failed", "total"), [(33.3, 1, 3), (0.57, 58, 10_000), (14.2, 1, 7), (99.9, 3, 3)])
def test_a_percentage_that_is_greater_by_little_is_exceeded(percent: float, failed: int, total: int) -> None:
    assert exceeded(Limits(allowed_failed_percent=percent), failed=failed, total=total) is not None


@pytest.mark.parametrize(("percent", "failed", "total"), [(0.57, 57, 10_000), (33.4, 1, 3), (14.3, 143, 1000)])
def test_a_percentage_is_compared_as_it_was_written(percent: float, failed: int, total: int) -> None:
    assert exceeded(Limits(allowed_failed_percent=percent), failed=failed, total=total) is None


@settings(deadline=None)
@given(hundredths=st.integers(0, 9_999), total=st.integers(1, 20_000), data=st.data())
def test_a_percentage_agrees_with_exact_arithmetic(hundredths: int, total: int, data: st.DataObject) -> None:
    edge = hundredths * total // 10_000
    failed = data.draw(st.integers(max(0, edge - 1), min(total, edge + 1)))
    percent = float(f"{hundredths // 100}.{hundredths % 100:02d}")
    greater = Fraction(failed, total) > Fraction(hundredths, 10_000)
    assert (exceeded(Limits(allowed_failed_percent=percent), failed=failed, total=total) is not None) == greater


@pytest.mark.parametrize(
    ("limits", "tally", "text"),
    [
        (Limits(0), Tally(1, 0, 4), "1 failed item > error_threshold 0"),
        (Limits(5), Tally(6, 0, 4), "6 failed items > error_threshold 5"),
        (Limits(-1, 0), Tally(6, 1, 4), "1 failed mini-batch > mini_batch_error_threshold 0"),
        (Limits(-1, 1), Tally(6, 2, 4), "2 failed mini-batches > mini_batch_error_threshold 1"),
        (Limits(-1, -1, 12.5), Tally(6, 1, 4), "1 of 4 mini-batches failed = 25 % > allowed_failed_percent 12.5"),
        (Limits(-1, -1, 33.3), Tally(6, 2, 3), "2 of 3 mini-batches failed = 66.67 % > allowed_failed_percent 33.3"),
    ],
)
def test_the_arithmetic_is_told(limits: Limits, tally: Tally, text: str) -> None:
    exceeded = exceeded_threshold(tally, limits)
    assert exceeded is not None
    assert exceeded.arithmetic == text


def test_an_instance_is_given_up_after_three_failed_inits_per_worker() -> None:
    assert init_failures_allowed(4) == 12


def test_an_old_job_is_given_up_after_two_failed_inits_per_worker_of_all_instances() -> None:
    assert job_init_failures_allowed(3, 4) == 24


def test_init_may_take_three_timeouts_and_thirty_seconds() -> None:
    assert init_limit(60) == 210

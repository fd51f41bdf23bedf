from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_parallelrun.forecast.request import Range
from pytest_parallelrun.forecast.sample import Sample, draw, sample_of
from tests.report.reports import Course, job

ERROR = ValueError("bad")


@pytest.mark.parametrize(
    ("course", "settings", "expected"),
    [
        ({}, {}, {"tried": 12, "failed": 0, "retried": 0, "items": 1}),
        ({"003.txt": [ERROR]}, {}, {"failed": 1, "retried": 1, "failed_again": 0}),
        ({"003.txt": [ERROR] * 9}, {"max_retries": 2}, {"failed": 1, "retried": 2, "failed_again": 2}),
        ({"003.txt": [0, 0, 0, 0]}, {"max_retries": 0}, {"failed": 1, "short": 1, "lost": 1.0}),
        ({}, {"mini_batch_size": 5}, {"items": 5, "tried": 3}),
    ],
    ids=["all succeed", "once", "for good", "short", "the remainder is smaller"],
)
def test_attempts_are_counted(
    tmp_path: Path, course: Course, settings: dict[str, Any], expected: dict[str, float]
) -> None:
    sample = sample_of(job(tmp_path, 12, course, **settings))
    assert sample is not None
    assert {name: getattr(sample, name) for name in expected} == expected


def test_the_first_call_of_a_worker_is_its_warm_up(tmp_path: Path) -> None:
    sample = sample_of(job(tmp_path, 12))
    assert sample is not None
    assert len(sample.seconds) == 11


def test_where_nothing_returned_there_is_none(tmp_path: Path) -> None:
    assert sample_of(job(tmp_path, 2, {f"00{number}.txt": [ERROR] * 4 for number in range(2)})) is None


def test_what_is_given_is_taken() -> None:
    sample = Sample(items=1, seconds=[1.0] * 20, tried=20)
    draws = draw(sample, {"run_time": Range(5, 6), "failure_rate": Range(0.5, 0.5), "init_time": Range(7, 7)}, 50)
    assert 5 <= draws.mean.min() <= draws.mean.max() <= 6
    assert set(draws.fails) == {0.5}
    course = draws.course(0, 100, 1, 2, max_attempts=4)
    assert course.init == 7
    assert 0.3 < (course.failures > 0).mean() < 0.7


def test_a_given_failure_rate_is_that_of_all_first_attempts_of_the_job() -> None:
    sample = Sample(items=1, seconds=[1.0] * 10, tried=20, failed=4, timed_out=2)
    draws = draw(sample, {"failure_rate": Range(0.2, 0.2), "retry_failure_rate": Range(0, 0)}, 10, items=50)
    course = draws.course(0, 20_000, 50, 1, max_attempts=4)
    late = np.isinf(course.seconds)
    assert late.mean() == pytest.approx(0.1, abs=0.01)
    assert (late | (course.failures > 0)).mean() == pytest.approx(0.19, abs=0.01)
    assert course.failures.max() == 1


def test_a_given_range_of_the_overhead_and_of_the_rate_is_drawn() -> None:
    sample = Sample(items=1, seconds=[1.0] * 20, tried=20)
    draws = draw(sample, {"overhead": Range(0, 5), "scheduling_rate": Range(1, 400)}, 100)
    courses = [draws.course(index, 1, 1, 1, max_attempts=1) for index in range(100)]
    assert np.ptp([course.overhead for course in courses]) > 4
    assert np.ptp([course.scheduling_rate for course in courses]) > 300


@pytest.mark.parametrize("number", [1, 2, 4, 20, 200])
def test_a_smaller_sample_has_a_wider_range(number: int) -> None:
    rng = np.random.default_rng(0)
    few = Sample(items=1, seconds=rng.lognormal(0, 0.5, number).tolist(), tried=number)
    many = Sample(items=1, seconds=rng.lognormal(0, 0.5, 20 * number).tolist(), tried=20 * number)
    spread = [np.ptp(np.quantile(draw(each, {}, 200).mean, [0.05, 0.95])) / each.mean for each in (few, many)]
    assert spread[0] > 2 * spread[1]


def test_a_constant_time_has_no_range() -> None:
    draws = draw(Sample(items=1, seconds=[2.0] * 20, tried=20), {}, 50)
    assert np.allclose(draws.mean, 2.0)


def test_without_a_failure_most_scripts_never_fail_and_some_do() -> None:
    fails = draw(Sample(items=1, seconds=[1.0] * 20, tried=20), {}, 400).fails
    assert 0.8 < (fails == 0).mean() < 0.95
    assert 0 < fails.max() < 0.3


def test_larger_mini_batches_take_longer_spread_less_and_fail_more_often() -> None:
    rng = np.random.default_rng(0)
    sample = Sample(items=1, seconds=rng.lognormal(0, 1, 40).tolist(), tried=40, failed=4, retried=4, failed_again=4)
    draws = draw(sample, {}, 20)
    small, large = (draws.course(1, 20_000, items, 1, max_attempts=4) for items in (1, 100))
    assert large.seconds.mean() == pytest.approx(100 * small.seconds.mean(), rel=0.1)
    spread = [course.seconds.std() / course.seconds.mean() for course in (small, large)]
    assert spread[1] < spread[0] / 5
    assert (large.failures > 0).mean() > 5 * (small.failures > 0).mean()


def test_what_timed_out_in_the_sample_does_so_in_the_job() -> None:
    sample = Sample(items=1, seconds=[1.0] * 18, tried=20, failed=2, timed_out=2)
    draws = draw(sample, {}, 100)
    late = [np.isinf(draws.course(each, 1_000, 1, 1, max_attempts=4).seconds).mean() for each in range(100)]
    assert 0.05 < np.mean(late) < 0.2

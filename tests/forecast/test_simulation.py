from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.forecast.sample import Sample, draw
from pytest_parallelrun.forecast.simulation import Course, Shape, simulate, simulate_by_work, simulate_exactly


def course(seconds: list[float], failures: list[int] | None = None, **values: Any) -> Course:
    number = len(seconds)
    fields: dict[str, Any] = {"short": np.zeros(number, bool), "lost": 1.0, "node_start": (0.0, 0.0, 0.0), "init": 0.0}
    fields |= {"overhead": 0.0, "scheduling_rate": 1e9}
    return Course(
        seconds=np.asarray(seconds, np.float32), failures=np.asarray(failures or [0] * number), **{**fields, **values}
    )


def shape(mini_batches: int, instances: int = 1, concurrency: int = 1, **settings: Any) -> Shape:
    return Shape(
        instances=instances,
        concurrency=concurrency,
        items=10,
        kind="files",
        settings=JobSettings(**settings),
        mini_batches=mini_batches,
    )


def test_a_worker_works_one_off_after_the_other() -> None:
    run = simulate_exactly(course([1, 2, 3], init=5.0, node_start=(10.0,)), shape(3))
    assert (run.wall, run.attempts, run.failed_items) == (10 + 5 + 6, 3, 0)


def test_the_longest_mini_batch_at_the_end_keeps_the_others_waiting() -> None:
    run = simulate_exactly(course([1, 1, 1, 7]), shape(4, concurrency=2))
    assert (run.wall, run.ending) == pytest.approx((8, 6))


def test_a_node_that_is_ready_late_takes_what_is_left() -> None:
    run = simulate_exactly(course([1] * 10, node_start=(0.0, 4.0)), shape(10, instances=2))
    assert run.wall == 7


def test_a_retry_goes_to_the_end_and_its_items_fail_when_no_attempt_is_left() -> None:
    run = simulate_exactly(course([1, 1, 1], [1, 0, 9]), shape(3, max_retries=2))
    assert (run.attempts, run.wall) == (2 + 1 + 3, 6)
    assert (run.failed_mini_batches, run.failed_items, run.waiting) == (1, 10, 2)


def test_a_mini_batch_that_is_too_slow_takes_its_timeout_at_each_attempt_and_a_new_worker() -> None:
    run = simulate_exactly(course([1, 100], init=5.0), shape(2, timeout=20, max_retries=1))
    assert (run.timeouts, run.attempts) == (1, 3)
    assert run.wall == 5 + 1 + 20 + 5 + 20


def test_the_service_schedules_only_so_many_a_second() -> None:
    run = simulate_exactly(course([0.01] * 100, scheduling_rate=10.0), shape(100, concurrency=50))
    assert run.wall == pytest.approx(9.9, abs=0.1)


def test_no_threshold_ends_it() -> None:
    run = simulate_exactly(course([1] * 10, [9] * 10), shape(10, error_threshold=0, max_retries=0))
    assert run.failed_items == 100


@pytest.mark.parametrize(
    ("workers", "seconds", "spread", "sample", "settings"),
    [
        ((2, 4), 5, 0.5, {}, {}),
        ((2, 4), 5, 0.5, {"failed": 3}, {}),
        ((2, 4), 15, 1.2, {"failed": 2}, {}),
        ((10, 10), 5, 0.5, {"failed": 2}, {}),
        ((10, 10), 0.05, 0.3, {"failed": 2}, {}),
        ((2, 4), 5, 0.5, {"failed": 5, "short": 3, "lost": 0.3}, {}),
        ((2, 4), 5, 0.5, {"failed": 5, "short": 3, "lost": 0.3}, {"rules": "observed"}),
        ((2, 4), 5, 0.5, {"failed": 3}, {"max_retries": 0}),
    ],
    ids=["plain", "failures", "timeouts", "many workers", "scheduling", "short", "items_only", "no retries"],
)
def test_both_simulations_agree(
    workers: tuple[int, int], seconds: float, spread: float, sample: dict[str, Any], settings: dict[str, Any]
) -> None:
    number, draws = 3_000, 4
    rng = np.random.default_rng(3)
    times = rng.lognormal(np.log(seconds / 10), spread, 20).tolist()
    failed = sample.get("failed", 0)
    seen = Sample(items=10, seconds=times, tried=20, init=(10.0,), retried=2 * failed, failed_again=failed, **sample)
    known = draw(seen, {}, draws)
    made = shape(number, *workers, **settings)
    walls = []
    for index in range(draws):
        one = known.course(index, number, 10, 10, max_attempts=made.settings.max_retries + 1)
        exact, fast = simulate_exactly(one, made), simulate_by_work(one, [made])[0]
        assert fast[1:6] == exact[1:6]
        assert fast.wall == pytest.approx(exact.wall, rel=0.04)
        walls.append((exact.wall, fast.wall))
    means = np.mean(walls, axis=0)
    assert means[1] == pytest.approx(means[0], rel=0.01)


def test_a_job_of_many_mini_batches_is_simulated_by_its_work_and_a_part_stands_for_all() -> None:
    some = course([1.0] * 20_000, [9, *[0] * 19_999])
    (run,) = simulate(some, [shape(200_000, concurrency=10, max_retries=0)])
    assert run.wall == pytest.approx(20_000, rel=0.01)
    assert (run.attempts, run.failed_mini_batches) == (200_000, 10)

"""What a mini-batch costs on a Ray cluster, beside one Ray task for each. Needs the extra `ray`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from tests.benchmarks.conftest import FILES_EACH, MINI_BATCHES

ray: Any = pytest.importorskip("ray")

WORKERS = 2
ROUNDS = 7
LIMIT = 0.3


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    """One of this machine, which the jobs use as well."""
    ray.init(
        address="local",
        num_cpus=WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        # For both sides: otherwise the workers get what all other processes of the machine leave.
        _system_config={"worker_niceness": 0},
    )
    yield
    ray.shutdown()


def seconds_of_tasks(mini_batches: list[list[str]]) -> float:
    def run(mini_batch: list[str]) -> list[str]:
        return list(mini_batch)

    task = ray.remote(run)
    # Its processes start with the first tasks.
    ray.get([task.remote(each) for each in mini_batches[:20]])
    start = time.perf_counter()
    assert sum(map(len, ray.get([task.remote(each) for each in mini_batches]))) == MINI_BATCHES * FILES_EACH
    return time.perf_counter() - start


def seconds_of_job(script: Path, source: Path) -> float:
    """From the first result to the end of the job, the end of its workers included."""
    settings = JobSettings(mini_batch_size=FILES_EACH, max_concurrency_per_instance=WORKERS, error_threshold=0)
    result = ParallelJob(script, source, settings, engine="ray").run()
    assert result.succeeded_items == MINI_BATCHES * FILES_EACH
    first = result.attempts[0]
    return result.duration - first.started - first.running


def test_a_mini_batch_costs_less_than_a_third_of_a_task(
    script: Path, input_folder: Path, mini_batches: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """In turns, and without the start on both sides. What runs too long would be killed in the job alone."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(seconds_of_tasks(mini_batches))
        ours.append(seconds_of_job(script, input_folder))
    ratio = median(own / task for own, task in zip(ours, theirs, strict=True))
    with capsys.disabled():
        print("\nmicroseconds a mini-batch: median, best")
        for name, values in (("one Ray task each", theirs), ("Ray engine", ours)):
            print(f"{name}: {median(values) / MINI_BATCHES * 1e6:.1f}, {min(values) / MINI_BATCHES * 1e6:.1f}")
        print(f"Ray engine / task: {ratio:.3f}")
    assert ratio <= LIMIT

"""What a mini-batch costs, beside a bare loop and a thread pool over the same mini-batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Protocol

import pytest

from pytest_parallelrun import JobResult, JobSettings, ParallelJob
from tests.benchmarks.conftest import FILES_EACH, MINI_BATCHES

Run = Callable[[list[str]], list[str]]

ROUNDS = 25
POOL = "thread pool of 2"
EMULATOR = "emulator"
WHOLE = "emulator, listing the folder included"
LISTED = "emulator, opening a list of the paths included"
MAX_RATIO = 2.0
"""To the thread pool, whose cost differs by half between machines and runs."""
MAX_LISTED_RATIO = 2.5

GROUP = f"{MINI_BATCHES:,} mini-batches of {FILES_EACH} files"


class Benchmark(Protocol):
    """The fixture of pytest-benchmark, as far as it is used here."""

    def __call__(self, function: Callable[..., object], *arguments: object) -> object: ...


def bare_loop(run: Run, mini_batches: list[list[str]]) -> int:
    return sum(len(run(mini_batch)) for mini_batch in mini_batches)


def thread_pool(run: Run, mini_batches: list[list[str]]) -> int:
    with ThreadPoolExecutor(2) as pool:
        return sum(len(results) for results in pool.map(run, mini_batches))


def emulator(script: Path, input: Path | list[str]) -> JobResult:
    job = ParallelJob(script, input, settings=JobSettings(mini_batch_size=FILES_EACH, error_threshold=0))
    return job.run()


@pytest.mark.benchmark(group=GROUP)
def test_bare_loop(benchmark: Benchmark, run: Run, mini_batches: list[list[str]]) -> None:
    assert benchmark(bare_loop, run, mini_batches) == MINI_BATCHES * FILES_EACH


@pytest.mark.benchmark(group=GROUP)
def test_thread_pool(benchmark: Benchmark, run: Run, mini_batches: list[list[str]]) -> None:
    assert benchmark(thread_pool, run, mini_batches) == MINI_BATCHES * FILES_EACH


@pytest.mark.benchmark(group=GROUP)
def test_emulator(benchmark: Benchmark, script: Path, input_folder: Path) -> None:
    result = benchmark(emulator, script, input_folder)
    assert isinstance(result, JobResult)
    assert result.succeeded_items == MINI_BATCHES * FILES_EACH


def test_a_mini_batch_costs_about_as_much_as_in_a_thread_pool(
    script: Path, input_folder: Path, run: Run, mini_batches: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """They take turns, so that a busy machine slows them all; of the ratios by round the median counts.

    Loop and pool get their mini-batches ready made. So the job's own duration counts, from the start of its workers
    to their end; listing and sorting the folder before it is told apart.
    """
    seconds: dict[str, list[float]] = {"bare loop": [], POOL: [], EMULATOR: [], WHOLE: [], LISTED: []}
    paths = [path for mini_batch in mini_batches for path in mini_batch]
    for _ in range(ROUNDS):
        seconds["bare loop"].append(_timed(lambda: bare_loop(run, mini_batches)))
        seconds[POOL].append(_timed(lambda: thread_pool(run, mini_batches)))
        durations: list[float] = []
        seconds[WHOLE].append(_timed(lambda: durations.append(emulator(script, input_folder).duration)))  # noqa: B023
        seconds[EMULATOR].extend(durations)
        seconds[LISTED].append(_timed(lambda: emulator(script, paths)))
    with capsys.disabled():
        print("\nmicroseconds a mini-batch: median, best")
        for name, values in seconds.items():
            print(f"{name}: {median(values) / MINI_BATCHES * 1e6:.1f}, {min(values) / MINI_BATCHES * 1e6:.1f}")
        ratios = ", ".join(f"{_ratio(seconds, name):.2f}" for name in (EMULATOR, WHOLE, LISTED))
        print(f"the three of the emulator / thread pool: {ratios}")
    assert _ratio(seconds, EMULATOR) <= MAX_RATIO
    assert _ratio(seconds, LISTED) <= MAX_LISTED_RATIO


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _ratio(seconds: dict[str, list[float]], name: str) -> float:
    return median(own / pool for own, pool in zip(seconds[name], seconds[POOL], strict=True))

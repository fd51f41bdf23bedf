"""What a mini-batch costs, beside a bare loop and a thread pool over the same mini-batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Protocol

import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from tests.benchmarks.conftest import FILES_EACH, MINI_BATCHES

Run = Callable[[list[str]], list[str]]

ROUNDS = 25
POOL = "thread pool of 2"

GROUP = f"{MINI_BATCHES:,} mini-batches of {FILES_EACH} files"


class Benchmark(Protocol):
    """The fixture of pytest-benchmark, as far as it is used here."""

    def __call__(self, function: Callable[..., object], *arguments: object) -> object: ...


def bare_loop(run: Run, mini_batches: list[list[str]]) -> int:
    return sum(len(run(mini_batch)) for mini_batch in mini_batches)


def thread_pool(run: Run, mini_batches: list[list[str]]) -> int:
    with ThreadPoolExecutor(2) as pool:
        return sum(len(results) for results in pool.map(run, mini_batches))


def emulator(script: Path, folder: Path) -> int:
    job = ParallelJob(script, folder, settings=JobSettings(mini_batch_size=FILES_EACH, error_threshold=0))
    return job.run().succeeded_items


@pytest.mark.benchmark(group=GROUP)
def test_bare_loop(benchmark: Benchmark, run: Run, mini_batches: list[list[str]]) -> None:
    assert benchmark(bare_loop, run, mini_batches) == MINI_BATCHES * FILES_EACH


@pytest.mark.benchmark(group=GROUP)
def test_thread_pool(benchmark: Benchmark, run: Run, mini_batches: list[list[str]]) -> None:
    assert benchmark(thread_pool, run, mini_batches) == MINI_BATCHES * FILES_EACH


@pytest.mark.benchmark(group=GROUP)
def test_emulator(benchmark: Benchmark, script: Path, input_folder: Path) -> None:
    assert benchmark(emulator, script, input_folder) == MINI_BATCHES * FILES_EACH


def test_a_mini_batch_costs_no_more_than_in_a_thread_pool(
    script: Path, input_folder: Path, run: Run, mini_batches: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The three take turns, so that a busy machine slows them all; of the ratios by round the median counts."""
    candidates: dict[str, Callable[[], int]] = {
        "bare loop": lambda: bare_loop(run, mini_batches),
        POOL: lambda: thread_pool(run, mini_batches),
        "emulator": lambda: emulator(script, input_folder),
    }
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    cpu: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, function in candidates.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            function()
            cpu[name].append(time.process_time() - start_cpu)
            wall[name].append(time.perf_counter() - start)
    with capsys.disabled():
        print("\nmicroseconds a mini-batch: median, best; of processor time: median")
        for name, seconds in wall.items():
            each, each_cpu = ([value / MINI_BATCHES * 1e6 for value in values] for values in (seconds, cpu[name]))
            print(f"{name}: {median(each):.1f}, {min(each):.1f}; {median(each_cpu):.1f}")
        print(f"emulator / thread pool: {_ratio(wall):.2f}; of processor time: {_ratio(cpu):.2f}")
    assert _ratio(wall) <= 1


def _ratio(seconds: dict[str, list[float]]) -> float:
    return median(own / pool for own, pool in zip(seconds["emulator"], seconds[POOL], strict=True))

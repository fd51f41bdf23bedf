"""What worker processes cost: a mini-batch beside a process pool, and the first result beside bare interpreters."""

from __future__ import annotations

import compileall
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import pytest

import pytest_parallelrun
from pytest_parallelrun import JobResult, JobSettings, ParallelJob
from tests.benchmarks.conftest import FILES_EACH, MINI_BATCHES

WORKERS = 2
ROUNDS = 9
STARTS = 25
LIMIT = 1.0
LIMIT_OF_START = 1.5
SETTINGS = JobSettings(mini_batch_size=FILES_EACH, max_concurrency_per_instance=WORKERS, error_threshold=0)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """As pip compiles a package that it installs; an editable one may be without."""
    folder = str(Path(pytest_parallelrun.__file__).parent)
    compileall.compile_dir(folder, quiet=1)


def process(script: Path, source: object) -> JobResult:
    return ParallelJob(script, source, settings=SETTINGS, engine="process").run()  # type: ignore[arg-type]


def after_the_first(result: JobResult) -> float:
    """Seconds from the first result to the end of the job, the end of its workers included."""
    first = result.attempts[0]
    return result.duration - first.started - first.running


def _plain_run(mini_batch: list[str]) -> list[str]:
    return list(mini_batch)


def pool_after_the_first(mini_batches: list[list[str]]) -> float:
    with ProcessPoolExecutor(WORKERS) as pool:
        # Its processes start with the first tasks.
        list(pool.map(_plain_run, mini_batches[: 2 * WORKERS]))
        start = time.perf_counter()
        assert sum(map(len, pool.map(_plain_run, mini_batches))) == MINI_BATCHES * FILES_EACH
        return time.perf_counter() - start


def test_a_mini_batch_costs_no_more_than_in_a_process_pool(
    script: Path, input_folder: Path, mini_batches: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """In turns, and without the start on both sides. What runs too long would be killed here, and not in the pool."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(pool_after_the_first(mini_batches))
        result = process(script, str(input_folder))
        assert result.succeeded_items == MINI_BATCHES * FILES_EACH
        ours.append(after_the_first(result))
    ratio = median(own / pool for own, pool in zip(ours, theirs, strict=True))
    with capsys.disabled():
        print("\nmicroseconds a mini-batch: median, best")
        for name, values in ((f"ProcessPoolExecutor({WORKERS}).map", theirs), ("process engine", ours)):
            print(f"{name}: {median(values) / MINI_BATCHES * 1e6:.1f}, {min(values) / MINI_BATCHES * 1e6:.1f}")
        print(f"process engine / pool: {ratio:.2f}")
    assert ratio <= LIMIT


def bare_start(script: Path) -> float:
    """Seconds for as many interpreters to start, import the script and end."""
    import_it = f"import sys; sys.path.insert(0, {str(script.parent)!r}); import {script.stem}"
    start = time.perf_counter()
    spawned = [subprocess.Popen([sys.executable, "-c", import_it]) for _ in range(WORKERS)]
    assert [each.wait() for each in spawned] == [0] * WORKERS
    return time.perf_counter() - start


def first_result(script: Path, paths: list[str]) -> float:
    """Seconds from the start of the workers to the first result."""
    first = process(script, paths).attempts[0]
    return first.started + first.loading + first.running


@pytest.mark.parametrize("imports", ["", "import json, argparse, logging\n", "import pandas\n"])
def test_the_first_result_takes_half_as_long_again_as_bare_interpreters(
    tmp_path: Path, script: Path, mini_batches: list[list[str]], imports: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "score.py"
    path.write_text(imports + script.read_text("utf-8"), encoding="utf-8")
    timed: dict[str, Callable[[], float]] = {
        "bare": lambda: bare_start(path),
        "first": lambda: first_result(path, mini_batches[0]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(STARTS if "pandas" not in imports else 5):
        for name, take in timed.items():
            seconds[name].append(take())
    ratio = median(own / bare for own, bare in zip(seconds["first"], seconds["bare"], strict=True))
    with capsys.disabled():
        what = imports.strip() or "a script that imports nothing"
        print(f"\nmilliseconds to the first result, {what}: median, best")
        for name, values in seconds.items():
            print(f"{name}: {median(values) * 1e3:.0f}, {min(values) * 1e3:.0f}")
        print(f"ratio: {ratio:.2f}")
    assert ratio <= LIMIT_OF_START

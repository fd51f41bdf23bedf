from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.forecast.resources import Resources, measure

MB = 1024**2
SCRIPT = """
import time
def init():
    large = bytearray(80 * 1024 * 1024)
    time.sleep(0.15)
def run(mini_batch):
    larger = bytearray(150 * 1024 * 1024)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    return mini_batch
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="worker processes need POSIX")


def measured(folder: Path, script: str) -> Resources:
    (folder / "score.py").write_text(script, encoding="utf-8")
    (folder / "data").mkdir()
    for name in "ab":
        (folder / "data" / name).touch()
    return measure(ParallelJob(folder / "score.py", folder / "data", JobSettings(max_retries=0), engine="process"))


def test_memory_and_cores_are_those_of_a_worker_process(tmp_path: Path) -> None:
    found = measured(tmp_path, SCRIPT)
    assert 80 * MB < found.init_memory < 140 * MB
    assert 150 * MB < found.run_memory < 220 * MB
    assert found.cores is not None
    assert 0.1 < found.cores < 1.2
    assert found.init[0] > 0.15
    assert (found.mini_batches, found.problem) == (2, "")


def test_a_worker_that_does_not_start_is_told(tmp_path: Path) -> None:
    assert "no worker process started" in measured(tmp_path, "import nothing_of_that_name\n").problem


@pytest.mark.parametrize(
    ("memory", "cores", "expected"),
    [(10_000, None, (9, "memory")), (10_000, 4, (4, "cores")), (None, None, None), (500, 4, (0, "memory"))],
)
def test_the_largest_concurrency(memory: float | None, cores: float | None, expected: tuple[int, str] | None) -> None:
    found = Resources(init_memory=500, run_memory=1_000, cores=None)
    assert found.largest_concurrency(memory, cores) == expected


@pytest.mark.parametrize(("measured", "largest"), [(0.97, 16), (1.03, 16), (1.5, 10), (0.3, 53), (0.0, 320)])
def test_cores_are_measured_in_tenths(measured: float, largest: int) -> None:
    assert Resources(cores=measured).largest_concurrency(None, 16) == (largest, "cores")

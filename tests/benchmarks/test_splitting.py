"""Splitting a large CSV beside pandas' own chunks, and planning a folder of a million files beside os.walk.

Both sides are measured in one run, in turn, and in processes of their own: the peak of a process never falls. The sizes
can be changed by PARALLELRUN_BENCHMARK_MB and PARALLELRUN_BENCHMARK_FILES.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

MB = int(os.environ.get("PARALLELRUN_BENCHMARK_MB", "1024"))
FILES = int(os.environ.get("PARALLELRUN_BENCHMARK_FILES", "1000000"))
FOLDERS = 1_000
ROUNDS = 3
MAX_RATIO = 1.3
LIMIT_MB = 300

# Not that of getrusage(), which on Linux begins with the peak of the parent.
PEAK = """
import resource, sys, time

def peak():
    if sys.platform == "linux":
        status = open("/proc/self/status").read()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)
"""

# Everything from the path to the last DataFrame; the emulator infers types first, and loads each mini-batch once.
EMULATOR = (
    PEAK
    + """
from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
import pandas
start, spent = time.perf_counter(), time.process_time()
split = open_input(sys.argv[1], JobSettings(mini_batch_size="1MB"))
rows = batches = 0
for batch in split.mini_batches():
    rows += len(split.load(batch))
    batches += 1
print(rows, batches, time.perf_counter() - start, time.process_time() - spent, peak())
"""
)

PANDAS = (
    PEAK
    + """
import pandas
start, spent = time.perf_counter(), time.process_time()
rows = batches = 0
for chunk in pandas.read_csv(sys.argv[1], chunksize=int(sys.argv[2])):
    rows += len(chunk)
    batches += 1
print(rows, batches, time.perf_counter() - start, time.process_time() - spent, peak())
"""
)

PLANNED = (
    PEAK
    + """
from pytest_parallelrun import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
start, spent = time.perf_counter(), time.process_time()
split = open_input(sys.argv[1], JobSettings(mini_batch_size=100))
batches = sum(1 for _ in split.mini_batches())
print(split.total_items, batches, time.perf_counter() - start, time.process_time() - spent, peak())
"""
)

WALKED = (
    PEAK
    + """
import os
start, spent = time.perf_counter(), time.process_time()
paths = []
for folder, _, names in os.walk(sys.argv[1]):
    paths += [os.path.join(folder, name) for name in names]
paths.sort()
print(len(paths), 0, time.perf_counter() - start, time.process_time() - spent, peak())
"""
)


class Measured(NamedTuple):
    """seconds: of the clock. cpu: those of the processor, fairer on a busy machine. peak: in MB."""

    items: int
    mini_batches: int
    seconds: float
    cpu: float
    peak: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.cpu:.1f} s of the processor, {self.peak:.0f} MB"


def measured(program: str, *arguments: object) -> Measured:
    """What a program says of itself, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    items, batches, seconds, cpu, peak = done.stdout.split()
    return Measured(int(items), int(batches), float(seconds), float(cpu), float(peak))


@pytest.fixture(scope="module")
def large_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers and texts, some of them quoted."""
    import numpy as np
    import pandas as pd

    path = tmp_path_factory.mktemp("large") / "orders.csv"
    chance, rows = np.random.default_rng(0), 100_000
    table = pd.DataFrame(
        {
            "id": np.arange(rows),
            "store": chance.integers(1000, 1100, rows),
            "price": chance.random(rows).round(4),
            "quantity": chance.integers(-5, 100, rows),
            "change": chance.normal(size=rows).round(6),
            "brand": chance.choice(["dominicks", "tropicana", "minute.maid"], rows),
            "note": [f'order {number}, of a "customer"' for number in range(rows)],
        }
    )
    header, _, lines = table.to_csv(index=False, lineterminator="\n").partition("\n")
    with open(path, "w", encoding="utf-8", newline="") as stream:
        stream.write(header + "\n")
        while stream.tell() < MB << 20:
            stream.write(lines)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage() on Windows")
@pytest.mark.timeout(1800)
def test_a_large_csv_in_mini_batches_of_1_mb_costs_at_most_a_third_more_than_chunks_of_pandas(
    large_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ratios, peaks = [], []
    for _ in range(ROUNDS):
        ours = measured(EMULATOR, large_csv)
        theirs = measured(PANDAS, large_csv, ours.items // ours.mini_batches)
        assert ours.items == theirs.items
        ratios.append(ours.cpu / theirs.cpu)
        peaks.append(ours.peak)
        with capsys.disabled():
            size = large_csv.stat().st_size >> 20
            print(f"\n{size:,} MB, {ours.items:,} rows, {ours.mini_batches:,} mini-batches: {ours}")
            print(f"chunks of pandas: {theirs}; ratio {ratios[-1]:.2f}")
    assert sorted(ratios)[ROUNDS // 2] <= MAX_RATIO
    assert max(peaks) < LIMIT_MB


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty files in a thousand folders: hard links of one in each, which are quicker to make."""
    root = tmp_path_factory.mktemp("many")
    for number in range(FOLDERS):
        folder = root / f"{number:04}"
        folder.mkdir()
        first = folder / "0000.txt"
        first.touch()
        for index in range(1, FILES // FOLDERS):
            os.link(first, folder / f"{index:04}.txt")
    return root


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage() on Windows")
@pytest.mark.timeout(1800)
def test_a_million_files_are_planned_for_at_most_a_third_more_than_os_walk_with_sort_and_join(
    many_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ratios = []
    # The first look at so many folders fills the caches of the system.
    measured(WALKED, many_files)
    for _ in range(ROUNDS):
        ours, theirs = measured(PLANNED, many_files), measured(WALKED, many_files)
        assert ours.items == theirs.items
        ratios.append(ours.cpu / theirs.cpu)
        with capsys.disabled():
            print(f"\n{ours.items:,} files, {ours.mini_batches:,} mini-batches: {ours}")
            print(f"os.walk: {theirs}; ratio {ratios[-1]:.2f}")
    assert sorted(ratios)[ROUNDS // 2] <= MAX_RATIO

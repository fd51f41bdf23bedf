"""A job of one million files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FILES = 1_000_000
FILES_EACH = 100
FOLDERS = 1_000
LIMIT_MB = 300

# In a process of its own: the peak of a process never falls. The list of files is that of a real folder, so it
# is part of the growth; the files are hard links of one, which are quicker to make than as many files.
MEASURE = """
import resource, sys, time
from pytest_parallelrun import JobSettings, ParallelJob

def peak():
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value / (1024 if sys.platform != "darwin" else 1024 * 1024)

script, warm_up, folder, size = sys.argv[1:]
settings = JobSettings(mini_batch_size=int(size), error_threshold=0)
ParallelJob(script, warm_up, settings=settings).run()
before = peak()
start = time.perf_counter()
result = ParallelJob(script, folder, settings=settings).run()
assert result.status == "Completed", result.reason
print(result.succeeded_items, result.succeeded_mini_batches, peak() - before, time.perf_counter() - start)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage() on Windows")
@pytest.mark.timeout(1800)
def test_a_million_files_grow_the_process_by_less_than_300_mb(
    tmp_path: Path, script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warm_up = tmp_path / "warm up"
    warm_up.mkdir()
    original = warm_up / "original.txt"
    original.touch()
    folder = tmp_path / "million"
    for number in range(FOLDERS):
        below = folder / f"{number:04}"
        below.mkdir(parents=True)
        # A file has some 65,000 links at most, on common file systems.
        first = below / "0000.txt"
        first.touch()
        for index in range(1, FILES // FOLDERS):
            (below / f"{index:04}.txt").hardlink_to(first)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(script), str(warm_up), str(folder), str(FILES_EACH)],
        capture_output=True,
        text=True,
        check=True,
    )
    items, mini_batches, growth, seconds = done.stdout.split()
    with capsys.disabled():
        print(f"\n{int(items):,} files, {int(mini_batches):,} mini-batches: {float(growth):.0f} MB in {seconds} s")
    assert int(items) == FILES
    assert int(mini_batches) == FILES // FILES_EACH
    assert float(growth) < LIMIT_MB

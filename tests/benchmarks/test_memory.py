"""Jobs of one million files: as many mini-batches in this process, 200,000 in worker processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

FILES = 1_000_000
FOLDERS = 1_000

# In a process of its own: the peak of a process never falls. The list of files is that of a real folder, so it
# is part of the growth; the files are hard links of one, which are quicker to make than as many files.
MEASURE = """
import sys, time
from pytest_parallelrun import JobSettings, ParallelJob

# Not that of getrusage(), which begins with the peak of the parent.
def peak():
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024

script, small, folder, size, engine = sys.argv[1:]
settings = JobSettings(mini_batch_size=int(size), error_threshold=0, max_concurrency_per_instance=2)

def run(source):
    start = time.perf_counter()
    result = ParallelJob(script, source, settings=settings, engine=engine).run()
    assert result.status == "Completed", result.reason
    return result, time.perf_counter() - start

run(small)
first, seconds_small = run(small)
few = first.succeeded_mini_batches
del first
before = peak()
result, seconds = run(folder)
last = result.mini_batches[-1]
assert last.status == "succeeded" and last.attempts[0].outcome == "succeeded", last
print(result.succeeded_items, result.succeeded_mini_batches, peak() - before, seconds, few, seconds_small)
"""


class Case(NamedTuple):
    """What is run, and how many MB the process may grow."""

    engine: str
    files_each: int
    limit: int


CASES = [Case("inprocess", 100, 300), Case("inprocess", 1, 500), Case("process", 5, 500)]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from /proc"),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("million")
    for number in range(FOLDERS):
        below = folder / f"{number:04}"
        below.mkdir()
        # A file has some 65,000 links at most, on common file systems.
        first = below / "0000.txt"
        first.touch()
        for index in range(1, FILES // FOLDERS):
            (below / f"{index:04}.txt").hardlink_to(first)
    return folder


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_million_files_do_not_grow_the_process_beyond_its_limit(
    million: Path, script: Path, case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, script, million / "0000", million, str(case.files_each), case.engine],
        capture_output=True,
        text=True,
        check=True,
    )
    items, mini_batches, growth, seconds, few, seconds_small = map(float, done.stdout.split())
    with capsys.disabled():
        print(
            f"\n{case.engine}: {items:,.0f} files, {mini_batches:,.0f} mini-batches: {growth:.0f} MB, {seconds:.1f} s"
        )
        print(
            f"microseconds a mini-batch: {seconds / mini_batches * 1e6:.1f}, in a job of {few:,.0f}: "
            f"{seconds_small / few * 1e6:.1f}"
        )
    assert items == FILES
    assert mini_batches == FILES // case.files_each
    assert growth < case.limit

"""Whole gates of large samples and of a slow init(): seconds, and how much the process grows.

Each is a pytest run of its own. The gate of a sample ten times as large may cost more by a copy of it, where there is
one, and a pass over it, measured without the gate. PARALLELRUN_BENCHMARK_GATE_MB=102 makes tables of 100 MB and 1 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

MB = int(os.environ.get("PARALLELRUN_BENCHMARK_GATE_MB", "50"))
FILES = int(os.environ.get("PARALLELRUN_BENCHMARK_GATE_FILES", "100000"))
LIMIT = 60
"""Seconds."""
LIMIT_MB = 400
PASSES = 2
"""That a sample may cost, where one is bare: the job also counts, and remembers, each mini-batch."""

TABLE_SCRIPT = """
import pandas as pd

def run(mini_batch):
    return pd.DataFrame({"id": mini_batch["id"], "score": mini_batch["price"] * 2, "brand": mini_batch["brand"]})
"""
FILE_SCRIPT = """
import os

def run(mini_batch):
    return [f"{path[-15:]} {os.path.getsize(path)}" for path in mini_batch]
"""
SLOW_SCRIPT = """
import os
import time

def init():
    global model
    time.sleep(5)
    model = bytearray(500_000_000)

def run(mini_batch):
    time.sleep(0.05)
    return [f"{os.path.basename(path)} {len(open(path).read())}" for path in mini_batch]
"""

# Imports first: only what the gate adds counts. Not the peak of getrusage(), which begins with that of the parent.
GATE = """
import sys, time
import hypothesis, pandas, pyarrow.parquet, pytest

def memory(name):
    return int(open("/proc/self/status").read().partition(name + ":")[2].split()[0]) / 1024

before, start, spent = memory("VmRSS"), time.perf_counter(), time.process_time()
code = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]])
print()
print("measured", int(code), time.perf_counter() - start, time.process_time() - spent, memory("VmHWM") - before)
"""

# One pass over a sample, with a copy of it if it has files: what no gate can do without.
PASS = """
import shutil, sys, time
import pandas, pyarrow.parquet
from pathlib import Path
from score import run

sample, start = Path(sys.argv[1]), time.process_time()
if sample.suffix == ".csv":
    for frame in pandas.read_csv(sample, chunksize=20_000):
        run(frame)
elif sample.suffix == ".parquet":
    file = pyarrow.parquet.ParquetFile(sample)
    for number in range(file.num_row_groups):
        run(file.read_row_group(number).to_pandas())
else:
    for path in Path(shutil.copytree(sample, "copy")).rglob("*.txt"):
        run([str(path)])
print(time.process_time() - start)
"""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from /proc"),
    pytest.mark.timeout(1800),
]


class Measured(NamedTuple):
    """seconds: of the clock. cpu: of the processor. growth: in MB."""

    seconds: float
    cpu: float
    growth: float


def gate(folder: Path, script: str, sample: Path, *options: str) -> Measured:
    (folder / "score.py").write_text(script, encoding="utf-8")
    # Named, so that pytest does not look for tests among the files of the sample.
    arguments = ["score.py", "--parallelrun-entry=score.py", f"--parallelrun-input={sample}", *options]
    done = subprocess.run(
        [sys.executable, "-c", GATE, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    code, *values = done.stdout.rpartition("measured ")[2].split()
    assert code == "0", done.stdout
    return Measured(*map(float, values))


def check(measured: Measured, what: str, capsys: pytest.CaptureFixture[str], growth: float = LIMIT_MB) -> None:
    with capsys.disabled():
        print(
            f"\ngate of {what}: {measured.seconds:.0f} s, {measured.cpu:.0f} s of the processor, "
            f"{measured.growth:.0f} MB more"
        )
    assert measured.seconds <= LIMIT
    assert measured.growth <= growth


def check_pass(folder: Path, sample: Path, small: Measured, large: Measured) -> None:
    """The larger sample costs as much more as some passes over it."""
    done = subprocess.run(
        [sys.executable, "-c", PASS, str(sample)], cwd=folder, capture_output=True, text=True, check=True
    )
    assert large.cpu - small.cpu <= PASSES * float(done.stdout), f"one pass: {done.stdout}"


@pytest.mark.parametrize(
    ("suffix", "rows"),
    [
        pytest.param("csv", 100_000, id="csv"),
        pytest.param("parquet", 100_000, id="parquet"),
        pytest.param("parquet", 2_000_000, id="row groups of 50 MB"),
    ],
)
def test_a_table(tmp_path: Path, suffix: str, rows: int, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": np.arange(rows),
            "price": chance.random(rows),
            "change": chance.normal(size=rows),
            "brand": chance.choice(["dominicks", "tropicana"], rows),
            "note": [f"order {number}" for number in range(rows)],
        }
    )
    path, measured = tmp_path / f"table.{suffix}", []
    for size in (MB, 10 * MB):
        if suffix == "csv":
            lines = table.to_csv(index=False, header=False)
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(",".join(table.columns) + "\n")
                while stream.tell() < size << 20:
                    stream.write(lines)
        else:
            part = pa.Table.from_pandas(table, preserve_index=False)
            with pq.ParquetWriter(path, part.schema) as writer:
                while path.stat().st_size < size << 20:
                    writer.write_table(part, row_group_size=rows)
        measured.append(gate(tmp_path, TABLE_SCRIPT, path))
        check(measured[-1], f"{path.stat().st_size >> 20:,} MB of {suffix}, parts of {rows:,} rows", capsys)
    check_pass(tmp_path, path, *measured)


def test_many_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = []
    for first, count in ((0, FILES // 10), (FILES // 10, FILES)):
        for number in range(first, count):
            folder = tmp_path / "files" / f"{number // 1000:04}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number % 1000:04}.txt").write_text(f"{number}\n", encoding="utf-8")
        measured.append(gate(tmp_path, FILE_SCRIPT, tmp_path / "files"))
        check(measured[-1], f"{count:,} files", capsys)
    check_pass(tmp_path, tmp_path / "files", *measured)


def test_a_slow_init(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """init() of 5 s and 500 MB, run() of 50 ms; two workers are alive at once, and a third may not be freed yet."""
    files = tmp_path / "files"
    files.mkdir()
    for number in range(8):
        (files / f"{number}.txt").write_text(f"text {number}", encoding="utf-8")
    report = tmp_path / "report.json"
    measured = gate(tmp_path, SLOW_SCRIPT, files, "--parallelrun-set=clock=real", f"--parallelrun-report={report}")
    (entry,) = json.loads(report.read_text("utf-8"))["entries"]
    with capsys.disabled():
        print(f"\n{entry['init_calls']} init() calls took {entry['init_seconds']:.0f} s")
    check(measured, "init() of 5 s and 500 MB, run() of 50 ms", capsys, growth=3 * 500)

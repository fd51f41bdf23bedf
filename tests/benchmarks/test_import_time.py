"""What the plugin costs every pytest run, also those that have nothing to do with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

RUNS = 25
LIMIT_MS = 10

MEASURE = """
import time
import pytest, _pytest.python, _pytest.fixtures
start = time.perf_counter()
import pytest_parallelrun.plugin
print((time.perf_counter() - start) * 1000)
"""


def test_importing_the_plugin_costs_under_10_ms_beyond_pytest(capsys: pytest.CaptureFixture[str]) -> None:
    """Each time in a fresh interpreter; the fastest counts, the others were disturbed."""
    times = []
    for _ in range(RUNS):
        done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    with capsys.disabled():
        print(f"\nimport of the plugin: {min(times):.1f} ms, median {sorted(times)[RUNS // 2]:.1f} ms")
    assert min(times) < LIMIT_MS

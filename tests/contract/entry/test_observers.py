"""Observers run in worker processes; what they see there is tested by the checks that ask them."""

from __future__ import annotations

import subprocess
import sys

from pytest_parallelrun.contract.entry import observers


def test_observers_bring_no_test_tools_into_a_worker() -> None:
    script = f"import sys, {observers.__name__}; print(sorted({{'pytest', 'hypothesis'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

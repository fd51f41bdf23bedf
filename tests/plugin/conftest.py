"""Gates here are about options and reports, for which the checks that take longest are not needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run

WITHOUT_THE_SLOWEST = "not (generated or thresholds or in_worker_processes or independent or retry or collide)"
WHOLE = ("-k", "")
"""For a gate with all checks: the last -k wins."""


@pytest.fixture
def run_pytest(run_pytest: Run) -> Run:
    def run_some(*arguments: str | Path) -> pytest.RunResult:
        whole = not {"--collect-only", "--co", "--parallelrun-plan"}.isdisjoint(arguments)
        return run_pytest(*(() if whole else ("-k", WITHOUT_THE_SLOWEST)), *arguments)

    return run_some

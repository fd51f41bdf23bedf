"""The gate with --parallelrun-engine=ray, on the cluster that RAY_ADDRESS names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.plugin.counts import TOTAL, assert_gated

EXAMPLES = Path(__file__).parents[2] / "example_scripts"


def test_every_check_of_the_gate_works_on_a_cluster(project: Path, gate: Run) -> None:
    assert_gated(gate("--parallelrun-engine=ray"), TOTAL)


def test_a_script_that_kills_its_process_is_judged(project: Path, pytester: pytest.Pytester, gate: Run) -> None:
    (project / "score.py").write_text("import os\ndef run(paths):\n    os._exit(3)\n", encoding="utf-8")
    result = gate("--parallelrun-engine=ray", "-k", "job_completes", "--parallelrun-set=error_threshold=0")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the worker process ended itself with exit code 3*"])


def test_a_job_of_a_test_runs_on_the_cluster(project: Path, pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makepyfile(
        test_own="""
        def test_rows(parallelrun):
            result = parallelrun("score.py", "data")
            assert len(result.rows) == 3
            assert any("Ray cluster" in note for note in result.notes)
        """
    )
    run_pytest("test_own.py", "--parallelrun-engine=ray").assert_outcomes(passed=1)


def test_the_plan_starts_nothing_and_says_where_workers_would_be(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-engine=ray", "--parallelrun-plan")
    result.stdout.fnmatch_lines(["engine: ray", "*note: workers are on the Ray cluster that RAY_ADDRESS names*"])

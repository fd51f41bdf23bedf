from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.plugin.conftest import WHOLE
from tests.plugin.counts import TOTAL, assert_gated


def test_the_engine_in_process_can_be_named(project: Path, gate: Run) -> None:
    assert_gated(gate("--parallelrun-engine=inprocess"), TOTAL)


def test_all_checks_are_made_with_worker_processes(project: Path, gate: Run) -> None:
    assert_gated(gate("--parallelrun-engine=process", *WHOLE), TOTAL)


def test_a_script_that_ends_its_process_is_judged_and_ends_nothing_else(project: Path, gate: Run) -> None:
    Path("score.py").write_text("import ctypes\ndef run(paths):\n    ctypes.string_at(0)", encoding="utf-8")
    result = gate("--parallelrun-engine=process", "-k", "job_completes", "--parallelrun-set=error_threshold=0")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*killed by SIGSEGV*", "*score.py*line 3, in run*"])


def test_the_fixture_runs_its_jobs_on_the_engine(project: Path, pytester: pytest.Pytester, run_pytest: Run) -> None:
    Path("score.py").write_text("import os\ndef run(paths):\n    return [os.getpid()]", encoding="utf-8")
    pytester.makepyfile(
        test_own="""
        import os
        def test_pid(parallelrun):
            [pid] = set(parallelrun("score.py", "data").rows)
            assert pid != os.getpid()
        """
    )
    run_pytest("test_own.py", "--parallelrun-engine=process").assert_outcomes(passed=1)


def test_the_plan_says_that_time_is_real(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-engine=process", "--parallelrun-plan")
    result.stdout.fnmatch_lines(["engine: process", "  note: in worker processes time is real; *"])


def test_the_plan_names_settings_that_need_worker_processes(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-set=memory_limit=1GB", "--parallelrun-plan")
    result.stdout.fnmatch_lines(
        ["engine: inprocess", "  note: memory_limit has an effect in worker processes alone: *"]
    )

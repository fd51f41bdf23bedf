from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run
from tests.plugin.counts import TOTAL, assert_gated


def test_the_logs_of_the_run_of_the_sample_are_kept(project: Path, gate: Run) -> None:
    assert_gated(gate("--parallelrun-logs=a b/lögs"), TOTAL)
    logs = Path("a b/lögs/logs")
    assert (logs / "job_result.txt").read_text("utf-8").startswith("The job completed.")
    assert [path.name for path in (logs / "user/stdout/instance0").iterdir()] == ["process000.stdout.txt"]


def test_the_ini_twin_starts_at_the_folder_of_the_ini_file(project: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_logs = kept")
    gate("-k", "job_completes")
    assert Path("kept/logs/readme.txt").is_file()


def test_each_of_several_entries_has_a_folder_of_its_own(
    project: Path, pytester: pytest.Pytester, run_pytest: Run
) -> None:
    Path("other.py").write_text("def run(paths): return paths", encoding="utf-8")
    entries = ("score.py", "other.py")
    run_pytest(
        *entries,
        *(f"--parallelrun-entry={entry}" for entry in entries),
        "--parallelrun-input=data",
        "--parallelrun-logs=kept",
        "-k",
        "job_completes",
    )
    assert sorted(path.name for path in Path("kept").iterdir()) == ["other", "score"]

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun import _show
from pytest_parallelrun.contract import CHECKS
from tests.conftest import Run, Write


@pytest.mark.parametrize("name", ["job_completes", "test_job_completes", "src/score.py::test_job_completes"])
def test_it_prints_the_page_of_a_check_by_any_of_its_names(run_pytest: Run, name: str) -> None:
    result = run_pytest(f"--parallelrun-explain={name}")
    assert result.ret == pytest.ExitCode.OK
    assert result.outlines[0] == "# `job_completes`"
    assert "## How to fix it" in result.outlines


def test_several_pages_come_in_their_order(run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-explain=fits_timeout", "--parallelrun-explain=entry_imports")
    assert [line for line in result.outlines if line.startswith("# `")] == ["# `fits_timeout`", "# `entry_imports`"]


def test_it_runs_nothing_whatever_else_is_given(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "raise SystemExit('imported')\n")
    result = gate("--parallelrun-explain=job_completes", "--parallelrun-plan", "--parallelrun-set=no_such=1")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*collected*")


def test_what_tools_read_of_a_page_is_not_shown(run_pytest: Run) -> None:
    run_pytest("--parallelrun-explain=job_completes").stdout.no_fnmatch_line("*<!--*")


def test_an_installation_without_pages_says_so(
    run_pytest: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_show, "FOLDERS", (tmp_path,))
    result = run_pytest("--parallelrun-explain=job_completes")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*the page is missing from this installation, looked for as {tmp_path}*"])


def test_a_finding_names_the_page_of_its_check(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return None\n")
    result = gate("-k", "valid_type")
    assert result.outlines.count("details: pytest --parallelrun-explain=returns_valid_type") == 1


def test_advice_names_the_page_of_its_check(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return [1.5 for path in mini_batch]\n")
    gate("-k", "rows_name", "--parallelrun-report=gate.json")
    assert "details: pytest --parallelrun-explain=rows_name_their_item" in (project / "gate.json").read_text("utf-8")


def test_every_check_has_a_page_that_is_named() -> None:
    assert [check.name for check in CHECKS if not _show.explain_command(check.name)] == []
    assert _show.explain_command("replay") == ""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Run


def test_it_writes_a_json_file_and_says_where(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-report=reports/new folder/gate.json")
    path = project / "reports" / "new folder" / "gate.json"
    result.stdout.fnmatch_lines([f"report: {path}"])
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == 1


def test_it_may_be_given_several_times(project: Path, gate: Run) -> None:
    gate("--parallelrun-report=a.json", "--parallelrun-report=b.json")
    assert (project / "a.json").read_text() == (project / "b.json").read_text()


def test_the_ini_twin_is_used(project: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_report = from_ini.json")
    gate()
    assert (project / "from_ini.json").is_file()


def test_a_later_run_replaces_it(project: Path, gate: Run) -> None:
    (project / "gate.json").write_text("an older one")
    gate("--parallelrun-report=gate.json")
    assert json.loads((project / "gate.json").read_text())["entries"]


def test_collecting_alone_writes_none(project: Path, gate: Run) -> None:
    gate("--parallelrun-report=gate.json", "--collect-only")
    assert not (project / "gate.json").exists()


@pytest.mark.parametrize("given", ["gate.xml", "gate", "gate.pdf"])
def test_another_ending_is_a_usage_error_that_names_those_there_are(project: Path, gate: Run, given: str) -> None:
    result = gate(f"--parallelrun-report={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --parallelrun-report={given}: *Allowed: .html, .json, .md.*"])


def test_a_folder_is_a_usage_error(project: Path, gate: Run) -> None:
    (project / "reports.json").mkdir()
    result = gate("--parallelrun-report=reports.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --parallelrun-report=reports.json: is a folder; give a file."])


def test_one_that_cannot_be_written_is_said_and_fails_the_run(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-report=score.py/gate.json", "-k", "entry_imports")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["report *gate.json cannot be written: *"])
    result.stdout.no_fnmatch_line("*Traceback*")

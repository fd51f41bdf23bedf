from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.conftest import Run, Write


def test_it_writes_a_json_file_and_says_where(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-report=reports/new folder/gate.json")
    path = project / "reports" / "new folder" / "gate.json"
    result.stdout.fnmatch_lines([f"report: {path}"])
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == 2


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


def test_the_ending_may_be_in_capitals(project: Path, gate: Run) -> None:
    gate("--parallelrun-report=GATE.JSON", "-k", "entry_imports")
    assert json.loads((project / "GATE.JSON").read_text(encoding="utf-8"))["version"] == 2


def test_one_that_is_named_twice_is_written_and_told_once(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-report=gate.json", "--parallelrun-report=./gate.json", "-k", "entry_imports")
    assert sum(line.startswith("report: ") for line in result.outlines) == 1


@pytest.mark.parametrize("lacking", ["jinja2", "plotly"])
def test_a_page_without_its_extra_is_a_usage_error_that_says_what_to_install(
    project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == lacking else find_spec(name))
    monkeypatch.setattr("pytest_parallelrun.report.html.find_spec", importlib.util.find_spec)
    result = gate("--parallelrun-report=gate.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    wanted = f'needs {lacking}, which come with: pip install "pytest-parallelrun[[]html]"'
    result.stderr.fnmatch_lines([f"ERROR: --parallelrun-report=gate.html: {wanted}"])


def test_one_that_cannot_be_written_is_said_and_fails_the_run(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-report=score.py/gate.json", "-k", "entry_imports")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["report *gate.json cannot be written: *score.py is no folder"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_in_the_ini_file_it_waits_for_an_entry(pytester: pytest.Pytester, run_pytest: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(): pass\n")
    pytester.makeini("[pytest]\nparallelrun_report = gate.json\naddopts = --parallelrun-strict")
    assert run_pytest().ret == pytest.ExitCode.OK

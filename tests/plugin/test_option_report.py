from __future__ import annotations

import errno
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize("lacking", ["jinja2"])
def test_a_page_without_its_extra_is_a_usage_error_that_says_what_to_install(
    project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == lacking else find_spec(name))
    monkeypatch.setattr("pytest_parallelrun.report.files.find_spec", importlib.util.find_spec)
    result = gate("--parallelrun-report=gate.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    wanted = f'needs {lacking}, install it with: pip install "pytest-parallelrun[[]html]"'
    result.stderr.fnmatch_lines([f"ERROR: --parallelrun-report=gate.html: {wanted}"])


def test_one_that_cannot_be_written_is_said_and_fails_the_run(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-report=score.py/gate.json", "-k", "entry_imports")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["report *gate.json cannot be written: *score.py is no folder"])
    result.stdout.no_fnmatch_line("*Traceback*")


def _raise(*arguments: object, **options: object) -> str:
    raise TypeError("no such\ncolumn")


def _raise_late(*arguments: object, **options: object) -> Iterator[str]:
    yield _raise()


REPORT = "pytest_parallelrun.report."


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        (f"{REPORT}html.html_report", "report *gate.html"),
        (f"{REPORT}markdown.grouped_findings", "report *gate.md"),
        ("pytest_parallelrun._reporting.summary_lines", "the summary of score.py"),
        ("pytest_parallelrun._reporting.acceptance_lines", "the summary of parallelrun_accept"),
        ("pytest_parallelrun._reporting.Reporting._add_junit_properties", "the properties of JUnit"),
        (f"{REPORT}ci.github_commands", "annotations"),
        (f"{REPORT}ci.markdown_report", "the summary of the step"),
    ],
)
def test_an_error_of_ours_costs_one_report_and_the_run(
    project: Path, write: Write, gate: Run, monkeypatch: pytest.MonkeyPatch, broken: str, lost: str
) -> None:
    pytest.importorskip("jinja2")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "step.md"))
    monkeypatch.setattr(broken, _raise_late if broken.endswith(("_lines", "_commands")) else _raise)
    write("score.py", "def run(mini_batch):\n    return None\n")
    names = ("gate.json", "gate.html", "gate.md")
    result = gate(*(f"--parallelrun-report={name}" for name in names), "-k", "returns_valid_type")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"{lost} cannot be written: TypeError: no such column (an error of *)"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    # What does not need the broken function is there.
    text = result.stdout.str()
    assert "run() returned None" in text
    assert [name for name in names if not (project / name).exists()] == [name for name in names if name in lost]
    if "github_commands" not in broken:
        assert "::error file=score.py" in text
    if "summary_lines" not in broken:
        result.stdout.fnmatch_lines(["score.py *"])


def test_a_disk_that_is_full_costs_one_report(project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text = Path.write_text

    def write_or_not(path: Path, *arguments: Any, **options: Any) -> int:
        if path.name == "a.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", write_or_not)
    result = gate("--parallelrun-report=a.json", "--parallelrun-report=b.json", "-k", "entry_imports")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["report: *b.json", "report *a.json cannot be written: No space left on device"])


def test_a_page_whose_template_engine_is_gone_meanwhile_says_what_to_install(
    project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_parallelrun.report.files.find_spec", lambda name: "there")
    monkeypatch.delitem(sys.modules, f"{REPORT}html", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = gate("--parallelrun-report=gate.html", "--parallelrun-report=gate.json", "-k", "entry_imports")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["report *gate.html cannot be written: import of jinja2 *pip install *html]*"])
    assert (project / "gate.json").exists()


def test_one_of_a_run_without_any_check_is_missed_too(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-report=score.py/gate.json", "-k", "nothing_of_the_kind")
    result.stdout.fnmatch_lines(["report *gate.json cannot be written: *score.py is no folder"])


def test_a_junit_file_that_cannot_be_written_costs_neither_findings_nor_summary(project: Path, gate: Run) -> None:
    result = gate("--junitxml=score.py/junit.xml", "--parallelrun-report=gate.json", "-k", "entry_imports")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["report: *gate.json", "report *junit.xml cannot be written: *score.py is no folder"])
    result.stdout.fnmatch_lines(["*1 passed*"])


def test_in_the_ini_file_it_waits_for_an_entry(pytester: pytest.Pytester, run_pytest: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(): pass\n")
    pytester.makeini("[pytest]\nparallelrun_report = gate.json\naddopts = --parallelrun-strict")
    assert run_pytest().ret == pytest.ExitCode.OK

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_parallelrun._forecasting import Forecasting
from pytest_parallelrun.forecast.resources import Resources
from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL
from tests.report.schema import read_valid

SIZE = "--parallelrun-forecast=300"


@pytest.fixture(autouse=True)
def _nothing_is_measured(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A worker process takes a second, which one test has, and 200 draws of each job take several."""
    monkeypatch.setattr("pytest_parallelrun.forecast.forecast.MAX_HANDED_OUT", 1)
    monkeypatch.setattr("pytest_parallelrun.forecast.forecast.MIN_DRAWS", 3)
    if "measured" not in request.node.name:
        monkeypatch.setattr("pytest_parallelrun._forecasting._measured", lambda entry: Resources(problem="not now"))


def forecast(project: Path, run: Run, *arguments: str) -> dict[str, Any]:
    run("--parallelrun-report=gate.json", "-k", "job_completes", *arguments)
    found = read_valid(project / "gate.json")["entries"][0]["forecast"]
    assert isinstance(found, dict)
    return found


def test_every_report_has_it(project: Path, gate: Run) -> None:
    result = gate(SIZE, "-k", "job_completes", "--parallelrun-report=a.md", "--parallelrun-report=a.html")
    result.assert_outcomes(passed=1, deselected=TOTAL - 1)
    result.stdout.fnmatch_lines(["*forecast of the full job: 300 files in 300 mini-batches*", "*wall time *"])
    assert "### forecast of the full job: 300 files" in (project / "a.md").read_text(encoding="utf-8")
    page = (project / "a.html").read_text(encoding="utf-8")
    assert "<h3>Forecast</h3>" in page
    assert "from the run of" not in page


def test_the_ini_twin_is_used_and_completed_by_the_command_line(
    project: Path, gate: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nparallelrun_forecast =\n  200\n  node_start=7\n  init_time=3")
    found = forecast(project, gate, "--parallelrun-forecast=init_time=4")
    given = {each["name"]: each["values"][0] for each in found["inputs"] if each["origin"] == "given"}
    assert (found["size"], given) == ("200", {"node_start": 7, "init_time": 4})


def test_a_table_is_measured_in_bytes(project: Path, run_pytest: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return mini_batch\n")
    write("table.csv", "a,b\n" + "1,2\n" * 1000)
    entry, table = "--parallelrun-entry=score.py", "--parallelrun-input=table.csv"
    size = ("--parallelrun-forecast=1MB", "--parallelrun-set=mini_batch_size=1KB")
    found = forecast(project, run_pytest, entry, table, *size)
    assert found["items"] == pytest.approx(1024**2 / 4, rel=0.01)
    assert found["mini_batches"] == pytest.approx(1024, rel=0.01)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("def run(mini_batch):\n    raise ValueError('bad')\n", "ValueError: bad"),
        ("import nothing_of_that_name\ndef run(mini_batch): pass\n", "nothing_of_that_name"),
    ],
)
def test_without_a_success_there_is_none_and_the_reason(
    project: Path, gate: Run, write: Write, script: str, problem: str
) -> None:
    write("score.py", script)
    result = gate(SIZE, "-k", "job_completes")
    result.stdout.fnmatch_lines(["*no forecast: no mini-batch of the sample succeeded*", f"*{problem}*"])
    result.stdout.no_fnmatch_line("*INTERNAL*")


def test_without_a_sample_there_is_none(project: Path, run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-entry=score.py", SIZE, "-k", "job_completes")
    result.stdout.fnmatch_lines(["*no forecast: there is no sample input*"])


@pytest.mark.parametrize(
    ("checks", "body", "notes"),
    [
        ("job_completes", "return [random.random() for _ in mini_batch]", ["results are random: two identical runs"]),
        ("order", "return [random.random() for _ in mini_batch]", ["results are random: two identical runs"]),
        ("order", "return [time.time() for _ in mini_batch]", []),
        (
            "job_completes",
            "tried.append(1)\n    if len(tried) == 2: raise ValueError('at times')\n    return mini_batch",
            ["failures depend on chance: 1 of 1 later attempt succeeded"],
        ),
    ],
)
def test_a_random_script_has_one_that_says_so(
    project: Path, gate: Run, write: Write, checks: str, body: str, notes: list[str]
) -> None:
    write("score.py", f"import random, time\ntried = []\ndef run(mini_batch):\n    {body}\n")
    found = forecast(project, gate, SIZE, "-k", checks)
    assert found["mini_batches"] == 300
    said = [note for note in found["notes"] if note.startswith(("results are random", "failures depend"))]
    assert [note[: len(start)] for note, start in zip(said, notes, strict=True)] == notes


def test_an_error_of_the_forecast_does_not_fail_the_gate(
    project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(Forecasting, "_forecast", broken)
    result = gate(SIZE, "-k", "job_completes")
    result.assert_outcomes(passed=1, deselected=TOTAL - 1)
    result.stdout.fnmatch_lines(["*no forecast: ZeroDivisionError: of ours*"])


def test_it_is_made_though_the_last_check_is_skipped(project: Path, gate: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if "fits_timeout" in item.name:
                    item.add_marker(pytest.mark.skip("ours"))
        """
    )
    result = gate(SIZE, "-k", "job_completes or fits_timeout")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*forecast of the full job: 300 files*"])


def test_a_check_that_needs_no_sample_leads_to_a_run_of_its_own(project: Path, gate: Run) -> None:
    found = forecast(project, gate, SIZE, "-k", "entry_imports")
    assert found["mini_batches"] == 300


@pytest.mark.skipif(sys.platform == "win32", reason="worker processes need POSIX")
def test_memory_is_measured_in_a_worker_process(project: Path, gate: Run) -> None:
    resources = forecast(project, gate, SIZE, "--parallelrun-forecast=node_memory=4GB")["resources"]
    assert resources["problem"] == ""
    assert resources["run_memory"] > 1024**2
    assert resources["largest_concurrency"] > 1

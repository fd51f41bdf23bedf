from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, Write

DROPS = "def run(mini_batch):\n    return [p for p in mini_batch if 'item_2' not in p]\n"
SOUND = "def run(mini_batch):\n    return list(mini_batch)\n"
ONE = ("-k", "one_result", "--parallelrun-report=gate.json")
ADVISED = ("--parallelrun-set=error_threshold=1",)


@pytest.fixture
def flawed(project: Path, write: Write) -> Path:
    write("score.py", DROPS)
    return project


def accept(pytester: pytest.Pytester, *lines: str) -> None:
    pytester.makeini("\n".join(["[pytest]", "parallelrun_accept =", *(f"    {line}" for line in lines)]))


def written(project: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((project / "gate.json").read_text(encoding="utf-8"))
    return content


def check_of(project: Path) -> dict[str, Any]:
    check: dict[str, Any] = written(project)["entries"][0]["checks"][0]
    return check


def test_an_accepted_finding_passes_and_is_shown_with_its_reason(
    flawed: Path, gate: Run, pytester: pytest.Pytester
) -> None:
    accept(pytester, "returns_one_result_per_item: filters on purpose")
    result = gate(*ONE)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "score.py: passed: 1 check, 1 accepted, *",
            "  accepted (returns_one_result_per_item): run() returned fewer results than *",
            "    *; filters on purpose",
        ]
    )
    check = check_of(flawed)
    assert (check["outcome"], check["reason"]) == ("accepted", "filters on purpose")
    assert check["message"].startswith("run() returned fewer results than it got items: 1 missing")
    assert written(flawed)["acceptances"] == [
        {
            "line": "returns_one_result_per_item: filters on purpose",
            "check": "returns_one_result_per_item",
            "pattern": "*",
            "reason": "filters on purpose",
            "until": None,
            "state": "in force",
            "message": "",
        }
    ]


def test_another_check_is_not_accepted(flawed: Path, gate: Run, pytester: pytest.Pytester) -> None:
    accept(pytester, "no_silent_losses: known")
    assert gate(*ONE).ret == pytest.ExitCode.TESTS_FAILED
    assert written(flawed)["acceptances"][0]["state"] == "unknown"


@pytest.mark.parametrize(
    ("pattern", "accepted"),
    [("score.py", True), ("*.py", True), ("sc[a-o]re.py", True), ("src/*.py", False), ("core.py", False)],
)
def test_the_pattern_is_matched_with_the_path_of_the_entry(
    flawed: Path, gate: Run, pytester: pytest.Pytester, pattern: str, accepted: bool
) -> None:
    accept(pytester, f"returns_one_result_per_item {pattern}: known")
    gate(*ONE)
    assert (check_of(flawed)["outcome"] == "accepted") is accepted


def test_it_holds_up_to_its_last_day(
    flawed: Path, gate: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_today(monkeypatch, "2027-01-31")
    accept(pytester, "returns_one_result_per_item score.py: filters, for now, until 2027-01-31.")
    assert gate(*ONE).ret == pytest.ExitCode.OK
    assert check_of(flawed)["reason"] == "filters, for now"
    assert written(flawed)["acceptances"][0]["until"] == "2027-01-31"


def set_today(monkeypatch: pytest.MonkeyPatch, today: str) -> None:
    import datetime

    class Date(datetime.date):
        @classmethod
        def today(cls) -> Date:
            return cls.fromisoformat(today)

    monkeypatch.setattr(datetime, "date", Date)


def test_after_it_the_finding_fails_and_the_summary_says_why(
    flawed: Path, gate: Run, pytester: pytest.Pytester
) -> None:
    accept(pytester, "returns_one_result_per_item: for now (until 2020-02-29)")
    result = gate(*ONE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["parallelrun_accept 'returns_one_result_per_item: for now (until 2020-02-29)': expired on 2020-02-29: *"]
    )
    assert written(flawed)["acceptances"][0]["state"] == "expired"
    assert check_of(flawed)["outcome"] == "failed"


def test_a_later_line_holds_where_an_earlier_one_expired(flawed: Path, gate: Run, pytester: pytest.Pytester) -> None:
    accept(
        pytester,
        "returns_one_result_per_item: once, until 2020-02-29",
        "# a comment: of the user's",
        "returns_one_result_per_item: again",
    )
    assert gate(*ONE).ret == pytest.ExitCode.OK
    assert check_of(flawed)["reason"] == "again"


def test_one_that_is_needed_no_more_is_told(project: Path, gate: Run, write: Write, pytester: pytest.Pytester) -> None:
    write("score.py", SOUND)
    accept(pytester, "returns_one_result_per_item: filters on purpose")
    result = gate(*ONE)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["parallelrun_accept 'returns_*': the check found nothing: remove the line"])
    assert written(project)["acceptances"][0]["state"] == "unneeded"


def test_one_that_matches_no_entry_of_the_run_is_told(flawed: Path, gate: Run, pytester: pytest.Pytester) -> None:
    accept(pytester, "returns_one_result_per_item old/*.py: filters on purpose")
    gate(*ONE).stdout.fnmatch_lines(["parallelrun_accept 'returns_*': no entry of this run matches 'old/[*].py'"])
    assert written(flawed)["acceptances"][0]["state"] == "unmatched"


def test_one_whose_check_was_not_run_is_not_told(flawed: Path, gate: Run, pytester: pytest.Pytester) -> None:
    accept(pytester, "no_silent_losses: known")
    gate(*ONE).stdout.no_fnmatch_line("parallelrun_accept*")


def test_one_that_another_entry_needs_is_not_told(
    flawed: Path, gate: Run, write: Write, pytester: pytest.Pytester
) -> None:
    write("other.py", SOUND)
    accept(pytester, "returns_one_result_per_item: filters on purpose")
    result = gate("--parallelrun-entry=other.py", *ONE)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("parallelrun_accept*")


@pytest.mark.parametrize("strict", [(), ("--parallelrun-strict",)])
def test_advice_is_accepted_too(flawed: Path, gate: Run, pytester: pytest.Pytester, strict: tuple[str, ...]) -> None:
    accept(pytester, "returns_one_result_per_item: filters on purpose")
    assert gate(*ONE, *ADVISED, *strict).ret == pytest.ExitCode.OK
    assert check_of(flawed)["outcome"] == "accepted"


def test_a_check_that_cannot_be_made_is_accepted_under_strict(
    project: Path, gate: Run, write: Write, pytester: pytest.Pytester
) -> None:
    write("score.py", "def run(mini_batch):\n    raise ValueError\n")
    accept(pytester, "returns_one_result_per_item: the sample has no sound item yet")
    assert gate(*ONE).parseoutcomes()["skipped"] == 1
    assert gate(*ONE, "--parallelrun-strict").ret == pytest.ExitCode.OK
    assert check_of(project)["outcome"] == "accepted"


def test_it_is_done_by_workers_of_xdist_and_told_once(
    flawed: Path, gate_in_one: Run, pytester: pytest.Pytester
) -> None:
    accept(pytester, "returns_one_result_per_item: known", "entry_imports: known")
    result = gate_in_one("-k", "one_result or entry_imports", "-v")
    assert result.ret == pytest.ExitCode.OK
    assert sum("found nothing: remove the line" in line for line in result.outlines) == 1
    assert sum(line.startswith("  accepted (returns_one_result_per_item)") for line in result.outlines) == 1


WRONG = {
    "no colon": ("returns_valid_type known", "is not an accepted finding: write CHECK [[]ENTRY_PATTERN]: REASON *"),
    "unknown check": (
        "returns_valid_tipe: known",
        "there is no check 'returns_valid_tipe'. Did you mean 'returns_valid_type'[?]",
    ),
    "no reason": ("returns_valid_type:", "has no reason: write *"),
    "nothing but a date": ("returns_valid_type: until 2027-01-31", "has no reason: write *"),
    "no date": ("returns_valid_type: known, until 2027-02-31", "'2027-02-31' is not a date: write until YYYY-MM-DD*"),
    "a word": ("returns_valid_type: known, until tomorrow", "'tomorrow' is not a date: *"),
}


@pytest.mark.parametrize(("line", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_line_is_a_usage_error(
    flawed: Path, gate: Run, pytester: pytest.Pytester, line: str, message: str
) -> None:
    accept(pytester, line)
    result = gate(*ONE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: parallelrun_accept in tox.ini: '{line}'*{message}"])


def test_a_reason_may_speak_of_until(flawed: Path, gate: Run, pytester: pytest.Pytester) -> None:
    accept(pytester, "returns_one_result_per_item: until the new model is there: it filters")
    gate(*ONE)
    assert check_of(flawed)["reason"] == "until the new model is there: it filters"


def test_it_is_not_read_without_a_gate(flawed: Path, run_pytest: Run, write: Write, pytester: pytest.Pytester) -> None:
    accept(pytester, "nonsense")
    write("test_mine.py", "def test_mine(): pass\n")
    run_pytest().assert_outcomes(passed=1)

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_parallelrun.contract.finding import Replay
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.report.files import write_report
from pytest_parallelrun.report.records import (
    NOT_CHECKABLE,
    CheckRecord,
    gate_headline,
    grouped_findings,
    job_facts,
    setting_records,
)
from tests.report.reports import COMMAND, FULL, REPLAY, WRONG_TYPE, Course, found, job, record, report

LIMITS = Path(__file__).parents[2] / "docs" / "explanation" / "limits.md"


class Sound:
    def run(self, mini_batch: list[str]) -> list[str]:
        return list(mini_batch)


def test_a_record_survives_the_way_between_processes() -> None:
    original = record("a", "advice", init_calls=2, message="text", notes=("b",), finding=FULL)
    assert CheckRecord.from_json(json.loads(json.dumps(original.as_json()))) == original


def test_an_entry_passes_unless_a_check_failed() -> None:
    assert report(record(), record("b", "advice"), record("c", "skipped")).verdict == "passed"
    assert report(record(), record("b", "failed")).verdict == "failed"


def test_an_interrupted_entry_has_not_passed() -> None:
    interrupted = report(record())
    interrupted.interrupted = True
    assert interrupted.verdict == "failed"


NO_INPUT = record(outcome="skipped", message="there is no input: give one", skipped="there is no input")
BROKEN: Course = {"000.txt": [ValueError("no")], "001.txt": [ValueError("no")]}
EMPTY: Course = {"000.txt": [0] * 3, "001.txt": [0] * 3}
ONE_RESULT: Course = {"000.txt": [0] * 3}


@pytest.mark.parametrize(
    ("records", "course", "reason"),
    [
        ([], None, "no check that judges the sample was run"),
        ([record("of_the_script")], None, "no check that judges the sample was run"),
        ([record("of_the_script"), NO_INPUT], None, "there is no input"),
        ([record(outcome="skipped", message="too slow")], ONE_RESULT, "too slow"),
        ([record()], BROKEN, "no attempt returned anything"),
        ([record(outcome="accepted")], BROKEN, "no attempt returned anything"),
        ([record()], EMPTY, "no attempt returned any result"),
        ([record(outcome="accepted")], EMPTY, ""),
        ([record(outcome="advice")], ONE_RESULT, ""),
        ([record()], {}, ""),
    ],
)
def test_an_entry_whose_sample_was_not_judged_is_incomplete_and_says_why(
    tmp_path: Path, records: list[CheckRecord], course: Course | None, reason: str
) -> None:
    result = None if course is None else job(tmp_path, 2, course, max_retries=0)
    made = report(*records, result=result)
    assert made.unjudged == reason
    verdicts = [made.verdict, replace(made, strict=True).verdict]
    made.add(record("of_init", "failed"))
    accepted = made.count("accepted") > 0
    strictly = "passed" if not reason else "incomplete" if accepted else "failed"
    assert [*verdicts, made.verdict] == ["incomplete" if reason else "passed", strictly, "failed"]


def test_a_script_that_returns_nothing_on_purpose_was_judged(tmp_path: Path) -> None:
    result = job(tmp_path, 2, EMPTY, error_threshold=-1, rules="observed")
    made = report(record(), result=result)
    settings = tuple(setting_records(result.settings, {"error_threshold": "job.yml:3"}))
    assert [made.verdict, replace(made, settings=settings).verdict] == ["incomplete", "passed"]


def test_the_headline_is_the_worst_verdict_with_the_number_of_findings() -> None:
    passed, incomplete, failed = report(record()), report(), report(record(outcome="failed"))
    advised = report(record(), record("second_check", "advice"))
    interrupted = report(record())
    interrupted.interrupted = True
    headlines = {
        "The gate passed": [passed],
        "The gate passed, 1 advice": [passed, advised],
        "1 of 2 entry scripts incomplete": [passed, incomplete],
        "1 finding in 1 of 3 entry scripts": [passed, incomplete, failed],
        "2 findings in 2 of 3 entry scripts, 1 advice": [failed, failed, advised],
        "1 entry script failed": [interrupted],
    }
    assert {gate_headline(reports): reports for reports in headlines.values()} == headlines


def test_costs_add_up_and_a_failure_is_not_replaced() -> None:
    made = report(record("a", "failed", init_calls=2), record("a", init_calls=3), record("b", init_calls=1))
    assert made.init_calls == 6
    assert made.count("failed") == 1
    assert made.count("passed") == 1


def test_a_failure_replaces_a_pass() -> None:
    assert report(record("a"), record("a", "failed")).verdict == "failed"


def test_the_facts_of_a_job_are_plain_values(tmp_path: Path) -> None:
    (tmp_path / "item.txt").touch()
    facts = job_facts(ParallelJob(Sound(), [tmp_path / "item.txt"]).run())
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["status"], facts["total_items"], facts["attempts"]) == ("Completed", 1, 1)


def test_text_that_is_no_unicode_can_be_written(tmp_path: Path) -> None:
    # A file name in another encoding than that of the system comes as such a text.
    path = tmp_path / "new" / "report.json"
    write_report(path, [report(record("a", "failed", message="file \udcff"))])
    assert "file \\udcff" in path.read_text(encoding="utf-8")


def test_what_fails_comes_before_advice_and_then_the_order_of_the_table_holds() -> None:
    made = report(
        found("third_check", what="c"), found("first_check", "advice", what="a"), found("second_check", what="b")
    )
    assert [grouped.finding.what for grouped in grouped_findings(made)] == ["b", "c", "a"]


def test_what_more_checks_met_comes_first_and_is_told_once() -> None:
    made = report(
        found("first_check", what="alone"),
        found("second_check", cause=WRONG_TYPE, what="together"),
        found("third_check", cause=WRONG_TYPE, what="again"),
    )
    first, second = grouped_findings(made)
    assert (first.finding.what, first.also) == ("together", ("third_check",))
    assert (second.finding.what, second.also) == ("alone", ())


def test_a_failure_without_a_finding_is_told_by_its_first_line() -> None:
    (grouped,) = grouped_findings(report(record(outcome="failed", message="OSError: disk full\nmore")))
    assert (grouped.finding.what, grouped.command) == ("OSError: disk full", "")


@pytest.mark.parametrize(
    ("replay", "command"),
    [
        (REPLAY, COMMAND),
        (Replay(unavailable="too many"), ""),
        (None, ""),
    ],
)
def test_the_command_is_what_can_be_run(replay: Replay | None, command: str) -> None:
    (grouped,) = grouped_findings(report(found(what="a", replay=replay)))
    assert grouped.command == command


def test_what_reports_call_not_checkable_is_on_the_page_about_limits() -> None:
    section = LIMITS.read_text(encoding="utf-8").split("\n## What is not simulated\n")[1]
    assert [row for row in NOT_CHECKABLE if f"\n| {row[0]} | {row[1]} |\n" not in section] == []

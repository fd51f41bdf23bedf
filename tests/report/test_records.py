from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.report.files import write_report
from pytest_parallelrun.report.records import CheckOutcome, CheckRecord, EntryReport, job_facts
from tests.report.reports import FULL


class Sound:
    def run(self, mini_batch: list[str]) -> list[str]:
        return list(mini_batch)


def record(name: str, outcome: CheckOutcome = "passed", init_calls: int = 0, message: str = "") -> CheckRecord:
    return CheckRecord(entry="score.py", name=name, outcome=outcome, init_calls=init_calls, message=message)


def report(*records: CheckRecord) -> EntryReport:
    made = EntryReport(entry="score.py")
    for item in records:
        made.add(item)
    return made


def test_a_record_survives_the_way_between_processes() -> None:
    original = replace(record("a", "advice", 2, "text"), notes=("b",), finding=FULL)
    assert CheckRecord.from_json(json.loads(json.dumps(original.as_json()))) == original


def test_an_entry_passes_unless_a_check_failed() -> None:
    assert report(record("a"), record("b", "advice"), record("c", "skipped")).verdict == "passed"
    assert report(record("a"), record("b", "failed")).verdict == "failed"


def test_an_entry_without_checks_and_an_interrupted_one_have_not_passed() -> None:
    assert report().verdict == "failed"
    interrupted = report(record("a"))
    interrupted.interrupted = True
    assert interrupted.verdict == "failed"


def test_costs_add_up_and_a_failure_is_not_replaced() -> None:
    made = report(record("a", "failed", 2), record("a", "passed", 3), record("b", "passed", 1))
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

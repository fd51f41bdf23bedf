from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.report import terminal as module
from pytest_parallelrun.report import trace as trace_module
from pytest_parallelrun.report.records import EntryReport
from pytest_parallelrun.report.terminal import NARROWEST, summary_lines
from tests.report.reports import found, job, record, report

BAD = ValueError("bad")


def lines(made: EntryReport, width: int = 80, verbosity: int = 0) -> list[str]:
    return [line.text for line in summary_lines(made, width=width, verbosity=verbosity)]


def test_a_pass_is_one_line_and_good(tmp_path: Path) -> None:
    made = report(record(), record("second_check"), result=job(tmp_path, 3))
    ((text, style),) = summary_lines(made)
    counts = "2 checks, 3 of 3 mini-batches and 3 of 3 items succeeded, 3 attempts, 0 init() calls, 0.00 s"
    assert (text, style) == (f"score.py: passed: {counts}", "good")


def test_why_the_job_failed_is_told_once_and_not_for_each_check_that_it_left_nothing_to(tmp_path: Path) -> None:
    result = job(tmp_path, 1, {"000.txt": [BAD]}, error_threshold=0, max_retries=0)
    skipped = record(
        outcome="skipped", message=f"run() returned nothing: {result.reason}", skipped="run() returned nothing"
    )
    shown = lines(report(skipped, result=result), width=200)
    assert "  skipped (run() returned nothing): first_check" in shown
    assert "\n".join(shown).count(str(result.reason)) == 1


def test_an_incomplete_entry_is_a_warning_and_says_why_in_any_case() -> None:
    text = "  the sample was not judged: no check that judges the sample was run"
    for verbosity in (-1, 0):
        (first, style), second = summary_lines(report(), verbosity=verbosity)
        assert first.startswith("score.py: incomplete: 0 checks, ")
        assert style == "warning"
        assert second == (text, "warning")


def test_in_short_there_is_a_line_for_each_advice() -> None:
    made = report(record(), found("second_check", "advice", what="could be better\nmuch", fix="do it"))
    shown = list(summary_lines(made, verbosity=-1))
    assert [tuple(line) for line in shown[1:]] == [("  advice (second_check): could be better", "warning")]


def test_details_and_notes_on_the_set_up_are_for_those_who_ask() -> None:
    made = report(record(notes=("a note",), details=("a detail",)))
    made.set_up_notes = ("not emulated: environment (job.yml:3)",)
    assert lines(made)[1:] == ["  note (first_check): a note"]
    assert lines(made, verbosity=1)[1:] == [
        "  note: not emulated: environment (job.yml:3)",
        "  note (first_check): a note",
        "  note (first_check): a detail",
    ]


def test_failures_are_bad_and_advice_is_a_warning() -> None:
    made = report(found(what="wrong"), found("second_check", "advice", what="could be better"))
    assert [(line.text, line.style) for line in summary_lines(made)][1:] == [
        ("  1. first_check", "bad"),
        ("    wrong", "plain"),
        ("  advice: second_check", "warning"),
        ("    could be better", "plain"),
    ]


def test_an_interrupted_run_says_so() -> None:
    made = report(record())
    made.interrupted = True
    assert lines(made)[0].startswith("score.py: failed: 1 check")
    assert lines(made)[1] == "  interrupted: results are incomplete"


@pytest.mark.parametrize("width", [0, 10, NARROWEST])
def test_a_terminal_that_is_too_narrow_is_taken_for_a_wider_one(width: int) -> None:
    shown = lines(report(found(what="several words that are not long at all")), width=width)[1:]
    assert max(map(len, shown)) <= NARROWEST


def test_words_such_as_paths_are_never_cut() -> None:
    path = "/a/long-path/of/a/file-with-hyphens/" + "x" * 60
    assert any(line.strip() == path for line in lines(report(found(what=f"see {path} there")), width=40))


def test_a_timeline_is_cut_and_names_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ATTEMPTS", 3)
    shown = lines(report(record(), result=job(tmp_path, 6)), verbosity=1)
    assert shown[1].startswith("  timeline: 6 attempts, ")
    assert len(shown) == 6
    assert shown[-1] == "    and 4 more lines; --parallelrun-report=x.html draws them"


def test_attempts_that_are_told_together_are_counted_by_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_module, "MAX_BARS", 4)
    monkeypatch.setattr(trace_module, "MAX_STRETCHES", 1)
    monkeypatch.setattr(trace_module, "MIN_STRETCHES", 1)
    shown = lines(report(record(), result=job(tmp_path, 6, {"001.txt": [BAD]})), verbosity=1)
    assert [line for line in shown if "7 attempts in " in line and line.endswith(": 6 succeeded, 1 exception")]


def test_a_worker_that_did_not_come_up_is_in_the_timeline(tmp_path: Path) -> None:
    from pytest_parallelrun.emulator.job import ParallelJob

    (tmp_path / "score.py").write_text("def init(): raise OSError('no disk')\ndef run(mini_batch): return []\n")
    (tmp_path / "item.txt").touch()
    result = ParallelJob(tmp_path / "score.py", [tmp_path / "item.txt"]).run()
    shown = lines(report(record(outcome="failed"), result=result), verbosity=1)
    assert [line for line in shown if line.endswith("worker 0: did not come up: OSError: no disk")]

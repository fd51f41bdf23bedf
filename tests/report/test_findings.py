from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_parallelrun.contract.finding import Cause, Finding, Location, Replay
from pytest_parallelrun.emulator.events import Frame
from pytest_parallelrun.report.findings import findings, place_in_script
from tests.report.reports import COMMAND, REPLAY, WRONG_TYPE, found, record, report


def test_what_fails_comes_before_advice_and_then_the_order_of_the_table_holds() -> None:
    made = report(
        found("third_check", what="c"), found("first_check", "advice", what="a"), found("second_check", what="b")
    )
    assert [told.finding.what for told in findings(made)] == ["b", "c", "a"]


def test_what_more_checks_met_comes_first_and_is_told_once() -> None:
    made = report(
        found("first_check", what="alone"),
        found("second_check", cause=WRONG_TYPE, what="together"),
        found("third_check", cause=WRONG_TYPE, what="again"),
    )
    first, second = findings(made)
    assert (first.finding.what, first.also) == ("together", ("third_check",))
    assert (second.finding.what, second.also) == ("alone", ())


def test_a_failure_without_a_finding_is_told_by_its_first_line() -> None:
    (told,) = findings(report(record(outcome="failed", message="OSError: disk full\nmore")))
    assert (told.finding.what, told.command) == ("OSError: disk full", "")


@pytest.mark.parametrize(
    ("replay", "command"),
    [
        (REPLAY, COMMAND),
        (Replay(unavailable="too many"), ""),
        (None, ""),
    ],
)
def test_the_command_is_what_can_be_run(replay: Replay | None, command: str) -> None:
    (told,) = findings(report(found(what="a", replay=replay)))
    assert told.command == command


SCRIPT = "import os\n\ndef init(): pass\n\ndef run(mini_batch):\n    return 1\n"


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"cause": Cause(kind="run", frame=Frame("/x/score.py", 8, "g")), "location": Location(phase="run")}, 8),
        ({"location": Location(phase="init", detail=", worker 0")}, 3),
        ({"location": Location(phase="run", mini_batch=3, items="a.txt", attempts=3)}, 5),
        ({"location": Location(phase="shutdown")}, 1),
        ({}, 5),
    ],
)
def test_a_finding_is_shown_at_the_frame_or_the_function_that_failed(
    tmp_path: Path, fields: dict[str, Any], line: int
) -> None:
    script = tmp_path / "score.py"
    script.write_text(SCRIPT)
    (told,) = findings(report(record(outcome="failed", finding=Finding(what="a", **fields))))
    file, number = place_in_script(told, str(script))
    assert number == line
    assert Path(file).name == "score.py"


@pytest.mark.parametrize("text", ["def run(:\n", "\0", None])
def test_a_script_that_cannot_be_read_is_named_by_its_first_line(tmp_path: Path, text: str | None) -> None:
    script = tmp_path / "score.py"
    if text is not None:
        script.write_text(text)
    (told,) = findings(report(found(what="a")))
    assert place_in_script(told, str(script)) == (str(script), 1)

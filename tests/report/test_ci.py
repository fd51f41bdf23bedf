from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.emulator.events import Frame
from pytest_parallelrun.report import ci
from pytest_parallelrun.report.ci import Annotation, annotated, script_location, source_around
from pytest_parallelrun.report.sanitize import defused
from tests.report.reports import found, record, report


def annotation(message: str = "text", **values: object) -> Annotation:
    given = {"level": "error", "file": "src/score.py", "line": 3, "title": "t"} | values
    return Annotation(message=message, **given)  # type: ignore[arg-type]


def test_a_finding_is_shown_in_the_script_below_the_checkout(tmp_path: Path) -> None:
    script = tmp_path / "src" / "score.py"
    script.parent.mkdir()
    script.write_text("\ndef run(mini_batch): return None\n")
    made = report(
        found("second_check", "advice", what="may be better"),
        found("first_check", what="wrong", location=Location(phase="run", mini_batch=0), fix="mend it"),
        record("third_check", "skipped", message="no"),
        path=str(script),
    )
    first, second = annotated([made], str(tmp_path))
    assert (first.level, first.file, first.line) == ("error", "src/score.py", 2)
    assert first.title == "score.py: first_check"
    assert first.message == "wrong\nwhere: run(), mini-batch 0, attempt 1 of 1\nfix: mend it"
    assert (second.level, second.message) == ("warning", "may be better")


def test_an_incomplete_entry_is_a_warning(tmp_path: Path) -> None:
    (made,) = annotated([report(path=str(tmp_path / "score.py"))], str(tmp_path))
    assert (made.level, made.file, made.title) == ("warning", "score.py", "score.py: incomplete")
    assert made.message == "The sample was not judged: no check that judges the sample was run."


def test_a_script_outside_the_checkout_keeps_its_path(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    (made,) = annotated([report(found(what="a"), path=str(tmp_path / "score.py"))], str(tmp_path / "checkout"))
    assert made.file == str(tmp_path / "score.py")


def test_a_name_that_a_terminal_would_obey_is_written_out(tmp_path: Path) -> None:
    (made,) = annotated(
        [replace(report(found(what="a")), entry="\x1b.py", path=str(tmp_path / "\x1b.py"))], str(tmp_path)
    )
    assert (made.file, made.title) == ("\\x1b.py", "\\x1b.py: first_check")


def test_github_gets_a_command_in_which_nothing_ends_early() -> None:
    (line,) = ci.github_commands([annotation("50 %\r\n::error::x", file="a,b:c.py", title="1: 2, 3")])
    assert line == "::error file=a%2Cb%3Ac.py,line=3,title=1%3A 2%2C 3::50 %25%0D%0A::error::x"


def test_github_shows_ten_of_a_level_so_no_more_are_sent() -> None:
    many = [annotation(level=level) for level in ("warning", "error") for _ in range(12)]
    lines = list(ci.github_commands(many))
    assert [line.split()[0] for line in lines] == ["::error"] * 10 + ["::warning"] * 10


def test_azure_gets_a_command_in_which_nothing_ends_early() -> None:
    (line,) = ci.azure_commands([annotation("50 %\r\n##vso[x]", file="a];b.py", title="1; 2]")])
    assert line == (
        "##vso[task.logissue type=error;sourcepath=a%5D%3Bb.py;linenumber=3;code=1%3B 2%5D;]50 %AZP25%0D%0A##vso[x]"
    )


def test_azure_is_told_of_a_summary_by_its_path() -> None:
    assert ci.azure_upload_summary("/tmp/100%.md") == "##vso[task.uploadsummary]/tmp/100%AZP25.md"


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("::error::gone", ": :error::gone"),
        ("fine\n  ::set-output name=a::b", "fine\n  : :set-output name=a::b"),
        ("x ##vso[task.setvariable variable=a]b", "x ## vso[task.setvariable variable=a]b"),
        ("##[error]x", "## [error]x"),
        ("##VSO[x]", "## VSO[x]"),
        ("50 %\r::set-env name=a::b", "50 %\r: :set-env name=a::b"),
        ("\u200b::error::x", "\u200b: :error::x"),
        ("score.py::test_a and # a [b]", "score.py::test_a and # a [b]"),
    ],
)
def test_an_error_of_a_script_gives_no_commands(text: str, harmless: str) -> None:
    assert defused(text) == harmless


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
    file, number = script_location(Finding(what="a", **fields), str(script))
    assert number == line
    assert Path(file).name == "score.py"


@pytest.mark.parametrize("text", ["def run(:\n", "\0", None])
def test_a_script_that_cannot_be_read_is_named_by_its_first_line(tmp_path: Path, text: str | None) -> None:
    script = tmp_path / "score.py"
    if text is not None:
        script.write_text(text)
    assert script_location(Finding(what="a"), str(script)) == (str(script), 1)


def test_the_source_around_a_line_has_numbers_and_a_mark(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_bytes(b"one\ntwo\nthree \xff\nfour\nfive")
    assert source_around(str(script), 2, lines=1) == "     1 | one\n>    2 | two\n     3 | three \ufffd"
    assert source_around(str(script), 5, lines=1) == "     4 | four\n>    5 | five"
    assert source_around(str(tmp_path), 1) == ""

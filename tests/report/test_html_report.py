"""The page as a text. What it does in a browser is tested in tests/browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_parallelrun.contract.finding import Location
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.report import trace as trace_module
from pytest_parallelrun.report.figures import STARTS, STATES
from pytest_parallelrun.report.files import write_report
from pytest_parallelrun.report.html import html_report, json_block
from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport, SettingRecord
from pytest_parallelrun.report.trace import Bar, Lane, Loss, Step, Trace, TraceCell
from tests.report.reports import COMMAND, FULL, FULL_TEXTS, REPLAY, Course, found, job, record, report

pytest.importorskip("jinja2")

FIGURES = {
    "noun": "file",
    "per_item": 0.5,
    "at_once": 1.0,
    "is_solid": True,
    "full_size": 4,
    "largest_size": 58,
    "smallest_timeout": 6,
    "margin": 2,
}


def without_scripts(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def plot(page: str, key: str) -> ElementTree.Element:
    """A plot of the first entry; it is XML, so that nothing in it can be a tag of its own."""
    found = re.search(rf'<div class="plot" id="entry-0-{key}".*?>(<svg.*?</svg>)</div>', page, flags=re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found[1])


def of_class(drawing: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in drawing.iter() if name in element.get("class", "").split()]


def words(drawing: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in drawing.iter("text")]


def points(drawing: ElementTree.Element, name: str) -> list[tuple[float, float]]:
    """Corners of the line of that class, in the units of the drawing: y grows downwards."""
    (line,) = of_class(drawing, name)
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


@pytest.mark.parametrize("text", ["</script><script>", "<!--", "]]>", "\u2028\u2029", "a&lt;b", "\udcff"])
def test_data_cannot_leave_its_block(text: str) -> None:
    block = json_block({text: [text]})
    assert not re.search("[<>&\u2028\u2029\udcff]", block)
    assert json.loads(block) == {text: [text]}


def test_the_page_names_verdict_findings_and_commands(tmp_path: Path) -> None:
    made = report(
        found(what="It is wrong.", fix="mend <it>", replay=REPLAY),
        result=job(tmp_path, 2),
    )
    page = without_scripts(html_report([made]))
    assert "<h1>1 finding in 1 entry script</h1>" in page
    assert "It is wrong." in page
    assert "mend &lt;it&gt;" in page
    assert f'<pre tabindex="0">{COMMAND}</pre>' in page


def test_what_to_do_stands_before_where_and_lines_stay_lines() -> None:
    made = report(
        record(
            outcome="failed",
            finding=replace(FULL, what="wrong:\n  two lines"),
            source=">    3 | raise ValueError",
            output="printed <1>\nprinted 2",
        )
    )
    made.pages = {"first_check": "# first_check\n<finds> it"}
    page = without_scripts(html_report([made]))
    assert "wrong:\n  two lines</p>" in page
    order = ["fix of it", "location of it", "traceback of it", "&gt;    3 | raise", "example of it", "replay of it"]
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert "printed &lt;1&gt;\nprinted 2</pre>" in page
    assert '<a href="#page-first_check">first_check</a>' in page
    assert '<details id="page-first_check">' in page
    assert "&lt;finds&gt; it</pre>" in page


def test_a_gate_that_passes_says_so() -> None:
    assert "<h1>The gate passed</h1>" in html_report([report(record())])


def test_a_threshold_is_drawn_where_it_is_set_and_told_where_it_is_off(tmp_path: Path) -> None:
    course: Course = {"001.txt": [ValueError("bad")] * 3}
    page = html_report([report(record(), result=job(tmp_path, 4, course, error_threshold=2))])
    drawing = plot(page, "error_threshold")
    assert "limit 2" in words(drawing)
    ((_, start), (_, end)) = points(drawing, "limit")
    counted = points(drawing, "counted")
    assert start == end
    # One failed item is half of the limit, seen from the axis.
    axis = counted[0][1]
    assert axis - counted[-1][1] == pytest.approx((axis - start) / 2, abs=0.2)
    assert "error_threshold allows 2." in page
    for name in ("mini_batch_error_threshold", "allowed_failed_percent"):
        assert f'id="entry-0-{name}"' not in page
        assert f"{name} is off: nothing is too much." in page


def test_the_percentage_is_of_all_mini_batches(tmp_path: Path) -> None:
    course: Course = {"001.txt": [ValueError("bad")] * 3}
    page = html_report([report(record(), result=job(tmp_path, 4, course, allowed_failed_percent=50))])
    assert "% of mini-batches failed: 25." in page
    assert "limit 50" in words(plot(page, "allowed_failed_percent"))


def test_the_timeout_and_the_largest_safe_size_are_drawn(tmp_path: Path) -> None:
    page = html_report([report(record(figures=FIGURES), result=job(tmp_path, 2, timeout=60))])
    assert "timeout 60 s" in words(plot(page, "times"))
    assert len(of_class(plot(page, "times"), "mark")) == 2
    assert "largest safe size 58" in words(plot(page, "sizes"))
    assert "keeps a margin of 2 to the timeout has 58 files; the size that is set has 4." in page


@pytest.mark.parametrize(
    ("figures", "text", "drawn"),
    [
        ({"largest_size": 0}, "has none: one file takes too long", True),
        ({"is_solid": False}, "no size near the configured one (4) comes close to the timeout", False),
        ({"largest_size": 27_000_000}, "no size near the configured one (4) comes close to the timeout", False),
        ({"is_solid": False, "is_least": True, "largest_size": 2}, "has at most 2 files; ", True),
        ({"is_solid": False, "is_least": True}, "The smallest timeout for it is above 6 s.", True),
    ],
)
def test_a_safe_size_is_told_as_far_as_it_is_known(
    tmp_path: Path, figures: dict[str, float], text: str, drawn: bool
) -> None:
    page = html_report([report(record(figures={**FIGURES, **figures}), result=job(tmp_path, 2))])
    assert text in page
    assert "27,000,000" not in page
    assert ('id="entry-0-sizes"' in page) is drawn


class ComesUpAtTheSecondTry:
    """An entry whose first worker does not come up."""

    def __init__(self) -> None:
        self._calls = 0

    def init(self) -> None:
        self._calls += 1
        if self._calls == 1:
            raise OSError("no model")

    def run(self, mini_batch: list[str]) -> list[str]:
        return mini_batch


def test_a_worker_that_did_not_come_up_is_told_from_those_that_did(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    result = ParallelJob(ComesUpAtTheSecondTry(), tmp_path, JobSettings()).run()
    drawing = plot(html_report([report(record(), result=result)]), "timeline")
    (not_up,), (start,) = of_class(drawing, "not-up"), of_class(drawing, "start")
    assert [title.text for title in not_up] == ["worker 0 on instance 0: OSError: no model"]
    assert (start[0].text or "").startswith("worker 1 on instance 0: up in ")


def test_where_run_was_never_called_no_time_is_told(tmp_path: Path) -> None:
    made = report(record(), result=job(tmp_path, 2))
    trace = Trace.from_json(made.trace or {})
    made.trace = replace(trace, cells=tuple(replace(cell, seconds=None) for cell in trace.cells)).as_json()
    page = html_report([made])
    assert "run() was never called; timeout is 60 s." in page
    assert 'id="entry-0-times"' not in page


def test_a_retry_is_a_lower_bar(tmp_path: Path) -> None:
    course: Course = {"000.txt": [ValueError("bad")]}
    page = html_report([report(record(), result=job(tmp_path, 2, course))])
    drawing = plot(page, "timeline")
    assert [bar.get("height") for bar in of_class(drawing, "exception")] == ["20.0"]
    assert [bar.get("height") for bar in of_class(drawing, "succeeded")] == ["20.0", "10.0"]
    assert "A lower bar is a retry." in page


@pytest.mark.parametrize(("engine", "in_turns"), [("inprocess", True), ("process", False)])
def test_workers_that_take_turns_are_said_to(tmp_path: Path, engine: str, in_turns: bool) -> None:
    made = report(record(), result=job(tmp_path, 2, instance_count=2))
    made.set_up = {"engine": engine}
    assert ("They take turns here" in html_report([made])) is in_turns


def test_mini_batches_that_did_not_end_are_counted_apart(tmp_path: Path) -> None:
    course: Course = {"000.txt": [ValueError("bad")] * 3}
    page = html_report([report(record(), result=job(tmp_path, 4, course, error_threshold=0, max_retries=0))])
    assert "<b>3</b> not ended" in page
    assert "not ended" not in without_scripts(html_report([report(record())]))


def test_every_part_of_a_finding_is_told() -> None:
    page = html_report([report(record(outcome="failed", finding=FULL))])
    assert [part for part in FULL_TEXTS if part not in page] == []


def test_many_mini_batches_are_listed_where_they_failed_and_none_has_the_colour_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_module, "MAX_CELLS", 3)
    monkeypatch.setattr(trace_module, "MAX_BARS", 5)
    monkeypatch.setattr(trace_module, "MAX_STRETCHES", 1)
    monkeypatch.setattr(trace_module, "MIN_STRETCHES", 1)
    course: Course = {"003.txt": [ValueError("<bad>")] * 3, "005.txt": [KeyError("once")], "006.txt": [0] * 3}
    page = without_scripts(html_report([report(record(), result=job(tmp_path, 7, course))]))
    assert "7 mini-batches are too many to be drawn one by one: each point stands for the longest of 3" in page
    assert "12 attempts are too many as well" in page
    assert "7 mini-batches: 4 succeeded, 1 retried, 2 failed." in page
    assert "data-index=" not in page
    assert [mark.get("fill") for mark in of_class(plot(page, "times"), "mark")] == [STARTS] * 2 + [STATES["failed"]]
    shares = {bar.attrib["class"]: float(bar.attrib["height"]) for bar in of_class(plot(page, "timeline"), "bar")}
    assert shares["bar succeeded"] == pytest.approx(20 * 5 / 12, abs=0.1)
    rows = re.findall(r'<tr data-kind="(.*?)"><td>(\d+)</td><td>(\w+)</td>', page)
    assert rows == [("ValueError", "3", "failed"), ("short", "6", "failed"), ("KeyError", "5", "retried")]
    assert "ValueError: &lt;bad&gt;</td>" in page
    assert '<button type="button" data-kind="KeyError" aria-pressed="false">KeyError (1)</button>' in page


def largest() -> EntryReport:
    """A report as large as one can be, of 100,000 mini-batches, with the longest texts wherever one can be."""
    text = "😀" * trace_module.MAX_TEXT_LENGTH
    trace = Trace(
        kind="files",
        timeout=60.0,
        max_retries=2,
        error_threshold=10,
        mini_batch_error_threshold=10,
        allowed_failed_percent=5.0,
        total_mini_batches=100_000,
        total_attempts=300_000,
        duration=1e5,
        per_cell=100,
        workers=400,
        total_losses=90_000,
        losses=tuple(
            Loss(
                mini_batch=n,
                state="failed",
                kind="ValueError",
                items=9,
                failed_items=9,
                attempts=3,
                names=text,
                error=text,
            )
            for n in range(trace_module.MAX_LOSSES)
        ),
        cells=tuple(
            TraceCell(
                first=n * 100, count=100, state="failed", names=text, error=text, seconds=1.5, states={"failed": 100}
            )
            for n in range(trace_module.MAX_CELLS)
        ),
        bars=tuple(
            Bar(worker=n % 40, started=n / 7, seconds=1 / 3, outcome="exception", attempts=75, error=text, outcomes={})
            for n in range(trace_module.MAX_LANES * trace_module.MIN_STRETCHES)
        ),
        lanes=tuple(Lane(worker=n, instance=n, started=n / 3, seconds=1 / 7, error=text) for n in range(40)),
        steps=tuple(Step(attempts=n, failed_items=n, failed_mini_batches=n) for n in range(502)),
    )
    made = report(record(figures=FIGURES))
    made.trace = trace.as_json()
    return made


def test_the_failed_mini_batches_of_a_large_job_have_a_megabyte(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    made = largest()
    write_report(page, [made])
    text = page.read_text(encoding="utf-8")
    shown = text.count("<tr data-kind=")
    assert 100 < shown < trace_module.MAX_LOSSES
    assert f"and {90_000 - shown:,} more, which are left out" in text


def test_a_page_of_5_000_failed_mini_batches_is_below_two_megabytes(tmp_path: Path) -> None:
    made = largest()
    short: dict[str, Any] = {
        "names": "folder/image_00001.png, and 9 more",
        "error": "ValueError: cannot identify image file",
    }
    trace = Trace.from_json(made.trace or {})
    made.trace = replace(
        trace,
        losses=tuple(replace(loss, **short) for loss in trace.losses),
        cells=tuple(replace(cell, **short) for cell in trace.cells),
        bars=tuple(replace(bar, error=short["error"]) for bar in trace.bars),
    ).as_json()
    write_report(tmp_path / "page.html", [made])
    assert (tmp_path / "page.html").stat().st_size < 2_000_000


def test_an_entry_without_checks_has_not_passed() -> None:
    page = without_scripts(html_report([report()]))
    assert "<h1>1 entry script incomplete</h1>" in page
    assert "The sample was not judged: no check that judges the sample was run." in page
    assert "Not part of this run: first_check, second_check, third_check" in page


def test_what_was_not_checked_is_told_with_the_reason() -> None:
    page = without_scripts(html_report([report(record(outcome="skipped", message="no input"), record("second_check"))]))
    assert "Not checked, no input: first_check" in page


def test_settings_acceptances_notes_and_interruption_are_told() -> None:
    made = report(record(notes=("a note",), details=("a detail",)))
    made.settings = (SettingRecord(name="timeout", value="7", origin="job.yml", is_set=True, emulated=False),)
    made.interrupted = True
    acceptance = AcceptanceRecord(
        line="x: y", check="x", pattern="*", reason="y", until=None, state="unneeded", message="remove the line"
    )
    page = without_scripts(html_report([made], [acceptance]))
    for text in (">7</code>", ">job.yml <i>(not emulated)</i>", "a note", "a detail", "interrupted", "remove the line"):
        assert text in page


@pytest.mark.parametrize("name", ["x.html", "x.HTML", "x.md", "x.json"])
def test_every_kind_takes_texts_that_are_no_unicode(tmp_path: Path, name: str) -> None:
    write_report(tmp_path / "new" / name, [report(found(what="file \udcff \u202e", location=Location(phase="\u2028")))])
    text = (tmp_path / "new" / name).read_text(encoding="utf-8")
    # Markdown takes a backslash before one for a single one.
    assert "file \\udcff" in text.replace("\\\\", "\\")

"""The page as a text. What it does in a browser is tested in tests/browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_parallelrun.contract.finding import Location
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.report import trace as trace_module
from pytest_parallelrun.report.files import write_report
from pytest_parallelrun.report.html.figures import seconds_text
from pytest_parallelrun.report.html.page import html_report, json_block
from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport, SettingRecord
from pytest_parallelrun.report.trace import Bar, Lane, Step, Trace, TraceCell
from tests.report.reports import COMMAND, FULL, FULL_TEXTS, REPLAY, Course, found, job, record, report

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


@pytest.fixture(autouse=True)
def _short_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that draws has nothing to do where nothing is drawn, and is most of a page."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "")


def without_scripts(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def data(page: str, key: str) -> dict[str, object]:
    block = re.search(rf'<script type="application/json" id="{key}">(.*?)</script>', page)
    assert block is not None
    found: dict[str, object] = json.loads(block[1])
    return found


def traces(page: str, key: str) -> dict[str, dict[str, object]]:
    """The lines and points of a plot, by name."""
    listed = data(page, key)["data"]
    assert isinstance(listed, list)
    return {each["name"]: each for each in listed}


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
    assert "<h1>1 entry script failed</h1>" in page
    assert "It is wrong." in page
    assert "mend &lt;it&gt;" in page
    assert f'<pre tabindex="0">{COMMAND}</pre>' in page


def test_a_gate_that_passes_says_so() -> None:
    assert "<h1>The gate passed</h1>" in html_report([report(record())])


def test_a_limit_is_drawn_where_it_is_and_none_where_it_is_off(tmp_path: Path) -> None:
    course: Course = {"001.txt": [ValueError("bad")] * 3}
    page = html_report([report(record(), result=job(tmp_path, 4, course, error_threshold=7))])
    drawn = traces(page, "entry-0-error_threshold-data")
    assert drawn["limit"]["y"] == [7, 7]
    assert drawn["counted"]["y"] == [0.0, 1.0]
    assert "error_threshold allows 7." in page
    assert "limit 7" in str(data(page, "entry-0-error_threshold-data"))
    assert "limit" not in traces(page, "entry-0-allowed_failed_percent-data")
    assert "allowed_failed_percent is off: nothing is too much." in page


def test_the_percentage_is_of_all_mini_batches(tmp_path: Path) -> None:
    course: Course = {"001.txt": [ValueError("bad")] * 3}
    page = html_report([report(record(), result=job(tmp_path, 4, course, allowed_failed_percent=50))])
    drawn = traces(page, "entry-0-allowed_failed_percent-data")
    assert drawn["counted"]["y"] == [0.0, 25.0]
    assert drawn["limit"]["y"] == [50, 50]


def test_the_timeout_and_the_largest_safe_size_are_drawn(tmp_path: Path) -> None:
    made = report(record(figures=FIGURES), result=job(tmp_path, 2, timeout=60))
    page = html_report([made])
    assert traces(page, "entry-0-times-data")["timeout 60 s"]["y"] == [60.0, 60.0]
    assert traces(page, "entry-0-sizes-data")["largest safe size 58"]["x"] == [58.0, 58.0]
    assert "keeps a margin of 2 to the timeout has 58 files; the size that is set has 4." in page


def test_where_one_item_takes_too_long_there_is_no_safe_size(tmp_path: Path) -> None:
    made = report(record(figures={**FIGURES, "largest_size": 0}), result=job(tmp_path, 2))
    page = html_report([made])
    assert "has none: one file takes too long" in page
    assert not [name for name in traces(page, "entry-0-sizes-data") if name.startswith("largest")]


def test_the_safe_size_is_seen_at_the_scale_of_what_was_measured(tmp_path: Path) -> None:
    page = html_report([report(record(figures={**FIGURES, "per_item": 1.4, "at_once": 0.0}), result=job(tmp_path, 0))])
    heights = traces(page, "entry-0-sizes-data")["largest safe size 58"]["y"]
    assert heights == [pytest.approx(1.4), 30.0]


def test_attempts_that_ran_into_the_timeout_are_no_part_of_the_safe_size_and_it_says_so(tmp_path: Path) -> None:
    made = report(record(figures=FIGURES), result=job(tmp_path, 2, faults=[Fault.times_out(mini_batch=0, attempt=1)]))
    assert "1 attempt that ran into the timeout had no part in this." in html_report([made])


def test_where_nothing_failed_and_no_limit_is_set_there_is_no_empty_plot(tmp_path: Path) -> None:
    page = html_report([report(record(), result=job(tmp_path, 2, error_threshold=0))])
    assert 'id="entry-0-error_threshold-data"' in page
    assert 'id="entry-0-allowed_failed_percent-data"' not in page
    assert "% of mini-batches failed: 0. allowed_failed_percent is off" in page


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
    drawn = traces(html_report([report(record(), result=result)]), "entry-0-timeline-data")
    assert drawn["did not come up"]["y"] == ["worker 0"]
    assert drawn["import and init()"]["y"] == ["worker 1"]


def test_where_run_was_never_called_no_time_is_told(tmp_path: Path) -> None:
    made = report(record(), result=job(tmp_path, 2))
    trace = Trace.from_json(made.trace or {})
    made.trace = replace(trace, cells=tuple(replace(cell, seconds=None) for cell in trace.cells)).as_json()
    page = html_report([made])
    assert "run() was never called; timeout is 60 s." in page
    assert 'id="entry-0-times-data"' not in page


def test_a_retry_is_a_lower_bar(tmp_path: Path) -> None:
    course: Course = {"000.txt": [ValueError("bad")]}
    page = html_report([report(record(), result=job(tmp_path, 2, course))])
    drawn = traces(page, "entry-0-timeline-data")
    assert drawn["exception"]["width"] == [0.66]
    assert drawn["succeeded"]["width"] == [0.66, 0.33]
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


def test_many_mini_batches_are_said_to_be_drawn_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "MAX_CELLS", 3)
    monkeypatch.setattr(trace_module, "MAX_BARS", 5)
    page = without_scripts(html_report([report(record(), result=job(tmp_path, 7))]))
    assert "7 mini-batches are too many to be drawn one by one: each cell and each point stands for 3" in page
    assert "7 attempts are too many as well" in page
    assert len(re.findall(r"data-index=", page)) == 3
    assert 'aria-label="mini-batches 0 to 2: 3 succeeded, ' in page


@pytest.mark.parametrize(
    ("seconds", "text"), [(100_000, "100,000 s"), (1000, "1,000 s"), (12.34, "12.3 s"), (0.5, "500 ms"), (0, "0 ms")]
)
def test_a_time_is_told_without_powers_of_ten(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


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


def test_a_page_of_100_000_mini_batches_is_below_10_megabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    page = tmp_path / "page.html"
    write_report(page, [largest()])
    assert 4_000_000 < page.stat().st_size < 10_000_000


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

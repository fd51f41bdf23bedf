"""The summary of a gate on the terminal: a line for each entry, then details."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple

from pytest_parallelrun.report.forecast import forecast_sentences, forecast_tables, forecast_title
from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport, GroupedFinding, Verdict, grouped_findings
from pytest_parallelrun.report.sanitize import count_of, visible
from pytest_parallelrun.report.trace import Bar, Trace

Style = Literal["plain", "good", "bad", "warning"]
STYLES: Mapping[Verdict, Style] = {"passed": "good", "failed": "bad", "incomplete": "warning"}

NARROWEST = 30
"""Minimum columns for wrapping, however narrow the terminal is."""
MAX_ATTEMPTS = 50
"""Lines of the timeline."""


class Line(NamedTuple):
    """One line, and its colour, if colours are used."""

    text: str
    style: Style = "plain"


def summary_lines(report: EntryReport, *, width: int = 80, verbosity: int = 0) -> Iterator[Line]:
    """The verdict with its counts; then findings, notes on the job, advice, and why checks were skipped.

    width: in columns. verbosity: that of pytest; below 0 there are the verdict and a line for each advice.
    """
    yield Line(visible(f"{report.entry}: {headline(report)}"), STYLES[report.verdict])
    page = _Page(max(width, NARROWEST))
    if report.interrupted:
        yield from page.wrapped("interrupted: results are incomplete")
    elif report.unjudged and not report.count("failed"):
        yield from page.wrapped(f"the sample was not judged: {report.unjudged}", STYLES[report.verdict])
    if verbosity < 0:
        for record in (grouped.record for grouped in grouped_findings(report, "advice")):
            yield from page.wrapped(f"advice ({record.name}): {record.headline}", "warning")
        if report.forecast is not None:
            yield from page.forecast(report.forecast, brief=True)
        return
    job = report.job
    if job is not None and job["reason"]:
        yield from page.wrapped(f"job {job['status']}: {job['reason']}")
    for number, grouped in enumerate(grouped_findings(report, "failed"), 1):
        yield from page.finding(grouped, f"{number}. ", "bad")
    for grouped in grouped_findings(report, "advice"):
        yield from page.finding(grouped, "advice: ", "warning")
    for note in (*_texts(job["notes"] if job else ()), *(report.set_up_notes if verbosity > 0 else ())):
        yield from page.wrapped(f"note: {note}")
    noted: dict[str, list[str]] = {}
    for check in report.records:
        for note in (*check.notes, *(check.details if verbosity > 0 else ())):
            noted.setdefault(note, []).append(check.name)
    for note, names in noted.items():
        yield from page.wrapped(f"note ({', '.join(names)}): {note}")
    for check in report.records:
        if check.outcome == "accepted":
            yield from page.wrapped(f"accepted ({check.name}): {check.headline.rstrip('.')}; {check.reason}")
    for reason, names in report.not_checked().items():
        yield from page.wrapped(f"skipped ({reason}): {', '.join(names)}")
    if report.forecast is not None:
        yield from page.forecast(report.forecast)
    if verbosity > 0 and report.trace is not None:
        yield from page.timeline(Trace.from_json(report.trace))


def headline(report: EntryReport) -> str:
    parts = [count_of(len(report.checks), "check")]
    parts += [f"{number} {outcome}" for outcome, number in report.counts()]
    job = report.job
    if job is not None:
        parts.append(
            f"{job['succeeded_mini_batches']} of {job['total_mini_batches']} mini-batches and "
            f"{job['succeeded_items']} of {job['total_items']} items succeeded"
        )
        parts.append(count_of(int(str(job["attempts"])), "attempt"))
    seconds = f" that took {report.init_seconds:.1f} s" if report.init_seconds >= 1 else ""
    parts.append(count_of(report.init_calls, "init() call") + seconds)
    parts.append(f"{report.duration:.2f} s")
    return f"{report.verdict}: {', '.join(parts)}"


def acceptance_lines(acceptances: Iterable[AcceptanceRecord]) -> Iterator[str]:
    """The accepted findings of the ini file that need attention."""
    for acceptance in acceptances:
        if acceptance.message:
            yield visible(f"parallelrun_accept {acceptance.line!r}: {acceptance.message}")


class _Page:
    """Lines below that of an entry, wrapped to the width."""

    def __init__(self, width: int) -> None:
        self._width = width

    def wrapped(self, text: str, style: Style = "plain", first: str = "  ", following: str = "    ") -> Iterator[Line]:
        """A paragraph for each line of the text. Words, such as paths, are never broken."""
        for line in visible(text).splitlines():
            parts = textwrap.wrap(
                line,
                self._width,
                initial_indent=first,
                subsequent_indent=following,
                break_long_words=False,
                break_on_hyphens=False,
            )
            yield from (Line(part, style) for part in parts)
            first = following

    def finding(self, grouped: GroupedFinding, mark: str, style: Style) -> Iterator[Line]:
        """Its name, what it is, where, and the fix; the rest is among the failures, or in the reports."""
        also = f" (also reported by {', '.join(grouped.also)})" if grouped.also else ""
        yield from self.wrapped(f"{mark}{grouped.record.name}{also}", style)
        indent = "    "
        yield from self.wrapped(grouped.finding.what, first=indent, following=indent)
        for line in grouped.finding.labelled_lines("location", "fix"):
            yield from self.wrapped(line, first=indent, following=indent + "  ")
        if grouped.command:
            # In one piece, for copying.
            yield Line(visible(f"{indent}replay: {grouped.command}"))

    def forecast(self, forecast: Mapping[str, object], *, brief: bool = False) -> Iterator[Line]:
        """Its sentences and tables. brief: the wall time only."""
        yield from self.wrapped(forecast_title(forecast), "warning" if "problem" in forecast else "plain")
        if "problem" in forecast:
            return
        for sentence in islice(forecast_sentences(forecast), 1 if brief else None):
            yield from self.wrapped(sentence, first="    ", following="      ")
        if brief:
            return
        for table in forecast_tables(forecast):
            yield Line(f"    {table.title.lower()}")
            rows = [table.head, *table.rows]
            widths = [max(len(row[column]) for row in rows) for column in range(len(table.head))]
            # Where a table is too wide, its last column goes below the others.
            below = 6 + sum(widths) + 2 * len(widths) - 2 > self._width
            for row in rows:
                cells = "  ".join(cell.ljust(width) for cell, width in zip(row[: -below or None], widths, strict=False))
                yield Line(visible(f"      {cells.rstrip()}"))
                if below and row is not table.head:
                    yield from self.wrapped(row[-1], first=" " * 8, following=" " * 8)
        for note in forecast["notes"] if isinstance(forecast["notes"], list) else ():
            yield from self.wrapped(f"note: {note}", first="    ", following="      ")

    def timeline(self, trace: Trace) -> Iterator[Line]:
        """The attempts in their order, with what each worker did."""
        yield Line(f"  timeline: {count_of(trace.total_attempts, 'attempt')}, {trace.duration:.3f} s")
        starts = []
        for lane in trace.lanes:
            came_up = f"did not come up: {lane.error}" if lane.error else f"up in {lane.seconds:.3f} s"
            starts.append((lane.started, f"worker {lane.worker}: {came_up}"))
        events = sorted([*starts, *((bar.started, _bar_text(bar)) for bar in trace.bars)])
        for started, text in events[:MAX_ATTEMPTS]:
            yield from self.wrapped(f"{started:9.3f} s  {text}", following=" " * 15)
        if len(events) > MAX_ATTEMPTS:
            yield Line(f"    and {len(events) - MAX_ATTEMPTS:,} more lines; --parallelrun-report=x.html draws them")


def _bar_text(bar: Bar) -> str:
    if bar.mini_batch is None:
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in bar.outcomes.items())
        return f"worker {bar.worker}: {bar.attempts} attempts in {bar.seconds:.3f} s: {outcomes}"
    text = f"worker {bar.worker}: mini-batch {bar.mini_batch}, attempt {bar.number}: {bar.outcome}"
    return f"{text} after {bar.seconds:.3f} s" + (f": {bar.error}" if bar.error else "")


def _texts(value: object) -> Iterable[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []

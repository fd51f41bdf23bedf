"""The report as Markdown, for summaries of CI systems and for pull requests.

File names, errors and results are not trusted: they are in code fences, in code spans, or escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_parallelrun.report.forecast import forecast_sentences, forecast_tables, forecast_title
from pytest_parallelrun.report.records import (
    NOT_CHECKABLE,
    SIMULATED,
    AcceptanceRecord,
    EntryReport,
    GroupedFinding,
    gate_headline,
    grouped_findings,
    worst_verdict,
)
from pytest_parallelrun.report.sanitize import count_of, in_one_line, visible

_SPECIAL = re.compile(r"([\\`*_\[\]|~$#!])")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
SIGNS = {"passed": "✅", "failed": "❌", "incomplete": "⚠️", "advice": "💡", "accepted": "☑️", "skipped": "⏭️"}
NO_MORE = "\n\n*The rest is left out: the summary would be too long. The other reports have all of it.*\n"


def markdown_report(
    reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord] = (), *, most_bytes: int | None = None
) -> str:
    """The whole report as a string; most_bytes: where it is cut, after a whole part, in UTF-8."""
    parts: list[str] = []
    room = None if most_bytes is None else most_bytes - len(NO_MORE.encode())
    for part in _parts(reports, acceptances):
        if room is not None:
            room -= len(part.encode("utf-8", "backslashreplace")) + 2
            if room < 0:
                return "\n\n".join(parts) + NO_MORE
        parts.append(part)
    return "\n\n".join(parts) + "\n"


def code(text: str) -> str:
    """A code span in one line for any text, also in a table."""
    line = in_one_line(text).replace("|", "\\|") or " "
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if "`" in line else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fence(text: str, language: str = "text") -> str:
    """A fenced block for any text."""
    ticks = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{ticks}{language}\n{visible(text)}\n{ticks}"


def sentence(text: str) -> str:
    """A text in one line, with Markdown and HTML escaped."""
    line = in_one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # In a pull request `@name` would notify somebody.
    return _MENTION.sub("@<!-- -->", _SPECIAL.sub(r"\\\1", line))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _parts(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]) -> Iterator[str]:
    yield f"# {SIGNS[worst_verdict(reports)]} {gate_headline(reports)}"
    yield table(
        ("entry", "verdict", "checks", "mini-batches", "items", "attempts", "init() calls", "time"),
        [_overview(report) for report in reports],
    )
    for report in reports:
        yield from _entry(report)
    wanting = [acceptance for acceptance in acceptances if acceptance.message]
    if wanting:
        yield "## Accepted findings to look at"
        yield "\n".join(f"- {code(acceptance.line)}: {sentence(acceptance.message)}" for acceptance in wanting)
    yield _folded("What is simulated", table(("what", "how"), [[sentence(a), sentence(b)] for a, b in SIMULATED]))
    yield _folded(
        "What cannot be checked here",
        table(("what", "what happens here"), [[sentence(a), sentence(b)] for a, b in NOT_CHECKABLE]),
    )


def _overview(report: EntryReport) -> list[str]:
    job = report.job
    counts = ["", "", ""]
    if job is not None:
        counts = [
            f"{job['succeeded_mini_batches']} of {job['total_mini_batches']}",
            f"{job['succeeded_items']} of {job['total_items']}",
            f"{job['attempts']}",
        ]
    return [
        code(report.entry),
        f"{SIGNS[report.verdict]} {report.verdict}",
        ", ".join([str(len(report.checks)), *(f"{number} {outcome}" for outcome, number in report.counts())]),
        *counts,
        str(report.init_calls),
        f"{report.duration:.2f} s",
    ]


def _entry(report: EntryReport) -> Iterator[str]:
    yield f"## {SIGNS[report.verdict]} {code(report.entry)}"
    if report.interrupted:
        yield "The run was interrupted: results are incomplete."
    elif report.unjudged and not report.count("failed"):
        yield f"The sample was not judged: {sentence(report.unjudged)}."
    job = report.job
    if job is not None:
        reason = f": {sentence(str(job['reason']))}" if job["reason"] else ""
        yield f"The job with the whole sample is **{job['status']}**{reason}."
    for grouped in grouped_findings(report):
        yield from _finding(grouped)
    notes = [str(note) for note in job["notes"]] if job and isinstance(job["notes"], (list, tuple)) else []
    notes += report.set_up_notes
    notes += [f"{check.name}: {note}" for check in report.records for note in (*check.notes, *check.details)]
    if notes:
        yield "### Notes"
        yield "\n".join(f"- {sentence(note)}" for note in notes)
    if report.forecast is not None:
        yield from _forecast(report.forecast)
    accepted = [check for check in report.records if check.outcome == "accepted"]
    if accepted:
        yield "### Accepted"
        yield "\n".join(f"- {check.name}: {sentence(check.headline)} ({sentence(check.reason)})" for check in accepted)
    skipped = report.not_checked()
    if skipped:
        yield "### Not checked"
        yield "\n".join(f"- {sentence(reason)}: {', '.join(names)}" for reason, names in skipped.items())
    yield _folded(
        f"{count_of(len(report.checks), 'check')}",
        table(
            ("check", "outcome", "what it finds", "time"),
            [
                [
                    check.name,
                    f"{SIGNS[check.outcome]} {check.outcome}",
                    sentence(report.catalogue.get(check.name, "")),
                    f"{check.duration:.2f} s",
                ]
                for check in report.records
            ],
        ),
    )
    set_up = [[name, code(text)] for name, text in report.set_up.items()]
    yield _folded(
        "Set-up, and settings with their origins",
        (table(("what", "value"), set_up) + "\n\n" if set_up else "")
        + table(
            ("setting", "value", "from"),
            [
                [
                    setting.name,
                    code(setting.value),
                    sentence(setting.origin) + ("" if setting.emulated else " (not emulated)"),
                ]
                for setting in report.settings
            ],
        ),
    )


def _forecast(forecast: Mapping[str, object]) -> Iterator[str]:
    yield f"### {sentence(forecast_title(forecast))}"
    if "problem" in forecast:
        return
    notes = forecast["notes"] if isinstance(forecast["notes"], list) else []
    yield "\n".join(f"- {sentence(text)}" for text in (*forecast_sentences(forecast), *notes))
    for each in forecast_tables(forecast):
        yield table(each.head, [[sentence(cell) for cell in row] for row in each.rows])


def _finding(grouped: GroupedFinding) -> Iterator[str]:
    record = grouped.record
    also = f" (also reported by {', '.join(grouped.also)})" if grouped.also else ""
    yield f"### {SIGNS[record.outcome]} {record.name}{also}"
    if record.finding is None:
        yield fence(record.message)
        return
    finding = record.finding
    yield "  \n".join(map(sentence, finding.what.splitlines()))
    parts = list(grouped.parts())
    lines = [f"- {title}: {sentence(text)}" for title, text in parts if "\n" not in text]
    if lines:
        yield "\n".join(lines)
    long = [*((title, text) for title, text in parts if "\n" in text), *grouped.blocks()]
    yield from (f"{title}:\n\n{fence(text)}" for title, text in long)
    if grouped.command:
        yield fence(grouped.command, "console")
    elif finding.replay is not None:
        yield sentence(finding.replay.text())


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"

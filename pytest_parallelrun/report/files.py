"""The report files: their types by suffix, and what writes each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from pytest_parallelrun.report.markdown import markdown_report
from pytest_parallelrun.report.records import AcceptanceRecord, CheckRecord, EntryReport
from pytest_parallelrun.report.sanitize import Redaction

Maker = Callable[[Sequence[EntryReport], Sequence[AcceptanceRecord]], str]

NEEDED_BY_HTML = ("jinja2",)
INSTALL = 'pip install "pytest-parallelrun[html]"'
VERSION = 2
"""Version of the JSON report; docs/reference/report.schema.json describes it."""


def json_report(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord] = ()) -> str:
    content = {
        "version": VERSION,
        "entries": [_entry(report) for report in reports],
        "acceptances": [asdict(acceptance) for acceptance in acceptances],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _entry(report: EntryReport) -> dict[str, object]:
    return {
        "entry": report.entry,
        "verdict": report.verdict,
        "unjudged": report.unjudged,
        "interrupted": report.interrupted,
        "duration": report.duration,
        "init_calls": report.init_calls,
        "init_seconds": report.init_seconds,
        "job": report.job,
        "checks": [_check(check) for check in report.records],
        "settings": [asdict(setting) for setting in report.settings],
        "set_up": dict(report.set_up),
        "set_up_notes": list(report.set_up_notes),
        "trace": report.trace,
        "forecast": report.forecast,
    }


def _check(check: CheckRecord) -> dict[str, object]:
    values = check.as_json()
    # These are of the entry, or for the reports that are read by people.
    of_entry = ("entry", "skipped", "init_calls", "init_seconds", "job", "trace")
    return {name: values[name] for name in values if name not in of_entry}


def _html(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]) -> str:
    # It imports a template engine and a plotting library.
    from pytest_parallelrun.report.html import html_report

    return html_report(reports, acceptances)


def missing() -> list[str]:
    """Packages that an HTML report needs and that are not installed."""
    return [name for name in NEEDED_BY_HTML if find_spec(name) is None]


MAKERS: Mapping[str, Maker] = {".json": json_report, ".html": _html, ".md": markdown_report}
"""By suffix, in lower case."""


def write_report(path: Path, reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord] = ()) -> None:
    """Writes the report, and creates its folder. OSError if that fails."""
    text = MAKERS[path.suffix.lower()](reports, acceptances)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file name in another encoding than that of the system contains characters that cannot be encoded.
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def redact_files(folder: Path, redaction: Redaction) -> None:
    """Masks secrets in files below a folder: the logs, which have what a script printed."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            # Bytes that are no UTF-8 stay as they are.
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            if (masked := redaction.text(text)) != text:
                path.write_bytes(masked.encode("utf-8", "surrogateescape"))

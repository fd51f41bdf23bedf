"""The report files: their kinds, told by the ending, and what writes each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_parallelrun.report.json_report import json_report
from pytest_parallelrun.report.markdown import markdown_report
from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport

Maker = Callable[[Sequence[EntryReport], Sequence[AcceptanceRecord]], str]


def _html(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord]) -> str:
    # It imports a template engine and a library of plots.
    from pytest_parallelrun.report.html.page import html_report

    return html_report(reports, acceptances)


MAKERS: Mapping[str, Maker] = {".json": json_report, ".html": _html, ".md": markdown_report}
"""By the ending, in lower case."""


def write_report(path: Path, reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord] = ()) -> None:
    """Writes the report, and the folders above it. OSError where that cannot be done."""
    text = MAKERS[path.suffix.lower()](reports, acceptances)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file name in another encoding than that of the system has characters that no encoding has.
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")

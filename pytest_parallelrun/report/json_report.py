"""The JSON report. Its form is versioned, and described in docs/reference/json-report.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport

VERSION = 1


def write_json(path: Path, reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord] = ()) -> None:
    """Writes the report, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "version": VERSION,
        "entries": [_entry(report) for report in reports],
        "acceptances": [asdict(acceptance) for acceptance in acceptances],
    }
    path.write_text(
        json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace"
    )


def _entry(report: EntryReport) -> dict[str, object]:
    return {
        "entry": report.entry,
        "verdict": report.verdict,
        "job": report.job,
        "init_calls": report.init_calls,
        "checks": [
            {
                "name": check.name,
                "outcome": check.outcome,
                "message": check.message,
                "cause": check.cause,
                "reason": check.reason,
                "notes": list(check.notes),
                "duration": check.duration,
            }
            for check in report.checks.values()
        ],
    }

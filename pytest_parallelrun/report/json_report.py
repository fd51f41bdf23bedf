"""The JSON report. Its form is versioned, and described by docs/reference/report.schema.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from pytest_parallelrun.report.records import AcceptanceRecord, CheckRecord, EntryReport

VERSION = 1


def json_report(reports: Sequence[EntryReport], acceptances: Sequence[AcceptanceRecord] = ()) -> str:
    """The whole report as text."""
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
        "interrupted": report.interrupted,
        "duration": report.duration,
        "init_calls": report.init_calls,
        "job": report.job,
        "checks": [_check(check) for check in report.records],
        "settings": [asdict(setting) for setting in report.settings],
        "set_up": dict(report.set_up),
        "set_up_notes": list(report.set_up_notes),
        "trace": report.trace,
    }


def _check(check: CheckRecord) -> dict[str, object]:
    return {
        "name": check.name,
        "outcome": check.outcome,
        "message": check.message,
        "cause": check.cause,
        "reason": check.reason,
        "notes": list(check.notes),
        "details": list(check.details),
        "finding": check.finding,
        "figures": dict(check.figures),
        "duration": check.duration,
    }

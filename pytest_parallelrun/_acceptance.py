"""Accepted findings: lines of the ini file such as `independent_of_order src/*.py: samples, until 2027-01-31`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest

from pytest_parallelrun._options import ACCEPT, STEP, usage_error
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.errors import did_you_mean
from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport

SHAPE = "CHECK [ENTRY_PATTERN]: REASON [until YYYY-MM-DD]"

_LINE = re.compile(r"(?P<check>[^\s:]+)(?:\s+(?P<pattern>[^:]*[^\s:]))?\s*:\s*(?P<reason>.*)")
_UNTIL = re.compile(r"(?:^|[\s,;(])until\s+(?P<date>\S+?)[).]*$")


def read_acceptances(config: pytest.Config) -> tuple[AcceptanceRecord, ...]:
    """The lines of the ini file. UsageError for an unknown check, a missing reason or a wrong date."""
    file = config.inipath
    origin = f"{ACCEPT} in {file.name if file else 'the ini file'}"
    lines = [line for line in config.getini(ACCEPT) if not line.lstrip().startswith("#")]
    return tuple(_read(line, origin) for line in lines)


def accepting(acceptances: Iterable[AcceptanceRecord], entry: str, check: str) -> AcceptanceRecord | None:
    """The line that accepts findings of this check; None if there is none, or it expired."""
    covering = (one for one in acceptances if one.check == check and _covers(one, entry))
    return next((one for one in covering if not _has_expired(one)), None)


def _covers(acceptance: AcceptanceRecord, entry: str) -> bool:
    # `score.py` also matches `score.py::step`, because a line cannot contain the colons.
    return any(fnmatchcase(name, acceptance.pattern) for name in (entry, entry.partition(STEP)[0]))


def _has_expired(acceptance: AcceptanceRecord) -> bool:
    return acceptance.until is not None and acceptance.until < datetime.date.today().isoformat()


def _read(line: str, origin: str) -> AcceptanceRecord:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise usage_error(f"{origin}: {line!r} is not an accepted finding: write {SHAPE}.")
    check, pattern, reason = match["check"], match["pattern"] or "*", match["reason"].strip()
    names = [spec.name for spec in CHECKS]
    if check not in names:
        raise usage_error(f"{origin}: {line!r}: there is no check {check!r}. {did_you_mean(check, names)}")
    until = None
    limit = _UNTIL.search(reason)
    if limit is not None:
        try:
            until = datetime.date.fromisoformat(limit["date"]).isoformat()
        except ValueError:
            raise usage_error(
                f"{origin}: {line!r}: {limit['date']!r} is not a date: write until YYYY-MM-DD, as in until 2027-01-31."
            ) from None
        reason = reason[: limit.start()].rstrip(" ,;(")
    if not reason:
        raise usage_error(f"{origin}: {line!r} has no reason: write {SHAPE}.")
    return AcceptanceRecord(line=line.strip(), check=check, pattern=pattern, reason=reason, until=until)


def judged(acceptance: AcceptanceRecord, reports: Sequence[EntryReport]) -> AcceptanceRecord:
    """A line with its state after a run."""
    entries = [report for report in reports if _covers(acceptance, report.entry)]
    records = [report.checks[acceptance.check] for report in entries if acceptance.check in report.checks]
    if not entries:
        message = f"no entry of this run matches {acceptance.pattern!r}"
        return replace(acceptance, state="unmatched", message=message)
    if {record.outcome for record in records} == {"passed"}:
        return replace(acceptance, state="unneeded", message="the check found nothing: remove the line")
    if _has_expired(acceptance):
        message = f"expired on {acceptance.until}: fix the script, or give a later date"
        return replace(acceptance, state="expired", message=message)
    return replace(acceptance, state="in force" if records else "unknown")

"""Accepted findings: lines of the ini file such as `independent_of_order src/*.py: samples, until 2027-01-31`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest

from pytest_parallelrun._options import ACCEPT, STEP, usage_error
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.errors import did_you_mean
from pytest_parallelrun.report.records import AcceptanceRecord, AcceptanceState, EntryReport

SHAPE = "CHECK [ENTRY_PATTERN]: REASON [until YYYY-MM-DD]"

_LINE = re.compile(r"(?P<check>[^\s:]+)(?:\s+(?P<pattern>[^:]*[^\s:]))?\s*:\s*(?P<reason>.*)")
_UNTIL = re.compile(r"(?:^|[\s,;(])until\s+(?P<date>\S+?)[).]*$")


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """One line: accepts findings of `check` in entries whose node id matches `pattern`, up to and including `until`."""

    line: str
    check: str
    pattern: str
    reason: str
    until: datetime.date | None

    def covers(self, entry: str, check: str) -> bool:
        return check == self.check and self.covers_entry(entry)

    def covers_entry(self, entry: str) -> bool:
        # `score.py` also matches `score.py::step`, because a line cannot contain the colons.
        return fnmatchcase(entry, self.pattern) or fnmatchcase(entry.partition(STEP)[0], self.pattern)

    @property
    def expired(self) -> bool:
        return self.until is not None and self.until < datetime.date.today()


def read_acceptances(config: pytest.Config) -> tuple[Acceptance, ...]:
    """The lines of the ini file. UsageError for an unknown check, a missing reason or a wrong date."""
    file = config.inipath
    origin = f"{ACCEPT} in {file.name if file else 'the ini file'}"
    lines = [line for line in config.getini(ACCEPT) if not line.lstrip().startswith("#")]
    return tuple(_read(line, origin) for line in lines)


def accepting(acceptances: Iterable[Acceptance], entry: str, check: str) -> Acceptance | None:
    """The line that accepts findings of this check; None if there is none, or it expired."""
    covering = (acceptance for acceptance in acceptances if acceptance.covers(entry, check))
    return next((acceptance for acceptance in covering if not acceptance.expired), None)


def _read(line: str, origin: str) -> Acceptance:
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
            until = datetime.date.fromisoformat(limit["date"])
        except ValueError:
            raise usage_error(
                f"{origin}: {line!r}: {limit['date']!r} is not a date: write until YYYY-MM-DD, as in until 2027-01-31."
            ) from None
        reason = reason[: limit.start()].rstrip(" ,;(")
    if not reason:
        raise usage_error(f"{origin}: {line!r} has no reason: write {SHAPE}.")
    return Acceptance(line=line.strip(), check=check, pattern=pattern, reason=reason, until=until)


def judged(acceptance: Acceptance, reports: Sequence[EntryReport]) -> AcceptanceRecord:
    """The state of a line after a run."""
    entries = [report for report in reports if acceptance.covers_entry(report.entry)]
    records = [report.checks[acceptance.check] for report in entries if acceptance.check in report.checks]
    outcomes = {record.outcome for record in records}
    state: AcceptanceState = "in force"
    message = ""
    if not entries:
        state, message = "unmatched", f"no entry of this run matches {acceptance.pattern!r}"
    elif outcomes == {"passed"}:
        state, message = "unneeded", "the check found nothing: remove the line"
    elif acceptance.expired:
        state, message = "expired", f"expired on {acceptance.until}: fix the script, or give a later date"
    elif not records:
        state = "unknown"
    until = None if acceptance.until is None else acceptance.until.isoformat()
    return AcceptanceRecord(**{**vars(acceptance), "until": until}, state=state, message=message)

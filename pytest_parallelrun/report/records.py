"""What a report is made of: plain values, so that they cross the processes of pytest-xdist as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from pytest_parallelrun.emulator.result import JobResult

CheckOutcome = Literal["passed", "failed", "advice", "accepted", "skipped"]
AcceptanceState = Literal["in force", "expired", "unneeded", "unmatched", "unknown"]
"""Of an accepted finding: expired; its check found nothing; no entry matches; its check was not among those run."""


@dataclass(frozen=True, kw_only=True)
class CheckRecord:
    """One check of one entry. `job` is there where the check ran or shared the run of the whole sample.

    cause: the same for findings of one cause. reason: why a finding is accepted.
    """

    entry: str
    name: str
    outcome: CheckOutcome
    message: str = ""
    cause: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    init_calls: int = 0
    duration: float = 0.0
    job: Mapping[str, object] | None = None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class AcceptanceRecord:
    """One accepted finding of the ini file, and what became of it. `until`: its last day as YYYY-MM-DD."""

    line: str
    check: str
    pattern: str
    reason: str
    until: str | None
    state: AcceptanceState
    message: str


@dataclass(kw_only=True)
class EntryReport:
    """All that is known of one entry, filled as its checks end."""

    entry: str
    checks: dict[str, CheckRecord] = field(default_factory=dict)
    job: Mapping[str, object] | None = None
    init_calls: int = 0
    duration: float = 0.0
    interrupted: bool = False

    def add(self, record: CheckRecord) -> None:
        """Takes in a check; a failure in its teardown does not hide behind an earlier pass."""
        known = self.checks.get(record.name)
        if known is None or known.outcome != "failed":
            self.checks[record.name] = record
        self.init_calls += record.init_calls
        self.duration += record.duration
        self.job = self.job or record.job

    @property
    def verdict(self) -> Literal["passed", "failed"]:
        """An entry that was not checked, or not to the end, has not passed."""
        failed = self.interrupted or not self.checks or self.count("failed") > 0
        return "failed" if failed else "passed"

    def count(self, outcome: CheckOutcome) -> int:
        return sum(check.outcome == outcome for check in self.checks.values())


def job_facts(result: JobResult) -> dict[str, object]:
    """What the reports say of a job, in JSON's own types."""
    return {
        "status": result.status,
        "reason": result.reason,
        "exceeded": result.exceeded,
        "total_mini_batches": result.total_mini_batches,
        "processed_mini_batches": result.processed_mini_batches,
        "succeeded_mini_batches": result.succeeded_mini_batches,
        "failed_mini_batches": result.failed_mini_batches,
        "total_items": result.total_items,
        "succeeded_items": result.succeeded_items,
        "failed_items": result.failed_items,
        "attempts": len(result.attempts),
        "duration": result.duration,
        "readings": dict(result.readings),
        "notes": list(result.notes),
    }

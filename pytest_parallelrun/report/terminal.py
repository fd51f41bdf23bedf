"""The summary of a gate on the terminal: a line for each entry, then what is not a failure and yet to be known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_parallelrun.report.records import AcceptanceRecord, EntryReport


def summary_lines(report: EntryReport) -> Iterator[str]:
    """The verdict with its counts, the notes on the job, advice, and why checks were skipped."""
    yield f"{report.entry}: {report.verdict}: {', '.join(_counts(report))}"
    job = report.job
    if job is not None:
        yield (
            f"  job {job['status']}: {job['succeeded_mini_batches']} of {job['total_mini_batches']} mini-batches and "
            f"{job['succeeded_items']} of {job['total_items']} items succeeded, {job['attempts']} attempts, "
            f"{job['duration']:.2f} s"
        )
        if job["reason"]:
            yield f"  reason: {job['reason']}"
        for note in _texts(job["notes"]):
            yield f"  note: {note}"
    for check in report.checks.values():
        for note in check.notes:
            yield f"  note ({check.name}): {note}"
        if check.outcome == "advice":
            first, *rest = check.message.splitlines()
            yield f"  advice ({check.name}): {first}"
            yield from (f"    {line}" for line in rest)
        elif check.outcome == "accepted":
            yield f"  accepted ({check.name}): {first_line(check.message)}; {check.reason}"
    skipped: dict[str, list[str]] = {}
    for check in report.checks.values():
        if check.outcome == "skipped":
            skipped.setdefault(check.message, []).append(check.name)
    for reason, names in skipped.items():
        yield f"  not checked, {reason}: {', '.join(names)}"


def acceptance_lines(acceptances: Iterable[AcceptanceRecord]) -> Iterator[str]:
    """The accepted findings of the ini file that want to be looked at."""
    for acceptance in acceptances:
        if acceptance.message:
            yield f"parallelrun_accept {acceptance.line!r}: {acceptance.message}"


def first_line(text: str) -> str:
    """What a finding says first."""
    return text.partition("\n")[0]


def _counts(report: EntryReport) -> Iterator[str]:
    yield f"{len(report.checks)} checks"
    for outcome in ("failed", "advice", "accepted", "skipped"):
        number = report.count(outcome)
        if number:
            yield f"{number} {outcome}"
    yield f"{report.init_calls} init() calls"


def _texts(value: object) -> Iterable[str]:
    return [str(item) for item in value] if isinstance(value, list) else []

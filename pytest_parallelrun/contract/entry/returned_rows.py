"""What run() returned in the baseline, and whether it is appended at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.finding import Location
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded


class ReturnedRows(NamedTuple):
    """What run() returned. label: for messages, such as "mini-batch 0 (a.txt)"."""

    mini_batch: int
    label: str
    value: object


def returned_rows(baseline: Baseline) -> list[ReturnedRows]:
    """What the last attempt at each mini-batch returned."""
    last = {a.mini_batch.id: a for a in baseline.result.attempts if a.returned is not None}
    return [ReturnedRows(id, f"mini-batch {id} ({baseline.items(a)})", a.value) for id, a in sorted(last.items())]


def appending(entry: EntryUnderTest) -> str:
    if entry.settings.output_action == "append_row":
        return "In the appended output"
    return "With output_action=append_row, which is not set here,"


def writes_files_instead(trials: Observations, check: Check) -> bool:
    """Whether nothing is appended and the script writes files of its own: then its return values are only counted."""
    if trials.entry.settings.output_action != "summary_only" or not any(_written(trials)):
        return False
    check.note("what run() returns is only counted: with output_action=summary_only the script writes its own files")
    return True


def _written(trials: Observations) -> Iterator[str]:
    try:
        tried = trials.forward.tried
    except WorkerStartError:
        return
    for _, one in tried:
        yield from one.files.written


def location_of_attempt(baseline: Baseline, attempt: AttemptEnded) -> Location:
    tries = baseline.result.settings.max_retries + 1
    return Location(
        phase="run",
        mini_batch=attempt.mini_batch.id,
        items=baseline.items(attempt),
        attempt=attempt.number,
        attempts=tries,
    )

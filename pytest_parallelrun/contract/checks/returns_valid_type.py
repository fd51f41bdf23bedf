"""Run() returns neither list, tuple nor DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import case_of
from pytest_parallelrun.contract.entry.preconditions import skip_without_results
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.known_causes import hints
from pytest_parallelrun.contract.phrases import shown_for

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest


def test_returns_valid_type(
    parallelrun_entry: EntryUnderTest, parallelrun_baseline: Baseline, parallelrun_check: Check
) -> None:
    """run() returns a list, a tuple or a DataFrame."""
    __tracebackhide__ = True
    attempts = parallelrun_baseline.result.attempts
    wrong = [attempt for attempt in attempts if attempt.outcome == "wrong_type"]
    if wrong:
        first = wrong[0]
        assert first.failure is not None
        parallelrun_check.fail(
            Finding(
                what=first.failure.error,
                location=parallelrun_baseline.location_of(first),
                counts=f"in {len({a.mini_batch.id for a in wrong})} of "
                f"{parallelrun_baseline.result.total_mini_batches} mini-batches",
                service=shown_for("wrong_type"),
                fix=hints([first.failure], parallelrun_entry),
                cause=Cause.of_attempt(first),
                case=case_of(parallelrun_entry, first),
            )
        )
    if all(attempt.returned is None for attempt in attempts):
        skip_without_results(parallelrun_baseline, parallelrun_check)

"""The sample fails under the settings of the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import case_of
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.phrases import ERROR_LOG, hints, sentences

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest

DISPUTED = "The job completes by one reading of the rules, and fails by the other."


def test_job_completes(
    parallelrun_entry: EntryUnderTest, parallelrun_baseline: Baseline, parallelrun_check: Check
) -> None:
    """The whole sample runs through under the job's own settings."""
    __tracebackhide__ = True
    result = parallelrun_baseline.result
    readings = parallelrun_baseline.readings
    if result.status == "Completed":
        readings.advise_on_other(
            parallelrun_check, Finding(what=DISPUTED, cause=parallelrun_baseline.cause_of_losses())
        )
        return
    losing = parallelrun_baseline.losing_attempts
    readings.conclude(
        parallelrun_check,
        Finding(
            what=sentences(f"The job fails: {result.reason}", parallelrun_baseline.first_error()),
            location=parallelrun_baseline.location_of(losing[0]) if losing else None,
            traceback=parallelrun_baseline.first_traceback(),
            counts=parallelrun_baseline.explain(),
            service=f"a job that fails ends with exit code 42, the error is in {ERROR_LOG}",
            fix=hints(parallelrun_baseline.shown_failures(), parallelrun_entry),
            cause=parallelrun_baseline.cause_of_losses(),
            case=case_of(parallelrun_entry, losing[0]) if losing else None,
        ),
        headline=DISPUTED,
    )

"""The sample fails under the settings of the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import case_of
from pytest_parallelrun.contract.dependence.state import cause_of_losses
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.known_causes import hints
from pytest_parallelrun.contract.losses import cause_and_fix, finding_of_total_failure
from pytest_parallelrun.contract.phrases import ERROR_LOG, sentences

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations

DISPUTED = "The job completes under one set of rules, and fails under the other."


def test_job_completes(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """The whole sample completes under the settings of the job."""
    __tracebackhide__ = True
    result = parallelrun_baseline.result
    readings = parallelrun_baseline.readings
    if result.status == "Completed":
        readings.advise_on_other(
            parallelrun_check, Finding(what=DISPUTED, cause=parallelrun_baseline.cause_of_losses())
        )
        return
    losing, failures = parallelrun_baseline.losing_attempts, result.worker_failures
    if parallelrun_baseline.nothing_succeeded and losing:
        finding = finding_of_total_failure(
            parallelrun_observations,
            job=f"the job fails: {result.reason}",
            service="the job fails with exit code 42; ",
        )
    else:
        evidence, fix = (
            cause_and_fix(parallelrun_observations, losing[0])
            if losing
            else ("", hints(parallelrun_baseline.shown_failures(), parallelrun_entry))
        )
        finding = Finding(
            what=sentences(
                f"The job fails: {result.reason}"
                if result.attempts or not failures
                else f"No worker could start: {failures[0].failure.error}",
                evidence,
            ),
            location=parallelrun_baseline.location_of(losing[0]) if losing else None,
            traceback=parallelrun_baseline.first_traceback(),
            counts=parallelrun_baseline.explain(),
            service=f"a job that fails ends with exit code 42, the error is in {ERROR_LOG}",
            fix=fix,
            cause=cause_of_losses(parallelrun_observations),
            case=case_of(parallelrun_entry, losing[0]) if losing else None,
        )
    readings.conclude(parallelrun_check, finding, headline=DISPUTED)

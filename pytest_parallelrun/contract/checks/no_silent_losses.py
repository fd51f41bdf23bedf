"""The job completes although items failed and no threshold is set."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import case_of
from pytest_parallelrun.contract.dependence.state import cause_of_losses
from pytest_parallelrun.contract.entry.preconditions import skip_without_results
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.losses import cause_and_fix, finding_of_total_failure
from pytest_parallelrun.contract.phrases import (
    THRESHOLDS,
    sentences,
    shown_for,
    thresholds_set,
    values_text,
)
from pytest_parallelrun.contract.script_source import parsed
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.result import JobResult

DISPUTED = "Under one set of rules the job completes, and items are silently lost."


def test_no_silent_losses(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """No item is lost in a job that completes, unless a threshold that was set allows it."""
    __tracebackhide__ = True
    _fail_on_late_writes(parallelrun_observations, parallelrun_check)
    result, readings = parallelrun_baseline.result, parallelrun_baseline.readings
    judged = readings.counting
    if parallelrun_check.spec.name not in readings.own.errors:
        if not result.attempts:
            skip_without_results(parallelrun_baseline, parallelrun_check)
        if judged.outcome.status != "Completed":
            parallelrun_check.cannot_decide("the job fails, so nothing is lost silently; see test_job_completes")
        if judged.consent:
            allowed = values_text(result.settings, judged.consent)
            losses = _losses(judged.outcome.failed_items, result)
            under = "" if judged is readings.own else f"under rules={judged.preset} "
            parallelrun_check.note(f"{under}{losses}, which {allowed}, set on purpose, allows")
        readings.advise_on_other(
            parallelrun_check, Finding(what=DISPUTED, cause=parallelrun_baseline.cause_of_losses())
        )
        return
    losing = parallelrun_baseline.losing_attempts
    if parallelrun_baseline.nothing_succeeded:
        set_on_purpose = values_text(result.settings, thresholds_set(result.settings))
        finding = finding_of_total_failure(
            parallelrun_observations,
            job="the job would still be Completed, because "
            + (f"{set_on_purpose} allows it" if set_on_purpose else "no threshold is set (such as error_threshold=0)"),
            service="the job is green; ",
        )
    else:
        evidence, fix = cause_and_fix(parallelrun_observations, losing[0])
        finding = Finding(
            what=sentences(
                f"The job would be reported as Completed although {_losses(result.failed_items, result)}: "
                + _why_it_passed(result),
                evidence,
            ),
            location=parallelrun_baseline.location_of(losing[0]),
            traceback=parallelrun_baseline.first_traceback(),
            counts=parallelrun_baseline.explain(),
            service=f"the job is green; {shown_for(losing[0].outcome)}",
            fix=sentences(
                fix,
                f"One of these settings would have failed the job: {_catching(result)}. Set one, or set "
                "error_threshold=-1 explicitly if losing items is acceptable.",
            ),
            cause=cause_of_losses(parallelrun_observations),
            case=case_of(parallelrun_entry, losing[0]),
        )
    readings.conclude(parallelrun_check, finding, headline=DISPUTED)


def _fail_on_late_writes(observations: Observations, check: Check) -> None:
    """Fails if threads write files after run() has returned."""
    __tracebackhide__ = True
    run = observations.screening.pair
    if run is None or not run.late:
        return
    (file, number), *others = sorted(run.late.items())
    mini_batch, _ = run.observation.attempts[number]
    more = f" {count_text(len(others), 'more file')}: {', '.join(str(other) for other, _ in others[:3])}."
    finding = Finding(
        what=f"run() returned while its threads were still working: {file} was written after that."
        f"{more if others else ''}",
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
        service="no error: the items count as succeeded. What a thread has not written when its worker ends is lost, "
        "and an exception in a thread fails no item",
        fix="wait for the threads before run() returns: thread.join(), result() of each future, queue.join(), or "
        "`with ThreadPoolExecutor() as pool:`, which waits at its end.",
    )
    script = parsed(str(observations.entry.entry.path))
    if any(isinstance(node, ast.FunctionDef) and node.name == "shutdown" for node in script.body):
        check.advise(finding.saying("shutdown() may wait for them, but is not called if the worker fails or is killed"))
    else:
        check.fail(finding)


def _losses(failed: int, result: JobResult) -> str:
    return f"{failed} of {result.total_items} items failed"


def _why_it_passed(result: JobResult) -> str:
    set_on_purpose = thresholds_set(result.settings)
    if set_on_purpose:
        return (
            f"{values_text(result.settings, set_on_purpose)} was set, but it counts failed mini-batches, and these "
            "items are lost in mini-batches that did not fail. error_threshold alone counts them."
        )
    defaults = ", ".join(f"{name} {getattr(result.settings, name):g}" for name in THRESHOLDS)
    return f"no threshold is set, and the defaults ({defaults}) let everything pass."


def _catching(result: JobResult) -> str:
    """The largest thresholds that would have failed the job."""
    options = [_at_most("error_threshold", result.failed_items - 1)]
    if result.failed_mini_batches:
        options.append(_at_most("mini_batch_error_threshold", result.failed_mini_batches - 1))
        percent = 100 * result.failed_mini_batches / result.total_mini_batches
        options.append(f"allowed_failed_percent below {percent:.4g}")
    return ", ".join(options)


def _at_most(name: str, value: int) -> str:
    return f"{name} from 0 to {value}" if value else f"{name}=0"

"""Run() returns fewer results than items."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import case_of
from pytest_parallelrun.contract.dependence.state import FIX_OF_MISSING
from pytest_parallelrun.contract.entry.preconditions import skip_without_results
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.missing_results import Missing, missing_results
from pytest_parallelrun.contract.phrases import sentences, shown_for, values_text
from pytest_parallelrun.contract.wrong_input import wrong_kind_of_input
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded

_FIX = "Return one result for every item, an error row for one that could not be scored."


def test_returns_one_result_per_item(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """run() returns at least as many results as items."""
    __tracebackhide__ = True
    result = parallelrun_baseline.result
    returned = [attempt for attempt in result.attempts if attempt.returned is not None]
    if not returned:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    short = {attempt.mini_batch.id: attempt for attempt in returned if attempt.outcome == "short"}
    if not short:
        _advise_on_more(parallelrun_baseline, parallelrun_check, returned)
        return
    missing = sum(_missing(attempt) for attempt in short.values())
    # A later attempt may suffer from an earlier one.
    first = next(attempt for attempt in returned if attempt.mini_batch.id == min(short) and attempt.outcome == "short")
    all_short = len(short) == result.total_mini_batches
    meant = parallelrun_baseline.nothing_on_purpose
    mistaken = wrong_kind_of_input(parallelrun_entry, parallelrun_baseline, first) if all_short and not meant else None
    if meant:
        items = parallelrun_baseline.items(first)
        lacks = Missing(which=f"run() returns nothing for any mini-batch; items: {items}.", attempt=first)
    elif mistaken is not None:
        lacks = Missing(which="", attempt=first)
    else:
        lacks = missing_results(parallelrun_observations, first)
        if lacks.fix:
            parallelrun_observations.remember(FIX_OF_MISSING, lambda: lacks.fix)
    first = lacks.attempt
    finding = Finding(
        what=sentences(
            f"run() returned fewer results than it got items: {missing} missing, in {len(short)} of "
            f"{result.total_mini_batches} mini-batches.",
            lacks.evidence if mistaken is None else mistaken.evidence,
            _repaired(parallelrun_baseline, set(short)),
        ),
        location=parallelrun_baseline.location_of(first),
        counts=f"{count_text(first.mini_batch.size, 'item')} in, {count_text(first.returned or 0, 'result')} out, "
        f"{first.mini_batch.size} - {first.returned} = {_missing(first)} missing. " + lacks.which,
        service=f"{shown_for('short')}; by the documents the whole mini-batch fails and is retried",
        fix=(lacks.fix or _FIX) if mistaken is None else mistaken.fix,
        cause=lacks.cause or Cause.of_attempt(first),
        case=case_of(parallelrun_entry, first),
    )
    readings = parallelrun_baseline.readings
    if parallelrun_check.spec.name in readings.own.errors:
        readings.conclude(parallelrun_check, finding)
        return
    allowed = values_text(result.settings, readings.own.consent)
    finding = finding.saying(f"The job may lose them: {allowed} was set on purpose.")
    if not lacks.fix:
        saved = ", which also saves the retries" if result.settings.rules.short_return != "items_only" else ""
        fix = (
            f"none is needed if these items may be left out, as {allowed} allows. If not, return an error row for each"
        )
        finding = replace(finding, fix=fix + saved)
    if not readings.advise_on_other(parallelrun_check, finding):
        parallelrun_check.advise(finding)


def _missing(attempt: AttemptEnded) -> int:
    return attempt.mini_batch.size - (attempt.returned or 0)


def _repaired(baseline: Baseline, short: set[int]) -> str:
    """A sentence on the mini-batches whose results were complete after a retry."""
    repaired = [
        batch
        for batch in baseline.result.mini_batches
        if batch.id in short and not batch.failed and batch.status == "succeeded"
    ]
    if not repaired:
        return ""
    which = "it" if len(repaired) == len(short) == 1 else f"{len(repaired)} of these {len(short)} mini-batches"
    return (
        f"A retry repaired {which}: "
        "the same items had all their results in a later attempt, so run() depends on more than its items."
    )


def _advise_on_more(baseline: Baseline, check: Check, returned: list[AttemptEnded]) -> None:
    """More results than items are valid for files, which may have many rows; a row is just one."""
    more = [attempt for attempt in returned if (attempt.returned or 0) > attempt.mini_batch.size]
    if more and baseline.result.splitter_kind != "files":
        first = more[0]
        check.advise(
            f"run() returned more results than it got rows: mini-batch {first.mini_batch.id} has "
            f"{count_text(first.mini_batch.size, 'row')} and {count_text(first.returned or 0, 'result')}. The service "
            "counts at most one per item but keeps all rows, so a row that was lost elsewhere would not be noticed."
        )

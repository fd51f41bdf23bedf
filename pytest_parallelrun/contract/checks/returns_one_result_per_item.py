"""Run() returns fewer results than items."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import case_of
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.preconditions import skip_without_results
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.phrases import (
    items_text,
    rows_text,
    sentences,
    shown_for,
    values_text,
)
from pytest_parallelrun.contract.wrong_input import wrong_kind_of_input
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.events import AttemptEnded


def test_returns_one_result_per_item(
    parallelrun_entry: EntryUnderTest, parallelrun_baseline: Baseline, parallelrun_check: Check
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
    first = min(short.values(), key=lambda attempt: attempt.mini_batch.id)
    all_short = len(short) == result.total_mini_batches
    meant = parallelrun_baseline.nothing_on_purpose
    mistaken = wrong_kind_of_input(parallelrun_entry, parallelrun_baseline, first) if all_short and not meant else None
    finding = Finding(
        what=sentences(
            f"run() returned fewer results than it got items: {missing} missing, in {len(short)} of "
            f"{result.total_mini_batches} mini-batches.",
            "" if mistaken is None else mistaken.evidence,
            _repaired(parallelrun_baseline, set(short)),
        ),
        location=parallelrun_baseline.location_of(first),
        counts=f"{count_text(first.mini_batch.size, 'item')} in, {count_text(first.returned or 0, 'result')} out, "
        f"{first.mini_batch.size} - {first.returned} = {_missing(first)} missing. "
        + _culprits(parallelrun_entry, parallelrun_baseline, first),
        service=f"{shown_for('short')}; by the documents the whole mini-batch fails and is retried",
        fix=_fix(short.values(), returned) if mistaken is None else mistaken.fix,
        cause=Cause.of_attempt(first),
        case=case_of(parallelrun_entry, first),
    )
    readings = parallelrun_baseline.readings
    if parallelrun_check.spec.name in readings.own.errors:
        readings.conclude(parallelrun_check, finding)
        return
    allowed = values_text(result.settings, readings.own.consent)
    finding = finding.saying(f"The job may lose them: {allowed} was set on purpose.")
    if not readings.advise_on_other(parallelrun_check, finding):
        parallelrun_check.advise(finding)


def _fix(short: Collection[AttemptEnded], all_attempts: Collection[AttemptEnded]) -> str:
    fix = "Return one result for every item, an error row for one that could not be scored."
    size = math.gcd(*(attempt.returned or 0 for attempt in all_attempts))
    # Only whole chunks are returned, and less than one is missing.
    if size > 1 and all(_missing(attempt) < size for attempt in short):
        fix += (
            f" Each number of results is a multiple of {size}: a loop that works in chunks may leave out the last "
            "one where it is not full. Work on what is left after the loop too."
        )
    return fix


def _missing(attempt: AttemptEnded) -> int:
    return attempt.mini_batch.size - (attempt.returned or 0)


def _culprits(entry: EntryUnderTest, baseline: Baseline, attempt: AttemptEnded) -> str:
    """The items without a result when alone in a mini-batch, or rows missing from the index."""
    if baseline.result.splitter_kind != "files" and attempt.mini_batch.size > 1:
        rows = _rows_not_in_index(attempt)
        names = baseline.item_names(attempt)
        if rows:
            return f"By the index of what it returned: {items_text(tuple(names[row] for row in rows))}."
        return f"They are among {rows_text(names)}."
    if attempt.mini_batch.size == 1:
        return f"Items: {baseline.items(attempt)}."
    if attempt.mini_batch.partition:
        # A single item would be a partition that does not exist.
        return f"They are among {baseline.items(attempt)}."
    if baseline.nothing_on_purpose:
        return f"run() returns nothing for any mini-batch; items: {baseline.items(attempt)}."
    try:
        alone = entry.items_without_result(attempt)
    except TooManyInitCalls as error:
        return f"They are among {baseline.items(attempt)}, which were not run one by one: {error}."
    if not alone:
        return f"Each of its items has a result when it is alone in a mini-batch; items: {baseline.items(attempt)}."
    return f"No result for: {items_text(alone)}."


def _rows_not_in_index(attempt: AttemptEnded) -> list[int]:
    """Positions of rows that a returned DataFrame lacks; none if its index does not show it.

    An index that counts from 0 without gaps may be new.
    """
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(attempt.value, pandas.DataFrame):
        return []
    index = attempt.value.index
    if index.name is not None or not pandas.api.types.is_integer_dtype(index.dtype):
        return []
    kept = list(index)
    every = range(attempt.mini_batch.size)
    if len(set(kept)) != len(kept) or not set(kept).issubset(every) or sorted(kept) == list(range(len(kept))):
        return []
    return sorted(set(every).difference(kept))


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

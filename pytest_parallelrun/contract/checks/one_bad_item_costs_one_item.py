"""One bad item fails its whole mini-batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.corruption.items import (
    AN_ERROR_ROW,
    case_of,
    error_of,
    location_of,
    names_its_error,
    require_corruption_trial,
    why_undecided,
)
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.phrases import shown_for

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial
    from pytest_parallelrun.contract.entry.observations import Observations


def test_one_bad_item_costs_one_item(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """A mini-batch with one bad item still has results for its other items."""
    __tracebackhide__ = True
    trials, settings = parallelrun_observations, parallelrun_observations.entry.settings
    bad_items = require_corruption_trial(trials, parallelrun_check)
    assert bad_items.group is not None
    size = len(bad_items.group.payload)
    if size < 2:
        parallelrun_check.cannot_decide(
            "it needs a mini-batch of two items or more that succeeds: give a sample with more items"
        )
    tries = [*bad_items.tries, *filter(None, [bad_items.empty])]
    costly = next((bad for bad in tries if bad.lost > 1), None)
    if costly is not None:
        one_by_one = trials.kind == "files" and not settings.partition_keys and settings.files_per_mini_batch == 1
        if one_by_one and "mini_batch_size" in settings.explicit:
            parallelrun_check.note(
                f"one bad item would fail a whole mini-batch ({error_of(costly)}), which mini_batch_size=1, set on "
                "purpose, keeps to that item"
            )
            return
        if settings.partition_keys:
            parallelrun_check.note(
                f"one bad item fails its whole partition ({error_of(costly)}), as is due where a result needs all of it"
            )
            return
        parallelrun_check.advise(_costs_more(trials, bad_items, costly, one_by_one=one_by_one))
        return
    quiet = [bad for bad in bad_items.tries if bad.tried.ended.outcome == "succeeded"]
    if len(quiet) == len(bad_items.tries) and all(bad.need != "needed" for bad in quiet):
        if any(names_its_error(bad_items, bad) for bad in quiet):
            return
        parallelrun_check.cannot_decide(
            why_undecided(trials, bad_items) or "run() succeeds with a bad item because it does not read its items"
        )


def _costs_more(
    trials: Observations, bad_items: CorruptionTrial, bad: CorruptedAttempt, *, one_by_one: bool
) -> Finding:
    group, ended = bad_items.group, bad.tried.ended
    assert group is not None
    size, lost = len(group.payload), bad.lost
    tries = trials.entry.settings.max_retries + 1
    again = "" if ended.outcome == "short" else f", after {tries} tries that all end alike"
    remark = "with mini_batch_size 1, the default, that is the one item; it shows with any larger size"
    return Finding(
        what=f"One bad item fails its whole mini-batch: of {bad.item} {bad.how}, and run() ends with {error_of(bad)}",
        location=location_of(trials, group),
        traceback="" if ended.failure is None else ended.failure.traceback,
        counts=f"{size} items in, 1 of them bad, {lost} lost: {lost - 1} sound item(s) too{again}",
        service=shown_for(ended.outcome),
        fix=f"in the loop over the items {AN_ERROR_ROW}, and raise for what would fail every item alike",
        remark=remark if one_by_one else "",
        cause=Cause.of_attempt(ended),
        case=case_of(trials, group, bad, "results"),
    )

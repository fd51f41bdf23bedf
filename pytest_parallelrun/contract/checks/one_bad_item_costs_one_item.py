"""One bad item fails its whole mini-batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.corruption.attempts import AN_ERROR_ROW
from pytest_parallelrun.contract.corruption.items import require_corruption_trial
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.phrases import shown_for
from pytest_parallelrun.contract.script_source import run_has_loop

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial
    from pytest_parallelrun.contract.entry.observations import Observations


def test_one_bad_item_costs_one_item(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """A mini-batch with one bad item has results for its other items."""
    __tracebackhide__ = True
    observations, check = parallelrun_observations, parallelrun_check
    settings = observations.entry.settings
    trial = require_corruption_trial(observations, check)
    if trial.mini_batch.size < 2:
        check.cannot_decide("it needs a mini-batch of two items or more that succeeds: give a sample with more items")
    attempts = trial.attempts if trial.empty is None else [*trial.attempts, trial.empty]
    costly = next((attempt for attempt in attempts if attempt.lost > 1), None)
    if costly is not None:
        one_by_one = observations.kind == "files" and not settings.partition_keys and settings.files_per_mini_batch == 1
        if one_by_one and "mini_batch_size" in settings.explicit:
            check.note(
                f"one bad item would fail a whole mini-batch ({costly.error}), which mini_batch_size=1, set on "
                "purpose, keeps to that item"
            )
            return
        if settings.partition_keys:
            check.note(
                f"one bad item fails its whole partition ({costly.error}), as is due where a result needs all of it"
            )
            return
        check.advise(_costs_more(trial, costly, one_by_one=one_by_one))
        return
    if all(attempt.ended.outcome == "succeeded" and attempt.need != "needed" for attempt in trial.attempts):
        if any(trial.names_error(attempt) for attempt in trial.attempts):
            return
        check.cannot_decide(
            trial.why_undecided() or "run() succeeds with a bad item because it does not read its items"
        )


def _fix(trial: CorruptionTrial) -> str:
    if run_has_loop(str(trial.observations.entry.entry.path)):
        return (
            "handle errors per item inside the loop; let those that affect every item (missing model, out of memory) "
            f"propagate: {AN_ERROR_ROW}"
        )
    return (
        "run() takes all items at once. Check them before, as with pd.to_numeric(column, errors='coerce') for a table, "
        "or try them one by one where the whole mini-batch raises, and return for each that cannot be read a row that "
        "names the item and its error"
    )


def _costs_more(trial: CorruptionTrial, costly: CorruptedAttempt, *, one_by_one: bool) -> Finding:
    ended, lost = costly.ended, costly.lost
    attempts = trial.observations.entry.settings.max_retries + 1
    again = "" if ended.outcome == "short" else f", after {attempts} tries that all end alike"
    remark = "with mini_batch_size 1, the default, that is the one item; it shows with any larger size"
    return Finding(
        what=f"One bad item fails its whole mini-batch: of {costly.item} {costly.description}, and run() ends with "
        f"{costly.error}",
        location=trial.location(),
        traceback="" if ended.failure is None else ended.failure.traceback,
        counts=f"{trial.mini_batch.size} items in, 1 of them bad, {lost} lost: {lost - 1} sound item(s) too{again}",
        service=shown_for(ended.outcome),
        fix=_fix(trial),
        remark=remark if one_by_one else "",
        cause=Cause.of_attempt(ended),
        case=trial.case_of(costly, "results"),
    )

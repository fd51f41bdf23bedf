"""One bad item fails its whole mini-batch, and with it a job that tolerates single bad items.

Failing fast is a legitimate style: who sets no threshold, or 0, has asked for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.corruption.attempts import AN_ERROR_ROW
from pytest_parallelrun.contract.corruption.items import require_corruption_trial
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.phrases import shown_for
from pytest_parallelrun.contract.script_source import run_has_loop
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial
    from pytest_parallelrun.contract.entry.observations import Observations


def test_one_bad_item_costs_one_item(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """A single bad item does not exceed an error_threshold that allows single failed items."""
    __tracebackhide__ = True
    observations, check = parallelrun_observations, parallelrun_check
    trial = require_corruption_trial(observations, check)
    if trial.mini_batch.size < 2:
        check.cannot_decide("it needs a mini-batch of two items or more that succeeds: give a sample with more items")
    attempts = trial.attempts if trial.empty is None else [*trial.attempts, trial.empty]
    costly = next((attempt for attempt in attempts if attempt.lost > 1), None)
    if costly is not None:
        lost = _lost_on_the_service(observations, costly)
        tolerated = observations.entry.settings.error_threshold
        # The result of a partition may need all of it.
        if 1 <= tolerated < lost and not observations.entry.settings.partition_keys:
            check.advise(_fails_the_job(trial, costly, lost, tolerated))
        else:
            check.measured(f"one bad item fails its mini-batch, as in scripts that fail fast: {costly.error}")
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
        "or process them one by one where the whole mini-batch raises, and return for each that cannot be read a row "
        "that names the item and its error"
    )


def _lost_on_the_service(observations: Observations, costly: CorruptedAttempt) -> int:
    """Items that count as failed in a full mini-batch of the job, which the sample may not fill."""
    settings = observations.entry.settings
    if observations.kind == "tabular" and settings.rules.failed_unit == "partition":
        return 1
    if costly.lost < costly.ended.mini_batch.size:
        return costly.lost
    largest = max(attempt.mini_batch.size for attempt in observations.baseline.result.attempts)
    return max(largest, settings.files_per_mini_batch) if observations.kind == "files" else largest


def _fails_the_job(trial: CorruptionTrial, costly: CorruptedAttempt, lost: int, tolerated: int) -> Finding:
    ended = costly.ended
    return Finding(
        what=f"One bad item fails the job: {costly.item} ({costly.description}). run() ends with {costly.error}, and "
        f"error_threshold={tolerated}, which allows {count_text(tolerated, 'failed item')}, is exceeded.",
        location=trial.location(),
        traceback="" if ended.failure is None else ended.failure.traceback,
        counts=f"1 bad item fails {lost} items of its mini-batch, and {lost} > {tolerated}",
        service=shown_for(ended.outcome),
        fix=f"{_fix(trial)}; or choose error_threshold={lost} or more",
        cause=Cause.of_attempt(ended),
        case=trial.case_of(costly, "results"),
    )

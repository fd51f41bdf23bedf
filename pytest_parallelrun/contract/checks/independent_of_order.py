"""The order of mini-batches or the choice of a worker changes results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.dependence.concurrency import side_by_side
from pytest_parallelrun.contract.dependence.randomness import changes_undrawn
from pytest_parallelrun.contract.dependence.state import (
    KEPT,
    StateDependence,
    case_of,
    dependence,
    named,
    on_service,
    traceback_of,
    why_undecided,
)
from pytest_parallelrun.contract.entry.observations import answer_of
from pytest_parallelrun.contract.entry.preconditions import (
    pass_unless_random,
    require_rows,
    require_several,
    skip_without_worker,
)
from pytest_parallelrun.contract.finding import Cause, Finding, Location

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.observations import Observations, RunOutcome, SampleMiniBatch


def test_independent_of_order(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """Neither the order of the mini-batches nor the worker that gets one changes its results."""
    __tracebackhide__ = True
    trials, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        changing = trials.changing
        found, undecided = None, None
        if changing is None or not changing.all_rows:
            require_rows(trials, check)
            require_several(trials, check)
            found, undecided = _compare_orders(trials)
        # What is seen once may be chance; what is kept was asked for several times.
        if found is not None and (found.cause == KEPT or not changes_undrawn(trials)):
            check.fail(found)
        if changes_undrawn(trials):
            check.advise(_of_chance(trials))
            return
        if undecided is not None:
            check.cannot_decide(undecided)
        require_rows(trials, check)
        pass_unless_random(trials, check)


def _compare_orders(trials: Observations) -> tuple[Finding | None, str | None]:
    """Whether order or worker change results: the finding, or why that cannot be told; neither where they do not."""
    found = dependence(trials)
    if found is not None:
        if found.origin in ("random numbers", "unclear"):
            return None, why_undecided(found)
        return _of_order(trials, found), None
    beside_another = side_by_side(trials).observation
    for group, _ in beside_another.tried:
        if trials.unlike(trials.forward.answer(group), beside_another.answer(group)) is None:
            continue
        alone, beside = _on_either_worker(trials, group)
        told = trials.unlike(alone, beside)
        if told is None:
            return (
                None,
                f"mini-batch {group.id} was answered differently beside a second worker, but not every time",
            )
        return _of_worker(trials, group, alone, beside, told), None
    return None, None


def _of_order(trials: Observations, found: StateDependence) -> Finding:
    group, before = found.group, named(found.before)
    fresh, warm = found.told
    in_files = found.origin == "files"
    return Finding(
        what=(
            f"The order of the mini-batches changes results: where mini-batch {group.id} comes first run() {fresh}; "
            f"after {before} it {warm}" + (", on a fresh worker too." if in_files else ".")
        ),
        location=Location(phase="run", mini_batch=group.id, items=group.items()),
        traceback=traceback_of(found.warm),
        service=on_service("mini-batches come in any order, and retries at the end"),
        fix=(
            "the script finds something in files that earlier mini-batches left, in the output folder or at a fixed "
            "path. Take what a result needs from its own item, or from files that no run() changes."
            if in_files
            else "see test_independent_of_history: a result may depend on its own item alone."
        ),
        cause=Cause(kind="run() depends on files of earlier mini-batches") if in_files else KEPT,
        case=case_of(trials, (*found.before, group), found.fresh),
    )


def _of_chance(trials: Observations) -> Finding:
    group, told = trials.first_change
    changing = trials.changing
    swapped = changing is not None and changing.swapped
    return Finding(
        what=(
            f"The same mini-batches get other results when they are run again, and no drawing of random numbers was "
            f"seen: for mini-batch {group.id} a fresh worker {told[0]}; another fresh one {told[1]}"
            + (". The values are the same, in other rows: they have come to the wrong items." if swapped else ".")
        ),
        location=Location(phase="run", mini_batch=group.id, items=group.items()),
        service=on_service("what ends first is another matter in every job"),
        fix=(
            "take results in the order of the items, not in that in which threads or processes end: pool.map() keeps "
            "it, as_completed() and imap_unordered() do not. Sort a set before it is walked, and take hashlib instead "
            "of hash() of a text. What tells a time or a duration may be named so: elapsed, run_seconds."
        ),
        cause=Cause(kind="results change from run to run"),
    )


def _on_either_worker(trials: Observations, group: SampleMiniBatch) -> tuple[RunOutcome, RunOutcome]:
    """The answers of the first and the second of two fresh workers."""
    trials.restore()
    with trials.entry.bench(workers=2, probe=trials.probe) as bench:
        bench.start(0)
        bench.start(1)
        beside = answer_of(trials.attempt(bench, group, worker=1).ended)
        trials.restore()
        alone = answer_of(trials.attempt(bench, group, worker=0).ended)
    return alone, beside


def _of_worker(
    trials: Observations, group: SampleMiniBatch, alone: RunOutcome, beside: RunOutcome, told: tuple[str, str]
) -> Finding:
    return Finding(
        what=(
            f"The choice of the worker changes results: for mini-batch {group.id} run() on the first of two workers "
            f"{told[0]}; on the second it {told[1]}."
        ),
        location=Location(phase="run", mini_batch=group.id, items=group.items()),
        traceback=traceback_of(beside),
        service=on_service("any worker may get any mini-batch"),
        fix=(
            "look for what differs between workers: the name or number of the process, its folder, what init() found "
            "or claimed first. A result may depend on its own item alone."
        ),
        cause=None if beside.ended.failure is None else Cause.of_attempt(beside.ended),
        case=case_of(trials, (group,), alone),
    )

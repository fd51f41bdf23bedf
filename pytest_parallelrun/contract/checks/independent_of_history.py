"""A warm worker answers differently from a fresh one."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from pytest_parallelrun.contract.entry.preconditions import (
    pass_unless_random,
    require_rows,
    require_several,
    skip_without_worker,
)
from pytest_parallelrun.contract.finding import Finding, Location

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.observations import Observations


def test_independent_of_history(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """A worker that has run other mini-batches answers like a fresh one."""
    __tracebackhide__ = True
    trials, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        require_rows(trials, check)
        require_several(trials, check)
        found = dependence(trials)
        if found is not None:
            if found.origin != "memory":
                check.cannot_decide(why_undecided(found))
            check.fail(_of_history(trials, found))
        pass_unless_random(trials, check)


def _of_history(trials: Observations, found: StateDependence) -> Finding:
    group, before = found.group, named(found.before)
    fresh, warm = found.told
    return Finding(
        what=(
            f"A warm worker answers differently from a fresh one: run() of mini-batch {group.id} on a fresh worker "
            f"{fresh}; on the same worker after {before} it {warm}."
        ),
        location=Location(phase="run", mini_batch=group.id, items=group.items()),
        traceback=traceback_of(found.warm),
        service=on_service("which mini-batches a worker gets, and in which order, is another matter in every job"),
        fix=(
            "find what run() changes outside of itself: a module variable, a list or cache that grows, an object made "
            "by init(), a generator that is used up. Make it anew in each call, or key it by the item."
        ),
        cause=KEPT,
        case=case_of(trials, (*found.before, group), found.fresh),
    )

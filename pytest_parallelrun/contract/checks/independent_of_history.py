"""Results depend on earlier mini-batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.dependence.kept_state import kept_state
from pytest_parallelrun.contract.dependence.state import (
    STATE_KEPT,
    case_of_history,
    dependence,
    files_left,
    on_service,
    traceback_of,
)
from pytest_parallelrun.contract.entry.preconditions import (
    pass_unless_random,
    require_rows,
    require_several,
    skip_without_worker,
)
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.phrases import sentences

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.dependence.state import StateDependence
    from pytest_parallelrun.contract.entry.observations import Observations


def test_independent_of_history(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """A worker that has run other mini-batches gives the same rows as a fresh one."""
    __tracebackhide__ = True
    observations, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        require_rows(observations, check)
        require_several(observations, check)
        state = dependence(observations)
        if state is not None:
            if state.origin != "memory":
                check.cannot_decide(state.why_undecided())
            check.fail(_of_history(observations, state))
        pass_unless_random(observations, check)


def _of_history(observations: Observations, state: StateDependence) -> Finding:
    mini_batch = state.mini_batch
    kept = kept_state(observations, state.before[-1])
    return Finding(
        what=sentences(
            f"run() depends on earlier mini-batches: for mini-batch {mini_batch.id} a fresh worker "
            f"{state.difference[0]}; after {state.before_text()} the same worker {state.difference[1]}.",
            kept.evidence or files_left(observations, state.before[-1]),
        ),
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
        traceback=traceback_of(state.warm),
        service=on_service(
            "which mini-batches a worker gets, and in what order, changes with every job", state.fresh, state.warm
        ),
        fix=kept.fix
        or "find what run() changes outside of itself: a module variable, a list or cache that grows, an object made "
        "by init(), an exhausted generator, files at a fixed path. Create it inside run(), or key it by the item.",
        cause=STATE_KEPT,
        case=case_of_history(observations, (*state.before, mini_batch), state.fresh),
    )

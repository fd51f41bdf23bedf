"""Results depend on the order of mini-batches or on the worker, or come to the wrong items."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.bounds import MAX_REPEAT_SECONDS, MAX_REPEATS, MAX_SINGLES
from pytest_parallelrun.contract.dependence.concurrency import side_by_side
from pytest_parallelrun.contract.dependence.kept_state import kept_state
from pytest_parallelrun.contract.dependence.randomness import changes_undrawn
from pytest_parallelrun.contract.dependence.state import (
    STATE_KEPT,
    case_of_history,
    dependence,
    of_left_files,
    on_service,
    traceback_of,
)
from pytest_parallelrun.contract.entry.mini_batches import answer_of, called_as, joined_answers, paths_of, singles_of
from pytest_parallelrun.contract.entry.preconditions import (
    pass_unless_random,
    require_rows,
    require_several,
    skip_without_worker,
)
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import KEEP_WITH_ITEM
from pytest_parallelrun.contract.rows.comparison import difference, nondeterministic_values, reassigned, unsteady

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.dependence.state import StateDependence
    from pytest_parallelrun.contract.entry.mini_batches import RunOutcome, SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.rows.comparison import Reassigned
    from pytest_parallelrun.emulator.probe import ProbeSession

CHANCE_OF_LABELS = 1 / 3
"""That independent random values, of which some changed, are still the same in all: of two labels at most that."""
CHANCE_OF_SPECIAL = 1e-3
"""The same for numbers with many digits."""
SURE = 1e-6
"""Chance of blaming a script that only draws random values."""


def test_independent_of_order(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """Neither the order of the mini-batches nor the worker changes results."""
    __tracebackhide__ = True
    observations, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        nondeterministic = observations.nondeterministic
        finding, undecided = None, None
        misplaced = _of_wrong_items(observations)
        if misplaced is not None:
            check.fail(misplaced)
        if nondeterministic is None or not nondeterministic.all_rows:
            require_rows(observations, check)
            require_several(observations, check)
            finding, undecided = _compare_orders(observations)
        # A single observation may be random; kept state was observed several times.
        if finding is not None and (finding.cause == STATE_KEPT or not changes_undrawn(observations)):
            check.fail(finding)
        if changes_undrawn(observations):
            check.advise(_of_chance(observations))
            return
        if undecided is not None:
            check.cannot_decide(undecided)
        require_rows(observations, check)
        pass_unless_random(observations, check)


def _compare_orders(observations: Observations) -> tuple[Finding | None, str | None]:
    """Whether order or worker change results: the finding, or why that is unknown; neither if they do not."""
    state = dependence(observations)
    if state is not None:
        if state.origin in ("random numbers", "unclear"):
            return None, state.why_undecided()
        return _of_order(observations, state), None
    concurrent = side_by_side(observations).observation
    for mini_batch, _ in concurrent.attempts:
        alone, beside_another = observations.forward.answer(mini_batch), concurrent.answer(mini_batch)
        if observations.first_difference(alone, beside_another) is None:
            continue
        on_first, on_second = _on_either_worker(observations, mini_batch)
        difference = observations.first_difference(on_first, on_second)
        if difference is None:
            return (
                None,
                f"mini-batch {mini_batch.id} gave a different result beside a second worker, but not every time",
            )
        return _of_worker(observations, mini_batch, on_first, on_second, difference), None
    return None, None


def _of_wrong_items(observations: Observations) -> Finding | None:
    """Whether a mini-batch returns the same values each time, but at other items, which cannot be chance."""
    screening = observations.screening
    if screening.pair is None or screening.backward is None or screening.agrees_exactly:
        return None
    pairs = ((one.rows, other.rows) for one, other in screening.compared())
    if not any(one and other and reassigned(one, other, (), ()) for one, other in pairs):
        return None
    mini_batch = max(observations.answered, key=lambda candidate: candidate.size)
    mini_batch = mini_batch.part(*range(min(mini_batch.size, MAX_SINGLES)))
    observations.restore()
    with observations.pair_entry.session(probe_limit=observations.process_limit) as worker:
        return _misplaced(observations, mini_batch, partial(_rows, observations, worker))


def _rows(observations: Observations, worker: ProbeSession, *mini_batches: SampleMiniBatch) -> Sequence[object] | None:
    """All rows that run() returns for these, one after the other; None if it fails."""
    return joined_answers([answer_of(observations.attempt(worker, one).ended) for one in mini_batches]).rows


def _misplaced(
    observations: Observations, mini_batch: SampleMiniBatch, ask: Callable[..., Sequence[object] | None]
) -> Finding | None:
    """The finding on a mini-batch, from the items alone and from many runs of the whole.

    Random labels may be the same by chance, so each run that has them at other items counts little.
    """
    whole = not observations.entry.settings.partition_keys and mini_batch.size > 1
    singles = called_as(mini_batch, singles_of(mini_batch)) if whole else [mini_batch]
    own, again, first = ask(*singles), ask(*singles), ask(mini_batch)
    if not own or again is None or first is None:
        return None
    changing = nondeterministic_values(own, again)
    # If an item has several rows, they may be mixed up although it is alone.
    alone = whole and not (changing is not None and changing.swapped)
    ignoring = unsteady(own, first).union(() if changing is None or not alone else changing.keys)
    items = [os.path.basename(path).partition(".")[0] for path in paths_of(mini_batch.payload)]
    seen: Counter[Hashable] = Counter()
    deadline = time.monotonic() + MAX_REPEAT_SECONDS
    evidence = None
    while seen.total() < MAX_REPEATS and time.monotonic() < deadline:
        rows = ask(mini_batch)
        found = None if rows is None else reassigned(own, rows, ignoring, items)
        if rows is None or (found is None and difference(own, rows, ignoring=ignoring) is not None):
            return None
        seen[None if found is None else found.arrangement] += 1
        evidence = found or evidence
        changed = seen.total() - max(seen.values())
        if evidence is None or not (alone or (evidence.telling and evidence.named)):
            continue
        if (CHANCE_OF_SPECIAL if evidence.telling else CHANCE_OF_LABELS) ** changed <= SURE:
            return _of_misplaced(mini_batch, evidence, alone=alone, runs=seen.total(), arrangements=len(seen))
    return None


def _of_misplaced(
    mini_batch: SampleMiniBatch, found: Reassigned, *, alone: bool, runs: int, arrangements: int
) -> Finding:
    own = f"alone, {found.name} gets {found.own}" if alone else f"in one run {found.name} gets {found.own}"
    then = f"in mini-batch {mini_batch.id}" if alone else "in another"
    return Finding(
        what=(
            f"Values come to the wrong items: {own}; {then} it gets {found.got}, the value of {found.owner}. "
            f"{runs} runs of the mini-batch gave the same values, in {arrangements} different assignments."
        ),
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
        service=on_service("each run assigns the values anew"),
        fix=KEEP_WITH_ITEM,
        cause=Cause(kind="values come to the wrong items"),
    )


def _of_order(observations: Observations, state: StateDependence) -> Finding:
    mini_batch, in_files = state.mini_batch, state.origin == "files"
    finding = Finding(
        what=(
            f"Results depend on the order of mini-batches: when mini-batch {mini_batch.id} comes first, run() "
            f"{state.difference[0]}; after {state.before_text()} it {state.difference[1]}"
            + (", on a fresh worker too." if in_files else ".")
        ),
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
        traceback=traceback_of(state.warm),
        service=on_service("mini-batches come in any order, and retries at the end", state.fresh, state.warm),
        case=case_of_history(observations, (*state.before, mini_batch), state.fresh),
    )
    if in_files:
        return of_left_files(observations, state.before[-1], finding)
    fix = kept_state(observations, state.before[-1]).fix or (
        "create what run() changes inside run(), or key it by the item: a result may depend on its own item only."
    )
    return replace(finding, fix=fix, cause=STATE_KEPT)


def _of_chance(observations: Observations) -> Finding:
    mini_batch, (first, second) = observations.first_change
    nondeterministic = observations.nondeterministic
    swapped = nondeterministic is not None and nondeterministic.swapped
    return Finding(
        what=(
            "Results are not reproducible: the same mini-batches give different results when run again, and no random "
            f"number generator was used. For mini-batch {mini_batch.id} a fresh worker {first}; another {second}"
            + (". The values are the same, in other rows: they belong to the wrong items." if swapped else ".")
        ),
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
        service=on_service("the order of completion differs from job to job"),
        fix=(
            "collect results in the order of the items, not of completion: pool.map() keeps it, as_completed() and "
            "imap_unordered() do not. Sort a set before iterating over it, and use hashlib instead of hash() of a "
            "string. If the value is a time or a duration, name it so: elapsed, run_seconds."
        ),
        cause=Cause(kind="results change from run to run"),
    )


def _on_either_worker(observations: Observations, mini_batch: SampleMiniBatch) -> tuple[RunOutcome, RunOutcome]:
    """The answers of the first and the second of two fresh workers."""
    observations.restore()
    with observations.entry.session(workers=2, probe_limit=observations.probe_limit) as session:
        session.start(0)
        session.start(1)
        on_second = answer_of(observations.attempt(session, mini_batch, worker=1).ended)
        observations.restore()
        on_first = answer_of(observations.attempt(session, mini_batch, worker=0).ended)
    return on_first, on_second


def _of_worker(
    observations: Observations,
    mini_batch: SampleMiniBatch,
    on_first: RunOutcome,
    on_second: RunOutcome,
    difference: tuple[str, str],
) -> Finding:
    return Finding(
        what=(
            f"Results depend on the worker: for mini-batch {mini_batch.id} run() on the first of two "
            f"workers {difference[0]}; on the second it {difference[1]}."
        ),
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
        traceback=traceback_of(on_second),
        service=on_service("any worker may get any mini-batch", on_first, on_second),
        fix=(
            "look for what differs between workers: the name or number of the process, its folder, the order of a set, "
            "hash() of a string, what init() found or claimed first. A result may depend on its own item only."
        ),
        cause=observations.cause_of_process if on_second.ended.failure is None else Cause.of_attempt(on_second.ended),
        case=case_of_history(observations, (mini_batch,), on_first),
    )

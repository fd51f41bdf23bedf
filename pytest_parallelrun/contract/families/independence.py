"""Does a result depend on its item alone? Not on the size of its mini-batch, on their order, or on those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.dependence.batch_size import SizeSearch
from pytest_parallelrun.contract.dependence.concurrency import side_by_side
from pytest_parallelrun.contract.dependence.randomness import changes_undrawn, is_drawn
from pytest_parallelrun.contract.dependence.state import KEPT, StateDependence, dependence
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
    from pytest_parallelrun.contract.dependence.batch_size import SizeComparison
    from pytest_parallelrun.contract.entry.observations import Observations, RunOutcome, SampleMiniBatch


_FOR_EACH_ITEM = (
    "compute each result from its own item: statistics, ranks, positions and padding over a whole mini-batch, and work "
    "on its first or last item alone, depend on its size. Take such values from the model or a file."
)
_AFTER_HISTORY = (
    "mend first what test_independent_of_history found: what run() keeps from one call to the next, it may keep from "
    "one item to the next. If this stays: "
)


def test_independent_of_mini_batch_size(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """The same items get the same results in one mini-batch and in several."""
    __tracebackhide__ = True
    trials, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        keys = trials.entry.settings.partition_keys
        if keys:
            check.cannot_decide(f"partition_keys={','.join(keys)}: a partition is one mini-batch, whatever its size")
        require_rows(trials, check)
        if not trials.groups:
            check.cannot_decide("run() returns fewer results than items, so it sums up: there is nothing to compare")
        found = dependence(trials)
        if found is not None and found.origin != "memory":
            check.cannot_decide(_why_undecided(found))
        sizing = SizeSearch(trials, fresh=found is not None)
        sizes = sizing.first_difference()
        if sizes is not None:
            if is_drawn(trials, sizes.whole):
                check.cannot_decide(
                    "random numbers decide on the results, and another size of mini-batch draws others. Seed from the "
                    "item to make results repeatable."
                )
            check.fail(_of_size(trials, sizes, kept=found is not None))
        if not sizing.compared:
            check.cannot_decide("the sample has a single item, which makes mini-batches of one size only")
        if found is not None:
            check.note("results depend on what came before, so two items alone were compared, on fresh workers")
        pass_unless_random(trials, check)


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
            return None, _why_undecided(found)
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
                check.cannot_decide(_why_undecided(found))
            check.fail(_of_history(trials, found))
        pass_unless_random(trials, check)


def _why_undecided(found: StateDependence) -> str:
    if found.origin == "files":
        return "results depend on files that earlier mini-batches left; see test_independent_of_order"
    if found.origin == "random numbers":
        return (
            "run() draws random numbers from a generator that was seeded once, so each mini-batch gets other ones "
            "after others: its results are random, though every run of the job repeats them. "
            "Seed from the item to make them independent."
        )
    return (
        f"mini-batch {found.group.id} was answered differently in another order, but not when it was asked again: "
        "its results change from run to run"
    )


def _of_history(trials: Observations, found: StateDependence) -> Finding:
    group, before = found.group, _named(found.before)
    fresh, warm = found.told
    return Finding(
        what=(
            f"A warm worker answers differently from a fresh one: run() of mini-batch {group.id} on a fresh worker "
            f"{fresh}; on the same worker after {before} it {warm}."
        ),
        location=Location(phase="run", mini_batch=group.id, items=group.items()),
        traceback=_traceback(found.warm),
        service=_on_service("which mini-batches a worker gets, and in which order, is another matter in every job"),
        fix=(
            "find what run() changes outside of itself: a module variable, a list or cache that grows, an object made "
            "by init(), a generator that is used up. Make it anew in each call, or key it by the item."
        ),
        cause=KEPT,
        case=_case(trials, (*found.before, group), found.fresh),
    )


def _of_order(trials: Observations, found: StateDependence) -> Finding:
    group, before = found.group, _named(found.before)
    fresh, warm = found.told
    in_files = found.origin == "files"
    return Finding(
        what=(
            f"The order of the mini-batches changes results: where mini-batch {group.id} comes first run() {fresh}; "
            f"after {before} it {warm}" + (", on a fresh worker too." if in_files else ".")
        ),
        location=Location(phase="run", mini_batch=group.id, items=group.items()),
        traceback=_traceback(found.warm),
        service=_on_service("mini-batches come in any order, and retries at the end"),
        fix=(
            "the script finds something in files that earlier mini-batches left, in the output folder or at a fixed "
            "path. Take what a result needs from its own item, or from files that no run() changes."
            if in_files
            else "see test_independent_of_history: a result may depend on its own item alone."
        ),
        cause=Cause(kind="run() depends on files of earlier mini-batches") if in_files else KEPT,
        case=_case(trials, (*found.before, group), found.fresh),
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
        service=_on_service("what ends first is another matter in every job"),
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
        traceback=_traceback(beside),
        service=_on_service("any worker may get any mini-batch"),
        fix=(
            "look for what differs between workers: the name or number of the process, its folder, what init() found "
            "or claimed first. A result may depend on its own item alone."
        ),
        cause=None if beside.ended.failure is None else Cause.of_attempt(beside.ended),
        case=_case(trials, (group,), alone),
    )


def _of_size(trials: Observations, sizes: SizeComparison, *, kept: bool) -> Finding:
    whole, parts = sizes.whole, sizes.parts
    together, apart = sizes.told
    failed = sizes.apart if sizes.apart.rows is None else sizes.together
    rows = sizes.apart.rows
    sizes_told = " and ".join(sorted({str(part.size) for part in parts}, key=int))
    return Finding(
        what=(
            f"The size of a mini-batch changes results: for the same {whole.size} items run() {together} as one "
            f"mini-batch of {whole.size}; in {len(parts)} mini-batches of {sizes_told} it {apart}."
        ),
        location=Location(phase="run", mini_batch=whole.id, items=whole.items()),
        traceback=_traceback(failed),
        counts=_counts(sizes),
        service=_on_service(
            "mini_batch_size is changed to make a job faster, and the last mini-batch is often smaller"
        ),
        fix=_AFTER_HISTORY + _FOR_EACH_ITEM if kept else _FOR_EACH_ITEM,
        cause=None if failed.ended.failure is None else Cause.of_attempt(failed.ended),
        case=Case(
            kind=trials.kind,
            mini_batches=(whole.payload,) if rows is not None else tuple(part.payload for part in parts),
            expected_rows=None if rows is None else tuple(rows),
            ignoring=trials.ignoring,
            identities=((whole.id, whole.first_item),) if rows is not None else (),
            partitions=(whole.partition,) if rows is not None else tuple(part.partition for part in parts),
        ),
    )


def _counts(sizes: SizeComparison) -> str:
    if sizes.together.rows is None or sizes.apart.rows is None:
        return ""
    return f"{len(sizes.together.rows)} row(s) in one mini-batch, {len(sizes.apart.rows)} in {len(sizes.parts)}"


def _named(groups: tuple[SampleMiniBatch, ...]) -> str:
    if len(groups) == 1:
        return f"mini-batch {groups[0].id} ({groups[0].items()})"
    return f"mini-batches {', '.join(str(group.id) for group in groups)}"


def _traceback(answer: RunOutcome) -> str:
    failure = answer.ended.failure
    return "" if answer.rows is not None or failure is None else failure.traceback


def _on_service(why: str) -> str:
    return f"nothing tells: the rows are wrong, and others in the next job, since {why}"


def _case(trials: Observations, groups: tuple[SampleMiniBatch, ...], expected: RunOutcome) -> Case:
    return Case(
        kind=trials.kind,
        mini_batches=tuple(group.payload for group in groups),
        expected_rows=None if expected.rows is None else tuple(expected.rows),
        ignoring=trials.ignoring,
        identities=tuple((group.id, group.first_item) for group in groups),
        partitions=tuple(group.partition for group in groups),
    )

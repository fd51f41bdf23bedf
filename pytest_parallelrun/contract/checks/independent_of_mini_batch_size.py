"""Size 1 and size n give different results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.dependence.batch_size import SizeSearch
from pytest_parallelrun.contract.dependence.randomness import is_drawn
from pytest_parallelrun.contract.dependence.state import (
    dependence,
    on_service,
    traceback_of,
    why_undecided,
)
from pytest_parallelrun.contract.entry.preconditions import (
    pass_unless_random,
    require_rows,
    skip_without_worker,
)
from pytest_parallelrun.contract.finding import Cause, Finding, Location

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.dependence.batch_size import SizeComparison
    from pytest_parallelrun.contract.entry.observations import Observations


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
            check.cannot_decide(why_undecided(found))
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
        traceback=traceback_of(failed),
        counts=_counts(sizes),
        service=on_service("mini_batch_size is changed to make a job faster, and the last mini-batch is often smaller"),
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

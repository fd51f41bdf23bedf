"""Columns, order or types differ between mini-batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.observations import attempt
from pytest_parallelrun.contract.entry.preconditions import skip_without_worker
from pytest_parallelrun.contract.entry.returned_rows import (
    ReturnedRows,
    returned_rows,
)
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.rows.columns import Shape, difference_of, shapes_of
from pytest_parallelrun.contract.rows.errors import ValidRows

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.observations import Observations


def test_returns_same_columns(
    parallelrun_baseline: Baseline, parallelrun_observations: Observations, parallelrun_check: Check
) -> None:
    """Columns, their order and the types in them are the same for all mini-batches."""
    __tracebackhide__ = True
    returned = returned_rows(parallelrun_baseline)
    if not returned:
        parallelrun_check.cannot_decide(parallelrun_baseline.why_nothing_returned())
    if sum(bool(shapes_of(one.value)) for one in returned) < 2:
        with skip_without_worker(parallelrun_check):
            returned += _of_parts(parallelrun_observations)
    shaped = [(one, shape, element) for one in returned for shape, element in shapes_of(one.value)]
    if len(shaped) < 2:
        parallelrun_check.cannot_decide("there are not two results to compare: give a sample with more items")
    differing = _first_difference(shaped)
    if differing is not None:
        first, second, what = differing
        parallelrun_check.advise(
            Finding(
                what=f"Results are not made alike: {what}. The first is of {first.label}, the second of "
                f"{second.label}.",
                service="without column names in the appended file nobody can tell whose values are whose",
                fix="give every result the same columns in the same order, such as with "
                "frame.reindex(columns=COLUMNS), whatever the items hold",
            )
        )


def _of_parts(trials: Observations) -> list[ReturnedRows]:
    """What run() returns for single items and halves of the first mini-batch, where the sample makes only one."""
    if not trials.groups or len(trials.groups[0].payload) < 2 or trials.groups[0].partition:
        return []
    whole = trials.groups[0]
    size = len(whole.payload)
    parts = [whole.part(0), whole.part(size - 1), whole.part(*range((size + 1) // 2))]
    trials.restore()
    found = []
    with trials.entry.bench(probe=trials.probe) as bench:
        for part in parts:
            ended = attempt(bench, part).ended
            if ended.returned is not None:
                found.append(ReturnedRows(part.id, f"a mini-batch of {part.items()} alone", ended.value))
    return found


def _first_difference(
    shaped: list[tuple[ReturnedRows, Shape, object]],
) -> tuple[ReturnedRows, ReturnedRows, str] | None:
    """The first two results that are made otherwise, and how; rows that name an error may be."""
    seen: dict[Shape, tuple[ReturnedRows, object]] = {}
    for one, shape, element in shaped:
        if shape in seen:
            continue
        for other_shape, (other, other_element) in seen.items():
            what = difference_of(other_shape, shape)
            if what and not _one_names_error(element, other_element):
                return other, one, what
        seen[shape] = one, element
    return None


def _one_names_error(one: object, other: object) -> bool:
    if hasattr(one, "columns") or hasattr(other, "columns"):
        return False
    return ValidRows([other], ()).says_error(one) or ValidRows([one], ()).says_error(other)

"""Is what run() returned of use to who reads it: columns alike, a file that carries it, rows that name their item?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.entry.observations import attempt
from pytest_parallelrun.contract.entry.preconditions import skip_without_worker
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.rows.columns import Shape, difference_of, shapes_of
from pytest_parallelrun.contract.rows.comparison import row_text
from pytest_parallelrun.contract.rows.errors import ValidRows
from pytest_parallelrun.contract.rows.identity import unnamed_row_of_files, unnamed_row_of_table
from pytest_parallelrun.contract.rows.round_trip import what_is_lost
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations


class ReturnedRows(NamedTuple):
    """What run() returned. label: for messages, such as "mini-batch 0 (a.txt)"."""

    mini_batch: int
    label: str
    value: object


def test_returns_same_columns(
    parallelrun_baseline: Baseline, parallelrun_observations: Observations, parallelrun_check: Check
) -> None:
    """Columns, their order and the types in them are the same for all mini-batches."""
    __tracebackhide__ = True
    returned = _returned(parallelrun_baseline)
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


def test_output_round_trips(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """What is read from the file that results are appended to is what run() returned."""
    __tracebackhide__ = True
    returned = _returned(parallelrun_baseline)
    if not returned:
        parallelrun_check.cannot_decide(parallelrun_baseline.why_nothing_returned())
    labels = {one.mini_batch: one.label for one in returned}
    values = {one.mini_batch: one.value for one in returned}
    losses: dict[str, tuple[int, str]] = {}
    for number, what, fix in what_is_lost(values, parallelrun_entry.new_folder("appended")):
        losses.setdefault(fix, (number, what))
    if not losses:
        if not any(len(one.value) for one in returned):  # type: ignore[arg-type]
            parallelrun_check.cannot_decide("run() returned no results that could be appended")
        return
    if _writes_files_instead(parallelrun_observations, parallelrun_check):
        return
    first = next(iter(losses.values()))[0]
    parallelrun_check.advise(
        Finding(
            what=f"{_appending(parallelrun_entry)} the file does not carry what run() returned: "
            + "; ".join(what for _, what in losses.values())
            + ".",
            location=Location(phase="return", detail=f" of run(), {labels[first]}"),
            service="the appended file has a line for each element of a list, and for a DataFrame columns that are "
            "separated by a space, without header and index",
            fix="; ".join(losses),
        )
    )


def test_rows_name_their_item(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """Each row tells which item it is from, since the order of the output is not guaranteed."""
    __tracebackhide__ = True
    returned = _returned(parallelrun_baseline)
    if not any(len(one.value) for one in returned):  # type: ignore[arg-type]
        parallelrun_check.cannot_decide(
            "run() returned no rows" if returned else parallelrun_baseline.why_nothing_returned()
        )
    values = {one.mini_batch: one.value for one in returned}
    look = unnamed_row_of_files if parallelrun_observations.kind == "files" else unnamed_row_of_table
    found = look(parallelrun_entry, values)
    if found.reason:
        parallelrun_check.cannot_decide(found.reason)
    if found.row is None or _writes_files_instead(parallelrun_observations, parallelrun_check):
        return
    label = next(one.label for one in returned if one.mini_batch == found.mini_batch)
    parallelrun_check.advise(
        Finding(
            what=f"{_appending(parallelrun_entry)} nothing in a row tells which item it is from: "
            f"{row_text(found.row.value)}, of {label}.",
            service="rows of several workers come in any order, so that they cannot be put back to their items",
            fix=found.fix,
        )
    )


def _returned(baseline: Baseline) -> list[ReturnedRows]:
    """What the last attempt at each mini-batch returned."""
    last = {a.mini_batch.id: a for a in baseline.result.attempts if a.returned is not None}
    return [ReturnedRows(id, f"mini-batch {id} ({baseline.items(a)})", a.value) for id, a in sorted(last.items())]


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


def _appending(entry: EntryUnderTest) -> str:
    if entry.settings.output_action == "append_row":
        return "In the appended output"
    return "With output_action=append_row, which is not set here,"


def _writes_files_instead(trials: Observations, check: Check) -> bool:
    """Whether nothing is appended and the script writes files of its own: then its return values are only counted."""
    if trials.entry.settings.output_action != "summary_only" or not any(_written(trials)):
        return False
    check.note("what run() returns is only counted: with output_action=summary_only the script writes its own files")
    return True


def _written(trials: Observations) -> Iterator[str]:
    try:
        tried = trials.forward.tried
    except WorkerStartError:
        return
    for _, one in tried:
        yield from one.files.written

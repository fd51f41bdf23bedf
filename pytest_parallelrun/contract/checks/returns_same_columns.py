"""Columns, order or types differ between mini-batches."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.entry.baseline import ReturnedRows
from pytest_parallelrun.contract.entry.preconditions import skip_without_results, skip_without_worker
from pytest_parallelrun.contract.entry.questions import PARTS, ask_parts
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.rows.errors import ValidRows
from pytest_parallelrun.contract.rows.values import is_null, kind_of

if TYPE_CHECKING:
    from collections.abc import Sized

    import pandas as pd

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded

FRAME = "a DataFrame"


def test_returns_same_columns(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """Columns, their order and their types are the same for all mini-batches."""
    __tracebackhide__ = True
    returned, left_out = parallelrun_baseline.examined
    if not returned:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    if left_out:
        parallelrun_check.note(left_out)
    if sum(bool(_shapes_of(one.value)) for one in returned) < 2:
        with skip_without_worker(parallelrun_check):
            returned = returned + _of_parts(parallelrun_observations)
    shaped = [(one, shape, element) for one in returned for shape, element in _shapes_of(one.value)]
    if len(shaped) < 2:
        parallelrun_check.cannot_decide("there are not two results to compare: give a sample with more items")
    frames = [(one, cast("pd.DataFrame", value)) for one, shape, value in shaped if shape.form == FRAME]
    reordered = _reordered(frames) if parallelrun_entry.settings.output_action == "append_row" else None
    if reordered is not None:
        parallelrun_check.advise(reordered)
        return
    differing = _first_difference(shaped)
    if differing is not None:
        first, second, difference = differing
        parallelrun_check.advise(
            Finding(
                what=f"Results have different columns or types: {difference}. The first is of {first.label}, the "
                f"second of {second.label}.",
                service="without column names in the appended file, values cannot be assigned to their columns",
                fix="give every result the same columns in the same order, such as with "
                "frame.reindex(columns=COLUMNS), whatever the items hold",
            )
        )


def _reordered(frames: list[tuple[ReturnedRows, pd.DataFrame]]) -> Finding | None:
    """The finding on DataFrames with the same columns in another order: rows are appended one below the other."""
    for other, reordered in frames[1:]:
        first, frame = frames[0]
        if list(reordered.columns) == list(frame.columns) or set(reordered.columns) != set(frame.columns):
            continue
        lines = [shown.head(1).to_csv(header=False, index=False, sep=" ").strip() for shown in (frame, reordered)]
        return Finding(
            what="Values are appended under the wrong column: DataFrames have the same columns in another order.",
            counts=f"columns of {first.label}: {_listed(frame.columns)}; of {other.label}: "
            f"{_listed(reordered.columns)}. In the appended file their first rows are {lines[0]!r} and {lines[1]!r}, "
            "one below the other.",
            service="no error is raised: rows are appended by position, under the first names or under none",
            fix=f"return the columns in one order, such as with frame[{list(frame.columns)}]",
        )
    return None


def _of_parts(observations: Observations) -> list[ReturnedRows]:
    """Results for parts of the first mini-batch, if the sample has only one."""
    if not observations.groups:
        return []
    if observations.is_known:
        attempts = cast("list[tuple[SampleMiniBatch, AttemptEnded]]", observations.screening.answers[PARTS])
    else:
        observations.restore()
        with observations.entry.session(probe_limit=observations.probe_limit) as session:
            attempts = ask_parts(observations, session)
    return [
        ReturnedRows(part.id, f"a mini-batch of {part.items()} alone".__str__, cast("Sized", ended.value))
        for part, ended in attempts
        if ended.returned is not None
    ]


def _first_difference(
    shaped: list[tuple[ReturnedRows, Shape, object]],
) -> tuple[ReturnedRows, ReturnedRows, str] | None:
    """The first two results with another shape, and the difference; rows that name an error are exempt."""
    seen: dict[Shape, tuple[ReturnedRows, object]] = {}
    for one, shape, element in shaped:
        if shape in seen:
            continue
        for other_shape, (other, other_element) in seen.items():
            difference = _difference_of(other_shape, shape)
            if difference and not _one_names_error(element, other_element):
                return other, one, difference
        seen[shape] = one, element
    return None


def _one_names_error(one: object, other: object) -> bool:
    if hasattr(one, "columns") or hasattr(other, "columns"):
        return False
    return ValidRows([other], ()).says_error(one) or ValidRows([one], ()).says_error(other)


class Shape(NamedTuple):
    """The shape of a table or list element.

    form: "a DataFrame", "a dict", "a list of 3", "a text"... columns: names in order. kinds: of their values that are
    not null.
    """

    form: str
    columns: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    ordered: bool = True


def _shapes_of(value: object) -> list[tuple[Shape, object]]:
    """The shape of a DataFrame with rows, or of each list element, with its example; nulls are left out."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return [(_of_frame(value), value)] if len(value) else []
    elements = list(value) if isinstance(value, (list, tuple)) else []
    shapes = ((_of_element(element), element) for element in elements)
    return [(shape, element) for shape, element in shapes if shape is not None]


def _difference_of(one: Shape, other: Shape) -> str:
    """The difference between two shapes as text; "" if none matters."""
    if one.form != other.form:
        return f"{one.form} and {other.form}"
    if set(one.columns) != set(other.columns):
        only = [
            f"{which} alone has {_listed(name for name in mine if name not in theirs)}"
            for which, mine, theirs in (
                ("the first", one.columns, other.columns),
                ("the second", other.columns, one.columns),
            )
            if any(name not in theirs for name in mine)
        ]
        return f"other columns: {', '.join(only)}"
    if one.columns != other.columns and one.ordered:
        return f"another order of columns: {_listed(one.columns)} and {_listed(other.columns)}"
    kinds = dict(other.kinds)
    for column, kind in one.kinds:
        if kinds.get(column, kind) != kind:
            in_column = f" in column {column!r}" if column else ""
            return f"other types{in_column}: {kind} and {kinds[column]}"
    return ""


def _of_frame(frame: pd.DataFrame) -> Shape:
    columns = tuple(str(name) for name in frame.columns)
    kinds = []
    for position, name in enumerate(columns):
        column = frame.iloc[:, position]
        kind = column.dtype.kind
        # The type of numbers is that of all of them.
        values = column[column.notna()].head(1).tolist() if kind in "iufb" else column.tolist()
        # An empty text is one; pandas' NA cannot be compared with it.
        in_column = {kind_of(value) for value in values if not is_null(value) or (isinstance(value, str) and not value)}
        if in_column:
            kinds.append((name, " and ".join(sorted(in_column))))
    return Shape(FRAME, columns, tuple(kinds))


def _of_element(element: object) -> Shape | None:
    """None for a null, which any row may contain."""
    if element is None or (isinstance(element, float) and is_null(element)):
        return None
    if isinstance(element, dict):
        kinds = tuple((str(name), kind_of(value)) for name, value in element.items() if not is_null(value))
        return Shape("a dict", tuple(map(str, element)), kinds)
    if isinstance(element, (list, tuple)):
        kinds = tuple((f"position {n}", kind_of(value)) for n, value in enumerate(element) if not is_null(value))
        return Shape(f"a {type(element).__name__} of {len(element)}", (), kinds)
    if isinstance(element, str):
        held = _json_object(element)
        # JSON has no order of keys.
        return Shape("a text") if held is None else Shape("a JSON object", tuple(held), ordered=False)
    return Shape(f"a {kind_of(element)}" if kind_of(element) == "number" else kind_of(element))


def _json_object(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        held = json.loads(text)
    except ValueError:
        return None
    return held if isinstance(held, dict) else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))

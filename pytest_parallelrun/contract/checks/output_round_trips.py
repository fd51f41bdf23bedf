"""Values that are lost in the appended file: newlines, objects.

The file has a line for each list element, and space-separated CSV for DataFrames, without header and index (authoring
guide of batch scoring scripts, issues on the parallel run step).
"""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.entry.preconditions import rows_are_only_counted, skip_without_results
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.phrases import appended_output
from pytest_parallelrun.contract.rows.comparison import row_text
from pytest_parallelrun.contract.rows.values import is_null, is_plain_array, plain
from pytest_parallelrun.emulator.output import AppendedFile, OutputError, as_rows
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline, ReturnedRows
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations

_ABBREVIATED = re.compile(r"\[[^\[\]]*(?:[\d.]|True|False|nan),?\s+\.\.\.")
"""How numpy abbreviates an array."""
_ADDRESS = re.compile(r"<[A-Za-z_][^<>\n]*(?:<\w+>[^<>\n]*)* at 0x[0-9a-fA-F]{4,}>")
"""The repr of an object, a function, a generator or an image."""

TOLERANCE = 1e-9
"""Relative tolerance for floats: their text may be rounded."""
TOLERANCES = {2: 1e-3, 4: 1e-6}
"""For shorter floats, by bytes: their text has fewer digits than a longer float needs."""


def test_output_round_trips(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """What is read from the appended file is what run() returned."""
    __tracebackhide__ = True
    returned, left_out = parallelrun_baseline.examined
    if not returned:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    if left_out:
        parallelrun_check.note(left_out)
    labels = {one.mini_batch: one.label for one in returned}
    values = {one.mini_batch: one.value for one in returned}
    losses: dict[str, tuple[int, str]] = {}
    lost_rows = _lost_rows(returned)
    if lost_rows is not None:
        if lost_rows.are_all and parallelrun_entry.settings.output_action == "append_row":
            parallelrun_check.fail(_all_is_lost(lost_rows))
        losses[lost_rows.fix] = (lost_rows.first.mini_batch, lost_rows.text)
    for number, what, fix in _losses_of(values, parallelrun_entry.new_folder("appended")):
        losses.setdefault(fix, (number, what))
    if not losses:
        if not any(len(one.value) for one in returned):
            parallelrun_check.cannot_decide("run() returned no results that could be appended")
        return
    if rows_are_only_counted(parallelrun_observations, parallelrun_check):
        return
    first = next(iter(losses.values()))[0]
    parallelrun_check.advise(
        Finding(
            what=f"{appended_output(parallelrun_entry.settings)} values are lost: "
            + "; ".join(what for _, what in losses.values())
            + ".",
            location=Location(phase="return", detail=f" of run(), {labels[first]}"),
            service="the appended file has a line for each element of a list, and for a DataFrame columns that are "
            "separated by a space, without header and index",
            fix="; ".join(losses),
        )
    )


class _LostRows(NamedTuple):
    """Rows that have lost data. first: what run() returned with the first of them. value: what is lost in it."""

    lost: int
    rows: int
    first: ReturnedRows
    value: object

    @property
    def are_all(self) -> bool:
        return self.lost == self.rows

    @property
    def is_array(self) -> bool:
        return is_plain_array(self.value) or _ABBREVIATED.search(str(self.value)) is not None

    @property
    def text(self) -> str:
        how = "an array is abbreviated" if self.is_array else "an object is written as its address"
        where = f"each of {count_text(self.rows, 'row')}" if self.are_all else f"{self.lost} of {self.rows} rows"
        return f"{how} in {where}, as in {row_text(str(self.value))}"

    @property
    def fix(self) -> str:
        if self.is_array:
            return (
                "write each array to a file of its own below os.environ['AZUREML_BI_OUTPUT_PATH'], and return its name"
            )
        return "return texts or numbers that say what the object holds"


def _lost_rows(returned: Sequence[ReturnedRows]) -> _LostRows | None:
    """The rows that have lost data; None if there are none."""
    parts = [(one, _lost_in(row)) for one in returned for row in as_rows(one.value)]
    lost = [(one, value) for one, value in parts if value is not None]
    if not lost:
        return None
    return _LostRows(len(lost), len(parts), *lost[0])


def _all_is_lost(lost: _LostRows) -> Finding:
    return Finding(
        what=f"The appended file does not hold the data: {lost.text}.",
        location=Location(phase="return", detail=f" of run(), {lost.first.label}"),
        service="the job completes, but its results cannot be read",
        fix=lost.fix,
    )


def _lost_in(value: object) -> object | None:
    """A part of a row whose text has lost data: an abbreviated array, an object shown by its address."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, (list, tuple)):
        return next((part for each in value if (part := _lost_in(each)) is not None), None)
    if is_plain_array(value):
        return value if "..." in str(value) else None
    if isinstance(value, str):
        return value if _ABBREVIATED.search(value) or _ADDRESS.search(value) else None
    return value if not _is_plain(value) and " at 0x" in str(value) else None


def _losses_of(values: Mapping[int, object], folder: Path) -> Iterator[tuple[int, str, str]]:
    """(mini-batch, what is lost, what to do) for each kind of loss in the values of the mini-batches."""
    for number, value in values.items():
        path = folder / f"{number}.txt"
        try:
            with AppendedFile(path) as file:
                file.append(value)
        except OutputError as error:
            yield number, f"{error}, so that nothing is appended", "return plain texts and numbers"
            continue
        if _is_frame(value):
            yield from ((number, *loss) for loss in _lost_of_frame(value, path))  # type: ignore[arg-type]
        else:
            yield from ((number, *loss) for loss in _lost_of_list(list(value), path))  # type: ignore[call-overload]


def _lost_of_list(elements: list[object], path: Path) -> Iterator[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    # Readers skip the blank line that a newline at the end makes.
    broken = next((element for element in elements if _breaks(str(element).rstrip("\r\n"))), None)
    if broken is not None:
        yield (
            f"{count_text(len(elements), 'result')} make {sum(len(line.splitlines()) or 1 for line in lines)} lines, "
            f"since one holds a newline: {row_text(broken)}",
            'replace it, as in text.replace("\\n", " "), or return json.dumps(text)',
        )
    opaque = next((element for element in elements if not _is_plain(element) and _lost_in(element) is None), None)
    if opaque is not None:
        yield (
            f"a {type(opaque).__name__} is written as its repr, which only Python reads: {row_text(str(opaque))}",
            f"return a text of it: {_as_text(opaque, 'row')}",
        )


def _lost_of_frame(frame: pd.DataFrame, path: Path) -> Iterator[tuple[str, str]]:
    index = frame.index
    named = [name for name in index.names if name is not None]
    held = index.nlevels > 1 or named or str(index.dtype) in ("object", "str", "string", "category")
    if len(frame) and held and not _is_elsewhere(frame):
        label = ", ".join(map(repr, named)) if named else f"of {row_text(index[0])} and others"
        yield f"the index {label} is not written", "call reset_index() on the result"
    cells = [(str(frame.columns[position]), frame.iloc[:, position].tolist()) for position in range(frame.shape[1])]
    for column, values in cells:
        opaque = next((value for value in values if not (is_null(value) or _is_plain(value) or _lost_in(value))), None)
        if opaque is not None:
            kind, text = type(opaque).__name__, row_text(str(opaque))
            yield (
                f"column {column!r} holds objects ({kind}), written as their repr: {text}",
                f"make a text of each: frame[{column!r}] = frame[{column!r}].map(lambda value: "
                f"{_as_text(opaque, 'value')})",
            )
    broken = next(((column, value) for column, values in cells for value in values if _breaks(value)), None)
    if broken is not None:
        yield (
            f"column {broken[0]!r} holds a newline, so that a row is more than one line: {row_text(broken[1])}",
            f'replace it, as in frame[{broken[0]!r}].str.replace("\\n", " ")',
        )
    with open(path, encoding="utf-8", newline="") as stream:
        back = [row for row in csv.reader(stream, delimiter=" ") if row or not frame.shape[1]]
    if len(back) != len(frame) and broken is None:
        yield f"{count_text(len(frame), 'row')} read back as {len(back)}", "return a DataFrame with at least one column"
        return
    for position, (column, values) in enumerate(cells):
        dtype = frame.dtypes.iloc[position]
        tolerance = TOLERANCES.get(dtype.itemsize, TOLERANCE) if getattr(dtype, "kind", "") == "f" else TOLERANCE
        for row, value in zip(back, values, strict=False):
            if len(row) != len(cells) or not _came_back(value, row[position], tolerance):
                yield (
                    f"in column {column!r} {value!r} comes back as {row[position] if position < len(row) else None!r}",
                    "return a value that a text can hold",
                )
                return


def _is_elsewhere(frame: pd.DataFrame) -> bool:
    """Whether nothing is lost with the index: it only counts the rows, or a column has the same."""
    values = frame.index.tolist()
    return values == list(range(len(values))) or any(
        frame.iloc[:, position].tolist() == values for position in range(frame.shape[1])
    )


def _as_text(value: object, name: str) -> str:
    """An expression that converts such a value to text, tried on the values."""
    if isinstance(value, (bytes, bytearray)):
        return f"base64.b64encode({name}).decode()"
    forms: dict[str, Callable[[], str]] = {
        f"json.dumps({name})": lambda: json.dumps(value),
        f"json.dumps({name}.tolist())": lambda: json.dumps(value.tolist()),  # type: ignore[attr-defined]
        f"json.dumps(sorted({name}))": lambda: json.dumps(sorted(value)),  # type: ignore[call-overload]
        f"json.dumps({name}, default=lambda part: part.tolist())": lambda: json.dumps(
            value, default=lambda part: part.tolist()
        ),
        f"json.dumps({name}, default=str)": lambda: json.dumps(value, default=str),
        f"json.dumps(vars({name}), default=str)": lambda: json.dumps(vars(value), default=str),
    }
    for expression, make in forms.items():
        with suppress(Exception):
            text = make()
            if not (_ADDRESS.search(text) or _ABBREVIATED.search(text)):
                return expression
    return f"one that says what the {type(value).__name__} holds"


def _came_back(value: object, text: str, tolerance: float) -> bool:
    if is_null(value):
        return text == "" or text == str(value)
    if isinstance(value, str):
        return text == value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return math.isclose(float(text), float(value), rel_tol=tolerance) or math.isnan(value)
        except (ValueError, OverflowError):
            return text == str(value)
    # Of times and other values only the text is known.
    return bool(text)


def _breaks(value: object) -> bool:
    return isinstance(value, str) and ("\n" in value or "\r" in value)


def _is_plain(value: object) -> bool:
    """Whether its text is its value: strings, numbers, times, objects with their own str(), and literals."""
    if type(value) in (dict, list, tuple):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return all(_is_literal(part) for part in parts)  # type: ignore[attr-defined]
    if isinstance(value, (bytes, bytearray, dict, list, tuple, set, frozenset)):
        return False
    if type(value).__module__ == "numpy":
        return getattr(value, "ndim", 0) == 0
    if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_frame"):
        return False
    return type(value).__str__ is not object.__str__ or isinstance(value, (int, float, type(None)))


def _is_literal(value: object) -> bool:
    """Whether it is written in a container as readers of JSON or of Python's literals expect it."""
    if type(value) in (dict, list, tuple):
        return _is_plain(value)
    stands_for = plain(value)
    return isinstance(stands_for, (str, int, float, type(None))) and repr(value) == repr(stands_for)


def _is_frame(value: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)

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
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.preconditions import skip_without_results, writes_files_instead
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.phrases import appended_output
from pytest_parallelrun.contract.rows.comparison import row_text
from pytest_parallelrun.contract.rows.values import is_null, is_plain_array
from pytest_parallelrun.emulator.output import AppendedFile, OutputError, as_rows
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations

_ABBREVIATED = re.compile(r"\[[^\[\]]*(?:[\d.]|True|False|nan),?\s+\.\.\.")
"""How numpy abbreviates an array."""
_ADDRESS = re.compile(r"<[\w.<>]+ object at 0x[0-9a-f]+>")

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
    returned = parallelrun_baseline.returned
    if not returned:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    labels = {one.mini_batch: one.label for one in returned}
    values = {one.mini_batch: one.value for one in returned}
    if parallelrun_entry.settings.output_action == "append_row":
        _fail_where_all_is_lost(parallelrun_baseline, parallelrun_check)
    losses: dict[str, tuple[int, str]] = {}
    for number, what, fix in _losses_of(values, parallelrun_entry.new_folder("appended")):
        losses.setdefault(fix, (number, what))
    if not losses:
        if not any(len(one.value) for one in returned):
            parallelrun_check.cannot_decide("run() returned no results that could be appended")
        return
    if writes_files_instead(parallelrun_observations, parallelrun_check):
        return
    first = next(iter(losses.values()))[0]
    parallelrun_check.advise(
        Finding(
            what=f"{appended_output(parallelrun_entry.settings)} the file does not carry what run() returned: "
            + "; ".join(what for _, what in losses.values())
            + ".",
            location=Location(phase="return", detail=f" of run(), {labels[first]}"),
            service="the appended file has a line for each element of a list, and for a DataFrame columns that are "
            "separated by a space, without header and index",
            fix="; ".join(losses),
        )
    )


def _fail_where_all_is_lost(baseline: Baseline, check: Check) -> None:
    """Fails if every appended row has lost data."""
    __tracebackhide__ = True
    lost = 0
    first: tuple[str, object] | None = None
    for returned in baseline.returned:
        rows = as_rows(returned.value)
        for row in rows:
            value = _lost_in(row)
            if value is None:
                return
            first = first or (returned.label, value)
        lost += len(rows)
    if first is None:
        return
    label, value = first
    array = is_plain_array(value) or _ABBREVIATED.search(str(value)) is not None
    how = "an array is abbreviated" if array else "an object is written as its address"
    check.fail(
        Finding(
            what=f"The appended file does not hold the data: {how} in each of {count_text(lost, 'row')}, as in "
            f"{row_text(str(value))}.",
            location=Location(phase="return", detail=f" of run(), {label}"),
            service="the job completes, and nobody can read the results",
            fix="write each array to a file of its own below os.environ['AZUREML_BI_OUTPUT_PATH'], and return its name"
            if array
            else "return texts or numbers that say what the object holds",
        )
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
    broken = next((element for element in elements if _breaks(str(element))), None)
    if broken is not None:
        yield (
            f"{len(elements)} result(s) make {sum(len(line.splitlines()) or 1 for line in lines)} lines, since one "
            f"holds a newline: {row_text(broken)}",
            'replace it, as in text.replace("\\n", " "), or return json.dumps(text)',
        )
    opaque = next((element for element in elements if not _is_plain(element)), None)
    if opaque is not None:
        address = " at 0x" in str(opaque)
        yield (
            f"a {type(opaque).__name__} is written as its repr"
            + (", which is an address in memory" if address else ", which only Python reads")
            + f": {row_text(str(opaque))}",
            f"return a text of it: {_as_text(opaque, 'row')}",
        )


def _lost_of_frame(frame: pd.DataFrame, path: Path) -> Iterator[tuple[str, str]]:
    index = frame.index
    named = [name for name in index.names if name is not None]
    if len(frame) and (named or str(index.dtype) in ("object", "str", "string", "category") or index.nlevels > 1):
        label = ", ".join(map(repr, named)) if named else f"of {row_text(index[0])} and others"
        yield f"the index {label} is not written", "call reset_index() on the result"
    cells = [(str(frame.columns[position]), frame.iloc[:, position].tolist()) for position in range(frame.shape[1])]
    for column, values in cells:
        opaque = next((value for value in values if not is_null(value) and not _is_plain(value)), None)
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
        yield f"{len(frame)} row(s) come back as {len(back)}", "return a DataFrame with at least one column"
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
    """Whether its text is its value: strings, numbers, times, and objects with their own str()."""
    if isinstance(value, (bytes, bytearray, dict, list, tuple, set, frozenset)):
        return False
    if type(value).__module__ == "numpy":
        return getattr(value, "ndim", 0) == 0
    if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_frame"):
        return False
    return type(value).__str__ is not object.__str__ or isinstance(value, (int, float, type(None)))


def _is_frame(value: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)

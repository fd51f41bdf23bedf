"""Python values and tables as JSON and back, exactly and without pickle: a saved case runs no code.

A value without a JSON form is an object with one key, which names its kind: {"float": "nan"}.
"""

from __future__ import annotations

import base64
import datetime
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from pytest_parallelrun.emulator.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Plain: TypeAlias = object
"""Values with a JSON form: None, bool, int, float, str, lists, and dicts with string keys."""


class PlainColumn(TypedDict):
    """A column of a table as JSON has it."""

    name: Plain
    dtype: str
    values: list[Plain]


class PlainTable(TypedDict):
    """A table in JSON, its columns in order."""

    rows: int
    columns: list[PlainColumn]


class Shown:
    """Replaces an object that has no form in JSON, and looks like it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def to_plain(value: object, lost: list[str]) -> Plain:
    """A value in JSON. `lost` collects the type of each object that is kept only as text."""
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float) and type(value).__module__ != "numpy":
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, str) and type(value).__module__ != "numpy":
        return str(value)
    if isinstance(value, list):
        return [to_plain(element, lost) for element in value]
    if isinstance(value, tuple):
        return {"tuple": [to_plain(element, lost) for element in value]}
    if isinstance(value, dict):
        return {"dict": [[to_plain(key, lost), to_plain(element, lost)] for key, element in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    return _library_to_plain(value, lost)


def _library_to_plain(value: object, lost: list[str]) -> Plain:
    name = type(value).__name__
    if name in ("NAType", "NaTType"):
        return {"null": name}
    if name in ("Timestamp", "Timedelta") and type(value).__module__.startswith("pandas"):
        return {name: value.isoformat()}  # type: ignore[attr-defined]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return {_moment(value): value.isoformat()}
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return to_plain(value.tolist(), lost)
    if hasattr(value, "to_dict"):
        return to_plain(value.to_dict(), lost)
    lost.append(name)
    # The address of an object differs every time.
    return {"text": re.sub(r" at 0x[0-9a-f]+", "", repr(value))}


def _moment(value: datetime.date | datetime.time) -> str:
    if isinstance(value, datetime.datetime):
        return "datetime"
    return "date" if isinstance(value, datetime.date) else "time"


_READERS: dict[str, Callable[[str], object]] = {
    "float": float,
    "bytes": base64.b64decode,
    "text": Shown,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
}


def from_plain(plain: Plain) -> object:
    """Reads a value. InputError for anything `to_plain()` does not write."""
    if isinstance(plain, list):
        return [from_plain(element) for element in plain]
    if not isinstance(plain, dict):
        return plain
    if len(plain) == 1:
        ((kind, content),) = plain.items()
        if kind == "tuple" and isinstance(content, list):
            return tuple(from_plain(element) for element in content)
        if kind == "dict" and isinstance(content, list):
            return {from_plain(key): from_plain(element) for key, element in content}
        if kind in _READERS and isinstance(content, str):
            return _READERS[kind](content)
        if kind in ("null", "Timestamp", "Timedelta"):
            return _of_pandas(kind, str(content))
    raise InputError(f"{plain!r} is no value of a saved case.")


def _of_pandas(kind: str, text: str) -> object:
    import pandas as pd

    if kind == "null":
        return pd.NaT if text == "NaTType" else pd.NA
    return pd.Timestamp(text) if kind == "Timestamp" else pd.Timedelta(text)


def table_to_plain(table: pd.DataFrame, lost: list[str]) -> PlainTable:
    """A table in JSON; `lost` as in `to_plain()`."""
    columns: list[PlainColumn] = []
    for position in range(len(table.columns)):
        series = table.iloc[:, position]
        if hasattr(series.dtype, "tz"):
            series = series.dt.tz_convert("UTC")
        columns.append(
            {
                "name": to_plain(table.columns[position], lost),
                "dtype": str(table.dtypes.iloc[position]),
                "values": [to_plain(value, lost) for value in series.tolist()],
            }
        )
    return {"rows": len(table), "columns": columns}


def table_from_plain(plain: PlainTable) -> pd.DataFrame:
    """Reads a table. InputError if it is invalid."""
    import pandas as pd

    try:
        columns = plain["columns"]
        table: pd.DataFrame = pd.DataFrame(
            {position: _series(column) for position, column in enumerate(columns)}, index=range(plain["rows"])
        )
        table.columns = pd.Index([from_plain(column["name"]) for column in columns])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the table of a saved case cannot be read: {error!r}") from error
    return table


def _series(column: PlainColumn) -> pd.Series:
    import pandas as pd

    dtype = column["dtype"]
    if dtype == "str" and int(pd.__version__.split(".")[0]) < 3:
        # Texts have no dtype of their own there.
        dtype = "object"
    return pd.Series([from_plain(value) for value in column["values"]], dtype=dtype)

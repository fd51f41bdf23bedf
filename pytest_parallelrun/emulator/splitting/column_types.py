"""Column types, inferred once per input: from chunks of it, and yet what pandas infers from the whole.

Each chunk gives every column a kind; the kinds that were seen decide its type. Integers beyond 64 bits are
the exception: whether pandas makes them floats or text depends on what stands before them, so that such a
column is read once more, whole. Dates stay text, as in pandas. A null stays null in every column, where
pandas makes text of those beside integers that only uint64 holds.
"""

from __future__ import annotations

import io
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

SettingType = Literal["null", "integer", "negative", "unsigned", "float", "bool", "bool_null", "text", "wide"]
"""What a chunk's column looks like.

negative: integers, one of them below 0. unsigned: integers, one of them beyond int64.
wide: numbers alone, and pandas could not make one number type of them.
"""

ColumnType = Literal["int64", "uint64", "float64", "bool", "bool_or_null", "big_integer", "text", "none"]
"""bool_or_null and big_integer (beyond 64 bits) are columns of Python objects. none: no file has a row."""


_NULLS = frozenset(
    [
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    ]
)
"""What pandas reads as null (documentation of read_csv). In a text column they are missing values, but beside
integers that only uint64 holds they come as text."""


def kind_of(column: pd.Series) -> SettingType:
    """The kind of a chunk's column as pandas read it."""
    from pandas.api.types import infer_dtype

    name = str(column.dtype)
    if name == "int64":
        return "negative" if bool((column < 0).any()) else "integer"
    if name == "uint64":
        return "unsigned"
    if name == "float64":
        return "null" if bool(column.isna().all()) else "float"
    if name == "bool":
        return "bool"
    if infer_dtype(column, skipna=True) == "boolean":
        return "bool_null"
    # The first word ends the search: only a column of numbers alone is looked through.
    return "wide" if all(_is_number(value) for value in column.dropna()) else "text"


def merged_type(kinds: AbstractSet[SettingType]) -> ColumnType | None:
    """The type of a column of which these kinds were seen; None where only the whole column tells."""
    seen = kinds - {"null"}
    if not seen:
        return "float64" if kinds else "none"
    if "text" in seen:
        return "text"
    if seen <= {"bool", "bool_null"}:
        return "bool" if kinds == {"bool"} else "bool_or_null"
    if seen & {"bool", "bool_null"}:
        return "text"
    if "wide" in seen:
        return None
    if "unsigned" in seen:
        return "uint64" if kinds <= {"unsigned", "integer"} else None
    return "int64" if kinds <= {"integer", "negative"} else "float64"


def type_of_whole_column(fields: list[str]) -> ColumnType:
    """What pandas infers from all fields of a column; "" is null.

    For columns of which merged_type() knows no type: numbers and nulls, too wide for one integer type.
    """
    import pandas as pd
    from pandas.api.types import infer_dtype

    text = "x\n" + "".join(f'"{field}"\n' for field in fields)
    column = pd.read_csv(io.StringIO(text), low_memory=False)["x"]
    if str(column.dtype) == "float64":
        return "float64"
    return "big_integer" if infer_dtype(column, skipna=True) == "integer" else "text"


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]  # fields of a column that is text or integers
    except ValueError:
        return value in _NULLS
    except OverflowError:  # an integer that pandas made a Python one, too large for a float
        return True
    return True

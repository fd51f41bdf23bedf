"""Malformed cells of a table, within its column types, since the types of a job's input never change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from pytest_parallelrun.strategies.sample import invalid

if TYPE_CHECKING:
    import pandas as pd

CellKind = Literal[
    "null", "nan", "nat", "zero", "minus_one", "min", "max", "inf", "-inf", "empty", "separators", "long", "unseen"
]
CELL_KINDS: tuple[CellKind, ...] = get_args(CellKind)
NULLS: tuple[CellKind, ...] = ("null", "nan", "nat")
"""Kinds for a whole column."""
IN_JSON: tuple[CellKind, ...] = ("null", "zero", "minus_one", "min", "max", "empty", "separators", "long", "unseen")
"""Kinds for a line of JSON."""

LONG_TEXT = "long text " * 1_000
SEPARATORS = "comma, semicolon; tab\t newline\n \"quotes\" and 'quotes'"
EARLIEST, LATEST = "1678-01-01", "2262-01-01"
"""Dates that every resolution of pandas can hold, in any time zone."""


def kinds_of(column: pd.Series) -> tuple[CellKind, ...]:
    """The malformed values for a column of this type; none for booleans without null."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return ("null",) if _unused_category(column) is None else ("null", "unseen")
    if isinstance(dtype, pd.StringDtype):
        return ("null", "empty", "separators", "long", "unseen")
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ("nat", "min", "max")
    if pd.api.types.is_object_dtype(dtype):
        if pd.api.types.infer_dtype(column, skipna=True) == "string":
            return ("null", "empty", "separators", "long", "unseen")
        return ("null",)
    if pd.api.types.is_extension_array_dtype(dtype):
        return _kinds_of_extension(dtype)
    return _kinds_of_numbers(dtype.kind)


def value_of(kind: CellKind, column: pd.Series) -> object:
    """The value of that kind for this column of the sample. InvalidArgument if its type cannot hold it."""
    import pandas as pd

    allowed = kinds_of(column)
    if kind not in allowed:
        raise invalid(
            f"a cell of column {column.name!r} ({column.dtype}) cannot be {kind!r}. "
            f"Allowed: {', '.join(allowed) or 'nothing malformed'}."
        )
    if kind in NULLS:
        # For object columns, what a reader of CSV files returns.
        return getattr(column.dtype, "na_value", float("nan")) if kind != "nat" else pd.NaT
    if kind == "unseen":
        return _unused_category(column) if isinstance(column.dtype, pd.CategoricalDtype) else _unseen_text(column)
    if column.dtype.kind == "M":
        return pd.Timestamp(EARLIEST if kind == "min" else LATEST, tz=getattr(column.dtype, "tz", None))
    texts = {"empty": "", "separators": SEPARATORS, "long": LONG_TEXT}
    return texts[kind] if kind in texts else _number(kind, str(column.dtype).lower())


def _kinds_of_numbers(kind: str) -> tuple[CellKind, ...]:
    """`kind`: the letter that NumPy gives a type."""
    kinds: dict[str, tuple[CellKind, ...]] = {
        "i": ("zero", "minus_one", "min", "max"),
        "u": ("zero", "max"),
        "f": ("nan", "zero", "min", "max", "inf", "-inf"),
        "c": ("nan",),
        "M": ("nat", "min", "max"),
        "m": ("nat",),
    }
    return kinds.get(kind, ())


def _kinds_of_extension(dtype: object) -> tuple[CellKind, ...]:
    """Nullable numbers and booleans, and columns of Arrow; other extension types are unknown."""
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return ("null",)
    numpy_dtype = getattr(dtype, "numpy_dtype", None)
    if getattr(dtype, "na_value", None) is not pd.NA or numpy_dtype is None:
        return ()
    return ("null", *(kind for kind in _kinds_of_numbers(numpy_dtype.kind) if kind not in ("nan", "inf", "-inf")))


def _number(kind: CellKind, dtype: str) -> object:
    """`dtype`: the name that NumPy gives it; pandas' own types differ from it in their capitals."""
    import numpy as np

    if kind in ("inf", "-inf"):
        return float(kind)
    if kind in ("zero", "minus_one"):
        return 0 if kind == "zero" else -1
    limits = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
    return limits.min if kind == "min" else limits.max


def _unused_category(column: pd.Series) -> object:
    """A declared category that no row has; an undeclared one would change the column type."""
    used = set(column.cat.codes)
    return next((name for code, name in enumerate(column.cat.categories) if code not in used), None)


def _unseen_text(column: pd.Series) -> str:
    seen = set(column)
    text = "unseen"
    while text in seen:
        text += "_"
    return text

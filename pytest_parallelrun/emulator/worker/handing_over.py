"""What run() returned, on its way out of a worker process.

The process that gets it cannot import the classes of the script, and must not execute code of libraries to look at a
result. So plain values and those of the standard library, numpy, pandas and pyarrow cross as they are, and every other
object as its texts.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_CROSSING = frozenset(
    {"collections", "datetime", "decimal", "fractions", "numpy", "pandas", "pathlib", "pyarrow", "uuid"}
    | {__name__.partition(".")[0]}
)
"""Packages whose objects are values. Of the standard library others than these may do something when they are made."""

_HELPERS = frozenset({"builtins", "copyreg", "_codecs", "_decimal", "_operator"})
"""Modules with functions that the pickles of these objects name."""

_BUILTIN_VALUES = (bytearray, set, frozenset, complex, range, slice, type(...), BaseException)


class CannotCross(Exception):
    """A result of which not even the text can be handed over."""


class Represented:
    """An object of the script's own, or of a library, that stayed in its worker: its type and its texts.

    Equal to another of the same type and texts. str() and repr() give the object's own.
    """

    __slots__ = ("_repr", "_text", "type_name")

    def __init__(self, type_name: str, text: str, shown: str) -> None:
        self.type_name = type_name
        self._text = text
        self._repr = shown

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._repr

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Represented) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[str, str, str]:
        return self.type_name, self._text, self._repr

    def __reduce__(self) -> tuple[type[Represented], tuple[str, str, str]]:
        return Represented, self._parts()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.represented = 0

    def reducer_override(self, thing: object) -> Any:
        if _crosses(thing):
            return NotImplemented
        self.represented += 1
        return represent(thing).__reduce__()


def _crosses(thing: object) -> bool:
    kind = type(thing)
    if isinstance(thing, type) or (callable(thing) and hasattr(thing, "__qualname__")):
        # A class or function crosses by its name, as a part of what others are made of.
        module = str(getattr(thing, "__module__", None))
        return module in _HELPERS or module.partition(".")[0] in _CROSSING
    if kind.__module__ == "builtins":
        return isinstance(thing, _BUILTIN_VALUES)
    return kind.__module__.partition(".")[0] in _CROSSING


def represent(thing: object) -> Represented:
    """The texts of an object; CannotCross where it has none."""
    kind = type(thing)
    try:
        return Represented(f"{kind.__module__}.{kind.__qualname__}", str(thing), repr(thing))
    except Exception as error:
        raise CannotCross(
            f"an element of type {kind.__qualname__} cannot be handed over: its text raises "
            f"{type(error).__name__}: {error}"
        ) from error


def encode(value: object) -> tuple[bytes, int]:
    """A list or DataFrame as bytes, and how many of the objects in it are only represented. CannotCross."""
    if not isinstance(value, list) and type(value).__module__.partition(".")[0] != "pandas":
        import pandas as pd

        # Of a class of the script's own, or of a library that is built on pandas.
        value = pd.DataFrame(value)  # type: ignore[call-overload]
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    try:
        pickler.dump(value)
    except CannotCross:
        raise
    except Exception as error:
        raise CannotCross(f"what run() returned cannot be handed over: {type(error).__name__}: {error}") from error
    return buffer.getvalue(), pickler.represented


def decode(data: bytes) -> object:
    """The value of `encode`. CannotCross where a library of the worker is missing here, or has another version."""
    try:
        value: object = pickle.loads(data)
    except Exception as error:
        raise CannotCross(f"what run() returned cannot be taken over: {type(error).__name__}: {error}") from error
    return value

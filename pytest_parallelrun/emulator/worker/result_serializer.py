"""Results of run() on their way out of a worker process.

The receiving process cannot import the classes of the script, and must not execute code of libraries for a result. So
plain values and those of the standard library, numpy, pandas, pyarrow and time zone libraries are sent as they are, and
every other object as its texts. If such texts cannot be part of their container, such as a datetime with a time zone
class of the script, the whole element or cell is sent as texts.
"""

from __future__ import annotations

import enum
import io
import pickle
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd

_CROSSING = frozenset(
    {"array", "collections", "datetime", "decimal", "fractions", "ipaddress", "pathlib", "time", "types", "uuid"}
    | {"dateutil", "numpy", "pandas", "pyarrow", "pytz", "zoneinfo", __name__.partition(".")[0]}
)
"""Packages whose objects are values. Other objects of the standard library may run code when they are created, except
members of its enums.
"""

_HELPERS = frozenset({"builtins", "copyreg", "_codecs", "_decimal", "_operator"})
"""Modules with functions that the pickles of these objects refer to."""

_BUILTIN_VALUES = (bytearray, set, frozenset, complex, range, slice, type(...), BaseException)


class SerializationError(Exception):
    """A result that cannot even be sent as text."""


class OpaqueValue:
    """An object of the script or a library that stayed in its worker: its type and its texts.

    Equal to another of the same type and texts. str() and repr() return those of the object.
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
        return isinstance(other, OpaqueValue) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[str, str, str]:
        return self.type_name, self._text, self._repr

    def __reduce__(self) -> tuple[type[OpaqueValue], tuple[str, str, str]]:
        return OpaqueValue, self._parts()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.represented = 0

    def reducer_override(self, thing: object) -> Any:
        kind = type(thing)
        if kind is OpaqueValue:
            self.represented += 1
            return NotImplemented
        if not _crosses(thing):
            self.represented += 1
            return represent(thing).__reduce__()
        if kind is defaultdict and not _crosses(thing.default_factory):  # type: ignore[attr-defined]
            # Code of the script, which no reader of a result calls.
            return defaultdict, (None,), None, None, iter(thing.items())  # type: ignore[attr-defined]
        if kind.__name__ == "DatetimeTZDtype" and not _crosses(thing.tz):  # type: ignore[attr-defined]
            # pandas accepts any object as a time zone, until somebody reads a cell.
            raise TypeError(f"the time zone {thing.tz} is of a class that stays in its worker")  # type: ignore[attr-defined]
        return NotImplemented


def _crosses(thing: object) -> bool:
    if isinstance(thing, type) or (callable(thing) and hasattr(thing, "__qualname__")):
        # A class or function is sent by its name, as a part of other objects.
        owner = getattr(thing, "__self__", None)
        if isinstance(owner, type):
            return _crosses(owner)
        module = str(getattr(thing, "__module__", None))
        return module in _HELPERS or _is_of_values(module) or _is_enum_of_python(thing)
    kind = type(thing)
    if kind.__module__ == "builtins":
        return thing is None or isinstance(thing, _BUILTIN_VALUES)
    return _is_of_values(kind.__module__) or _is_enum_of_python(kind)


def _is_of_values(module: str) -> bool:
    return module.partition(".")[0] in _CROSSING


def _is_enum_of_python(kind: object) -> bool:
    return (
        isinstance(kind, type)
        and issubclass(kind, enum.Enum)
        and kind.__module__.partition(".")[0] in sys.stdlib_module_names
    )


def represent(thing: object) -> OpaqueValue:
    """The texts of an object; SerializationError if it has none."""
    kind = type(thing)
    try:
        return OpaqueValue(f"{kind.__module__}.{kind.__qualname__}", str(thing), repr(thing))
    except Exception as error:
        raise SerializationError(
            f"a result of type {kind.__qualname__} cannot be serialized: str() or repr() of it raised "
            f"{type(error).__name__}: {error}"
        ) from error


def encode(value: object) -> tuple[bytes, int]:
    """A list or DataFrame as bytes, and the number of objects in it that are sent as text. SerializationError."""
    if not isinstance(value, list) and type(value).__module__.partition(".")[0] != "pandas":
        import pandas as pd

        # Of a class of the script, or of a library based on pandas.
        value = pd.DataFrame(value)  # type: ignore[call-overload]
    try:
        return _pickled(value)
    except SerializationError:
        raise
    except Exception as error:
        try:
            return _pickled(_each_apart(value))
        except Exception:
            raise SerializationError(
                f"what run() returned cannot be serialized: {type(error).__name__}: {error}"
            ) from error


def _pickled(value: object) -> tuple[bytes, int]:
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    pickler.dump(value)
    data = buffer.getvalue()
    if pickler.represented:
        # Whether its container accepts it.
        pickle.loads(data)
    return data, pickler.represented


def _each_apart(value: object) -> object:
    """The same with texts for those elements, or cells of a DataFrame, that cannot be sent as they are."""
    if isinstance(value, list):
        return [_as_far_as_possible(element) for element in value]
    import pandas as pd

    frame = cast("pd.DataFrame", value).copy(deep=False)
    for position, kind in enumerate(frame.dtypes):
        if pd.api.types.is_object_dtype(kind):
            cells = [_as_far_as_possible(cell) for cell in frame.iloc[:, position]]
            frame.isetitem(position, pd.Series(cells, frame.index, dtype=object))
    return frame


def _as_far_as_possible(thing: object) -> object:
    try:
        _pickled(thing)
    except Exception:
        return represent(thing)
    return thing


def decode(data: bytes) -> object:
    """The value of `encode`. SerializationError if a library of the worker is missing here or differs."""
    try:
        value: object = pickle.loads(data)
    except Exception as error:
        raise SerializationError(
            f"what run() returned cannot be deserialized: {type(error).__name__}: {error}"
        ) from error
    return value

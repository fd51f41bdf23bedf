"""What crosses from a worker process as it is, and what as its texts."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import pathlib
import pickle
import uuid
from collections import Counter, OrderedDict
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from pytest_parallelrun.emulator.worker.handing_over import CannotCross, Represented, decode, encode


class Own:
    """A class of a script."""

    def __str__(self) -> str:
        return "mine"


class Colour(enum.Enum):
    RED = 1


def crossed_of(value: object) -> list[Any]:
    return cast("list[Any]", decode(encode(value)[0]))


VALUES = [
    b"bytes",
    bytearray(b"more"),
    {"a": [1, (2, {3})], "b": frozenset({4})},
    1 + 2j,
    range(3),
    datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc),
    datetime.timedelta(1),
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=5),
    pathlib.PurePosixPath("/a"),
    OrderedDict(a=1),
    Counter("aab"),
    np.float32(1.5),
    np.int64(7),
    pd.Timestamp("2024-02-29"),
    10**30,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_cross_as_they_are(value: object) -> None:
    data, represented = encode([value])
    [crossed] = cast("list[Any]", decode(data))
    assert (crossed, type(crossed), represented) == (value, type(value), 0)


def test_arrays_and_tables_cross_as_they_are() -> None:
    days = pd.to_datetime(["2024-02-29", "2024-03-01"])
    frame = pd.DataFrame({"x": [1, None], "when": days, "c": pd.Categorical(["a", "b"])})
    pd.testing.assert_frame_equal(decode(encode(frame)[0]), frame)  # type: ignore[arg-type]
    [crossed] = crossed_of([np.arange(3)])
    assert crossed.tolist() == [0, 1, 2]


def test_an_exception_of_python_crosses() -> None:
    [crossed] = crossed_of([ValueError("bad")])
    assert (type(crossed), crossed.args) == (ValueError, ("bad",))


KINDS = ["instance", "enum", "class", "function", "iterator", "builtin"]


@pytest.mark.parametrize("thing", [Own(), Colour.RED, Own, lambda: None, iter([1]), open], ids=KINDS)
def test_other_objects_cross_as_their_texts(thing: object) -> None:
    data, represented = encode([{"deep": [thing]}])
    [crossed] = cast("list[Any]", decode(data))
    [shown] = crossed["deep"]
    assert (str(shown), repr(shown)) == (str(thing), repr(thing))
    assert (type(shown), represented) == (Represented, 1)


def test_cells_of_a_table_are_handed_over_in_the_same_way() -> None:
    crossed = decode(encode(pd.DataFrame({"x": [Own(), "text"]}))[0])
    assert isinstance(crossed, pd.DataFrame)
    assert [str(cell) for cell in crossed["x"]] == ["mine", "text"]


def test_a_table_of_another_class_becomes_one_of_pandas() -> None:
    class Table(pd.DataFrame):
        pass

    Table.__module__ = "score"
    crossed = decode(encode(Table({"x": [1]}))[0])
    assert type(crossed) is pd.DataFrame


def test_texts_are_equal_where_type_and_texts_are() -> None:
    one = Represented("score.Own", "mine", "<Own>")
    assert one == Represented("score.Own", "mine", "<Own>")
    assert one != Represented("score.Other", "mine", "<Own>")
    assert one != "mine"
    assert hash(one) == hash(pickle.loads(pickle.dumps(one)))


class Silent:
    def __str__(self) -> str:
        raise KeyError("no")


def test_what_has_no_text_cannot_cross() -> None:
    with pytest.raises(CannotCross, match="an element of type Silent cannot be handed over: its text raises KeyError"):
        encode([Silent()])


def test_what_cannot_be_pickled_cannot_cross() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CannotCross, match="what run\\(\\) returned cannot be handed over: RecursionError"):
        encode(deep)


def test_what_cannot_be_unpickled_here_is_said() -> None:
    with pytest.raises(CannotCross, match="what run\\(\\) returned cannot be taken over: ModuleNotFoundError"):
        decode(b"cno_such_module\nthing\n.")

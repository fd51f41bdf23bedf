"""What crosses from a worker process as it is, and what as its texts."""

from __future__ import annotations

import array
import datetime
import decimal
import enum
import fractions
import http
import ipaddress
import pathlib
import pickle
import signal
import time
import types
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, cast

import dateutil.tz
import numpy as np
import pandas as pd
import pytest

from pytest_parallelrun.emulator.worker.result_serializer import OpaqueValue, SerializationError, decode, encode

pytz = pytest.importorskip("pytz")


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
    defaultdict(list, a=[1]),
    deque([1], maxlen=3),
    http.HTTPStatus.OK,
    signal.SIGTERM,
    array.array("d", [1.5]),
    ipaddress.ip_network("10.0.0.0/8"),
    types.SimpleNamespace(a=1),
    time.gmtime(0),
    datetime.date(2024, 2, 29),
    np.datetime64("2024-02-29"),
    pd.Period("2024-02", "M"),
    pd.Interval(1, 2),
    pd.offsets.BusinessDay(2),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_cross_as_they_are(value: object) -> None:
    data, represented = encode([value])
    [crossed] = cast("list[Any]", decode(data))
    assert (crossed, type(crossed), represented) == (value, type(value), 0)


BERLIN = "Europe/Berlin"
ZONES = [
    zoneinfo.ZoneInfo(BERLIN),
    dateutil.tz.tzutc(),
    dateutil.tz.tzlocal(),
    dateutil.tz.tzoffset("X", 3600),
    pytz.timezone(BERLIN),
    pytz.UTC,
    pytz.FixedOffset(90),
    datetime.timezone(datetime.timedelta(hours=1)),
]


@pytest.mark.parametrize("zone", [*ZONES, dateutil.tz.gettz(BERLIN)], ids=repr)
def test_a_moment_in_a_time_zone_crosses_as_it_is(zone: datetime.tzinfo) -> None:
    moment = datetime.datetime(2024, 7, 1, 12, tzinfo=zone)
    [crossed] = crossed_of([moment])
    assert (crossed, crossed.utcoffset(), type(crossed.tzinfo)) == (moment, moment.utcoffset(), type(moment.tzinfo))


# Not the files of dateutil, whose later versions pandas 2 cannot read.
@pytest.mark.parametrize("zone", ZONES, ids=repr)
def test_a_table_in_a_time_zone_crosses_as_it_is(zone: datetime.tzinfo) -> None:
    days = pd.date_range("2024-07-01", periods=2, tz=zone)
    frame = pd.DataFrame({"when": days}, index=days)
    crossed = cast("pd.DataFrame", decode(encode(frame)[0]))
    assert crossed.to_dict("records") == frame.to_dict("records")
    assert (crossed.index[0], crossed.dtypes["when"]) == (days[0], frame.dtypes["when"])


class OwnZone(datetime.tzinfo):
    """A time zone of a script."""

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta(hours=5)

    dst = utcoffset

    def tzname(self, when: datetime.datetime | None) -> str:
        return "own"


def test_an_element_whose_part_must_stay_is_handed_over_as_its_texts() -> None:
    moment = datetime.datetime(2024, 7, 1, tzinfo=OwnZone())
    data, represented = encode([moment, {"deep": [Own()]}, "text"])
    shown, deep, text = cast("list[Any]", decode(data))
    assert (type(shown), str(shown), repr(shown)) == (OpaqueValue, str(moment), repr(moment))
    assert (str(deep["deep"][0]), text, represented) == ("mine", "text", 2)


def test_a_cell_whose_part_must_stay_is_handed_over_as_its_texts() -> None:
    moment = datetime.datetime(2024, 7, 1, tzinfo=OwnZone())
    frame = pd.DataFrame({"n": [1, 2], "x": pd.Series([moment, None], dtype=object)})
    crossed = decode(encode(frame)[0])
    assert isinstance(crossed, pd.DataFrame)
    assert (str(crossed["x"][0]), crossed["x"][1], crossed["n"].tolist()) == (str(moment), None, [1, 2])
    # It is a copy that was changed.
    assert frame["x"][0] is moment


def test_a_column_in_a_time_zone_of_the_script_cannot_cross() -> None:
    frame = pd.DataFrame({"when": pd.Series([0], dtype="M8[ns]").dt.tz_localize(OwnZone())})
    with pytest.raises(
        SerializationError, match=r"the time zone <.*OwnZone .*> is of a class that stays in its worker"
    ):
        encode(frame)


def test_a_defaultdict_crosses_without_code_of_the_script() -> None:
    outer: defaultdict[str, object] = defaultdict(lambda: 1)
    outer["a"] = defaultdict(Own, b=2)  # type: ignore[arg-type]
    [crossed] = crossed_of([outer])
    assert crossed == {"a": {"b": 2}}
    assert (type(crossed), type(crossed["a"]), crossed.default_factory) == (defaultdict, defaultdict, None)


def test_arrays_and_tables_cross_as_they_are() -> None:
    days = pd.to_datetime(["2024-02-29", "2024-03-01"])
    frame = pd.DataFrame(
        {
            "x": [1, None],
            "when": days,
            "c": pd.Categorical(["a", "b"]),
            "n": pd.array([1, None], dtype="Int64"),
            "t": pd.array(["a", None], dtype="string"),
            "p": pd.period_range("2024-01", periods=2, freq="M"),
            "i": pd.interval_range(0, 2),
            "s": pd.arrays.SparseArray([0, 1]),
            "a": pd.array([1, None], dtype="int64[pyarrow]"),
            "o": pd.Series([{"deep": [http.HTTPStatus.OK]}, decimal.Decimal(1)], dtype=object),
        }
    )
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
    assert (type(shown), represented) == (OpaqueValue, 1)


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
    one = OpaqueValue("score.Own", "mine", "<Own>")
    assert one == OpaqueValue("score.Own", "mine", "<Own>")
    assert one != OpaqueValue("score.Other", "mine", "<Own>")
    assert one != "mine"
    assert hash(one) == hash(pickle.loads(pickle.dumps(one)))


class Silent:
    def __str__(self) -> str:
        raise KeyError("no")


def test_what_has_no_text_cannot_cross() -> None:
    with pytest.raises(
        SerializationError,
        match="a result of type Silent cannot be serialized: str\\(\\) or repr\\(\\) of it raised KeyError",
    ):
        encode([Silent()])


def test_what_cannot_be_pickled_cannot_cross() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SerializationError, match="what run\\(\\) returned cannot be serialized: RecursionError"):
        encode(deep)


def test_what_cannot_be_unpickled_here_is_said() -> None:
    with pytest.raises(SerializationError, match="what run\\(\\) returned cannot be deserialized: ModuleNotFoundError"):
        decode(b"cno_such_module\nthing\n.")

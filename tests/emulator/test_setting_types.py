"""The kinds of value: what each accepts, what it makes of it, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.setting_types import (
    Choice,
    Delimiter,
    Encoding,
    FileName,
    Flag,
    NameList,
    Percent,
    Seconds,
    SettingType,
    Size,
    Text,
    TotalTries,
    Variables,
    WholeNumber,
    parsed,
)

SIZE = Size("files")
LEVEL = Choice(("INFO", "DEBUG"), case_insensitive=True)
PROFILE = Choice(("v2", "v1"))

ACCEPTED: list[tuple[SettingType[object], object, object]] = [
    (WholeNumber(-1), -1, -1),
    (WholeNumber(-1), "-1", -1),
    (WholeNumber(-1), " +7 ", 7),
    (WholeNumber(-1), 2**31 - 1, 2**31 - 1),
    (WholeNumber(0), np.int64(3), 3),
    (TotalTries(), 1, 0),
    (TotalTries(), "3", 2),
    (TotalTries(), 2**31 - 1, 2**31 - 2),
    (Percent(), 0, 0),
    (Percent(), 100, 100),
    (Percent(), "12.5", 12.5),
    (Percent(), 50.0, 50),
    (Seconds(), 0.001, 0.001),
    (Seconds(), "1e2", 100),
    (Seconds(), 259200, 259200),
    (Seconds(), np.float64(1.5), 1.5),
    (SIZE, 1, 1),
    (SIZE, "10", 10),
    (SIZE, "1KB", 1024),
    (SIZE, "3mb", 3 * 1024 * 1024),
    (SIZE, " 2Gb ", 2 * 1024 * 1024 * 1024),
    (LEVEL, "debug", "DEBUG"),
    (PROFILE, "v1", "v1"),
    (Flag(), True, True),
    (Flag(), False, False),
    (Flag(), "True", True),
    (Flag(), "yes", True),
    (Flag(), "1", True),
    (Flag(), 1, True),
    (Flag(), "FALSE", False),
    (Flag(), "no", False),
    (Flag(), "0", False),
    (NameList(), "a, b", ("a", "b")),
    (NameList(), ["a,b", "c"], ("a,b", "c")),
    (NameList(), ("größe",), ("größe",)),
    (NameList(), "", ()),
    (Variables(), {"A": "1", "B": ""}, {"A": "1", "B": ""}),
    (Variables(), "A=1,B=x=y", {"A": "1", "B": "x=y"}),
    (Variables(), " ", {}),
    (Text(), "", ""),
    (FileName(), "my scores ü.csv", "my scores ü.csv"),
    (Encoding(), "UTF8", "utf-8"),
    (Encoding(), "utf-8-sig", "utf-8-sig"),
    (Encoding(), "cp1252", "cp1252"),
    (Delimiter(), ";", ";"),
    (Delimiter(), " ", " "),
    (Delimiter(), "\t", "\t"),
    (Delimiter(), "\\t", "\t"),
    (Delimiter(), "tab", "\t"),
]

REFUSED: list[tuple[SettingType[object], object, str]] = [
    (WholeNumber(-1), -2, "a whole number of -1 or more"),
    (WholeNumber(-1), "-2", "a whole number of -1 or more"),
    (WholeNumber(0), 1.0, "a whole number"),
    (WholeNumber(0), "1.0", "a whole number"),
    (WholeNumber(0), "1_000", "a whole number"),
    (WholeNumber(0), "", "a whole number"),
    (WholeNumber(0), "9" * 5000, "a whole number"),
    (WholeNumber(0), True, "a whole number"),
    (WholeNumber(0), np.True_, "a whole number"),
    (WholeNumber(0), np.array([1, 2]), "a whole number"),
    (WholeNumber(0), [1], "a whole number"),
    (WholeNumber(0), 2**31, "a whole number from 0 to 2147483647"),
    (TotalTries(), 0, "it counts all tries, the first one too"),
    (TotalTries(), "2.5", "1 or more"),
    (TotalTries(), 2**31, "1 or more"),
    (Percent(), -0.1, "from 0 to 100"),
    (Percent(), 100.1, "from 0 to 100"),
    (Percent(), "5%", "from 0 to 100"),
    (Percent(), False, "from 0 to 100"),
    (Percent(), math.nan, "from 0 to 100"),
    (Percent(), "nan", "from 0 to 100"),
    (Seconds(), 0, "above 0"),
    (Seconds(), 259200.5, "at most 259200"),
    (Seconds(), math.inf, "at most 259200"),
    (Seconds(), "inf", "at most 259200"),
    (Seconds(), "1_0", "above 0"),
    (Seconds(), "60s", "above 0"),
    (Seconds(), None, "above 0"),
    (SIZE, 0, "1 or more"),
    (SIZE, "0", "1 or more"),
    (SIZE, "0kb", "1 or more"),
    (SIZE, -5, "1 or more"),
    (SIZE, "-5", "1 or more"),
    (SIZE, 10.0, "1 or more"),
    (SIZE, True, "1 or more"),
    (LEVEL, "warn", "'INFO' or 'DEBUG'"),
    (LEVEL, 3, "'INFO' or 'DEBUG'"),
    (PROFILE, "V2", "'v2' or 'v1'"),
    (Flag(), "maybe", "true or false"),
    (Flag(), 2, "true or false"),
    (Flag(), None, "true or false"),
    (NameList(), "a,,b", "a list of distinct names"),
    (NameList(), "a,a", "a list of distinct names"),
    (NameList(), [1], "a list of distinct names"),
    (NameList(), 5, "a list of distinct names"),
    (Variables(), "A", "A=1,B=2"),
    (Variables(), ["A=1"], "a mapping"),
    (Variables(), {"A=B": "1"}, "'A=B' is no variable name"),
    (Variables(), {"": "1"}, "'' is no variable name"),
    (Variables(), {"A\0": "1"}, "is no variable name"),
    (Variables(), {5: "1"}, "5 is no variable name"),
    (Variables(), {"A": 1}, "the value of 'A' is of type int: put it in quotes"),
    (Variables(), {"A": "x\0"}, "the value of 'A' holds a null character"),
    (Text(), 5, "a text"),
    (FileName(), "", "a file name without a folder"),
    (FileName(), " ", "a file name without a folder"),
    (FileName(), "..", "a file name without a folder"),
    (FileName(), "a/b", "a file name without a folder"),
    (FileName(), "a\\b", "a file name without a folder"),
    (FileName(), "a\0b", "a file name without a folder"),
    (FileName(), 3, "a file name without a folder"),
    (Encoding(), "utf-9", "a text encoding that Python knows"),
    (Encoding(), "base64", "a text encoding that Python knows"),
    (Encoding(), 8, "a text encoding that Python knows"),
    (Encoding(), "utf-16", "which utf-16 does not: convert the table to utf-8"),
    (Encoding(), "utf-16-le", "as ASCII does, which utf-16-le does not"),
    (Encoding(), "cp500", "as ASCII does, which cp500 does not"),
    (Delimiter(), "", "a single ASCII character"),
    (Delimiter(), ";;", "a single ASCII character"),
    (Delimiter(), '"', "other than a quote"),
    (Delimiter(), "\n", "or a line end"),
    (Delimiter(), "\r", "or a line end"),
    (Delimiter(), "é", "a single ASCII character"),
    (Delimiter(), 1, "a single ASCII character"),
]


@pytest.mark.parametrize(("kind", "raw", "value"), ACCEPTED)
def test_an_allowed_value_is_parsed(kind: SettingType[object], raw: object, value: object) -> None:
    assert kind.parse(raw) == value
    assert type(kind.parse(raw)) is type(value) or isinstance(value, dict)


@pytest.mark.parametrize(("kind", "raw", "value"), ACCEPTED)
def test_a_parsed_value_parses_to_itself_again(kind: SettingType[object], raw: object, value: object) -> None:
    if not isinstance(kind, TotalTries):  # It turns tries into retries.
        assert kind.parse(kind.parse(raw)) == value


@pytest.mark.parametrize(("kind", "raw", "allowed"), REFUSED)
def test_a_value_that_is_not_allowed_is_refused_with_what_is(
    kind: SettingType[object], raw: object, allowed: str
) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 (the text is compared below)
        kind.parse(raw)
    assert allowed in str(raised.value)


@pytest.mark.parametrize(
    ("raw", "right"),
    [("100 kb", "100kb"), ("10B", "10"), ("1K", "1kb"), ("5 MiB", "5mb")],
)
def test_a_nearly_right_size_is_refused_with_its_right_spelling(raw: str, right: str) -> None:
    with pytest.raises(ValueError, match=rf"Did you mean '{right}'\?$"):
        SIZE.parse(raw)


@pytest.mark.parametrize("raw", ["1KBMB", "1.5mb", "-1kb", "kb", "0 kb", ""])
def test_a_size_without_a_nearest_spelling_is_refused_with_an_example(raw: str) -> None:
    with pytest.raises(ValueError, match=r"KB, MB or GB right behind it: '100kb'$"):
        SIZE.parse(raw)


def test_environment_variables_are_a_read_only_copy() -> None:
    given_variables = {"A": "1"}
    variables = Variables().parse(given_variables)
    given_variables["A"] = "2"
    assert variables["A"] == "1"
    assert not hasattr(variables, "__setitem__")


def test_a_refused_value_is_named_with_its_setting_and_its_origin() -> None:
    with pytest.raises(SettingsError) as raised:
        parsed(WholeNumber(-1), "error_threshold", "-2", "job.yml")
    assert str(raised.value) == "error_threshold='-2' (from job.yml): must be a whole number of -1 or more"


def test_a_refused_value_without_an_origin_names_none() -> None:
    with pytest.raises(SettingsError, match=r"^timeout=0: must be a number of seconds above 0"):
        parsed(Seconds(), "timeout", 0, None)


def test_values_of_environment_variables_are_never_shown() -> None:
    with pytest.raises(SettingsError) as raised:
        parsed(Variables(), "environment_variables", {"API_KEY": "hunter2", "PORT": 80}, None)
    assert str(raised.value).startswith("environment_variables: must be a mapping")
    assert "hunter2" not in str(raised.value)


@given(st.integers(1, 10**9), st.sampled_from(["", "kb", "MB", "gB"]))
def test_units_of_a_size_are_powers_of_1024(number: int, unit: str) -> None:
    power = ["", "kb", "mb", "gb"].index(unit.lower())
    assert SIZE.parse(f"{number}{unit}") == number * 1024**power


@given(st.floats(min_value=0, max_value=259200, exclude_min=True))
def test_seconds_mean_the_same_as_a_number_and_as_its_text(seconds: float) -> None:
    assert Seconds().parse(seconds) == Seconds().parse(str(seconds)) == seconds

"""The kinds of value: what each accepts, what it makes of it, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.setting_types import (
    DELIMITER,
    ENCODING,
    FILE_NAME,
    FLAG,
    NAMES,
    PERCENT,
    SECONDS,
    TEXT,
    TOTAL_ATTEMPTS,
    VARIABLES,
    SettingType,
    choice,
    size,
    whole_number,
)

SIZE = size("files")
LEVEL = choice(("INFO", "DEBUG"), case_insensitive=True)
PROFILE = choice(("v2", "v1"))

ACCEPTED: list[tuple[SettingType[object], object, object]] = [
    (whole_number(-1), -1, -1),
    (whole_number(-1), "-1", -1),
    (whole_number(-1), " +7 ", 7),
    (whole_number(-1), 2**31 - 1, 2**31 - 1),
    (whole_number(0), np.int64(3), 3),
    (TOTAL_ATTEMPTS, 1, 0),
    (TOTAL_ATTEMPTS, "3", 2),
    (TOTAL_ATTEMPTS, 2**31 - 1, 2**31 - 2),
    (PERCENT, 0, 0),
    (PERCENT, 100, 100),
    (PERCENT, "12.5", 12.5),
    (PERCENT, 50.0, 50),
    (SECONDS, 0.001, 0.001),
    (SECONDS, "1e2", 100),
    (SECONDS, 259200, 259200),
    (SECONDS, np.float64(1.5), 1.5),
    (SIZE, 1, 1),
    (SIZE, "10", 10),
    (SIZE, "1KB", 1024),
    (SIZE, "3mb", 3 * 1024 * 1024),
    (SIZE, " 2Gb ", 2 * 1024 * 1024 * 1024),
    (LEVEL, "debug", "DEBUG"),
    (PROFILE, "v1", "v1"),
    (FLAG, True, True),
    (FLAG, False, False),
    (FLAG, "True", True),
    (FLAG, "yes", True),
    (FLAG, "1", True),
    (FLAG, 1, True),
    (FLAG, "FALSE", False),
    (FLAG, "no", False),
    (FLAG, "0", False),
    (NAMES, "a, b", ("a", "b")),
    (NAMES, ["a,b", "c"], ("a,b", "c")),
    (NAMES, ("größe",), ("größe",)),
    (NAMES, "", ()),
    (VARIABLES, {"A": "1", "B": ""}, {"A": "1", "B": ""}),
    (VARIABLES, "A=1,B=x=y", {"A": "1", "B": "x=y"}),
    (VARIABLES, " ", {}),
    (TEXT, "", ""),
    (FILE_NAME, "my scores ü.csv", "my scores ü.csv"),
    (ENCODING, "UTF8", "utf-8"),
    (ENCODING, "utf-8-sig", "utf-8-sig"),
    (ENCODING, "cp1252", "cp1252"),
    (DELIMITER, ";", ";"),
    (DELIMITER, " ", " "),
    (DELIMITER, "\t", "\t"),
    (DELIMITER, "\\t", "\t"),
    (DELIMITER, "tab", "\t"),
]

REFUSED: list[tuple[SettingType[object], object, str]] = [
    (whole_number(-1), -2, "a whole number of -1 or more"),
    (whole_number(-1), "-2", "a whole number of -1 or more"),
    (whole_number(0), 1.0, "a whole number"),
    (whole_number(0), "1.0", "a whole number"),
    (whole_number(0), "1_000", "a whole number"),
    (whole_number(0), "", "a whole number"),
    (whole_number(0), "9" * 5000, "a whole number"),
    (whole_number(0), True, "a whole number"),
    (whole_number(0), np.True_, "a whole number"),
    (whole_number(0), np.array([1, 2]), "a whole number"),
    (whole_number(0), [1], "a whole number"),
    (whole_number(0), 2**31, "a whole number from 0 to 2147483647"),
    (TOTAL_ATTEMPTS, 0, "it counts all attempts, the first one too"),
    (TOTAL_ATTEMPTS, "2.5", "1 or more"),
    (TOTAL_ATTEMPTS, 2**31, "1 or more"),
    (PERCENT, -0.1, "from 0 to 100"),
    (PERCENT, 100.1, "from 0 to 100"),
    (PERCENT, "5%", "from 0 to 100"),
    (PERCENT, False, "from 0 to 100"),
    (PERCENT, math.nan, "from 0 to 100"),
    (PERCENT, "nan", "from 0 to 100"),
    (SECONDS, 0, "above 0"),
    (SECONDS, 259200.5, "at most 259200"),
    (SECONDS, math.inf, "at most 259200"),
    (SECONDS, "inf", "at most 259200"),
    (SECONDS, "1_0", "above 0"),
    (SECONDS, "60s", "above 0"),
    (SECONDS, None, "above 0"),
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
    (FLAG, "maybe", "true or false"),
    (FLAG, 2, "true or false"),
    (FLAG, None, "true or false"),
    (NAMES, "a,,b", "a list of distinct names"),
    (NAMES, "a,a", "a list of distinct names"),
    (NAMES, [1], "a list of distinct names"),
    (NAMES, 5, "a list of distinct names"),
    (VARIABLES, "A", "A=1,B=2"),
    (VARIABLES, ["A=1"], "a mapping"),
    (VARIABLES, {"A=B": "1"}, "'A=B' is no variable name"),
    (VARIABLES, {"": "1"}, "'' is no variable name"),
    (VARIABLES, {"A\0": "1"}, "is no variable name"),
    (VARIABLES, {5: "1"}, "5 is no variable name"),
    (VARIABLES, {"A": 1}, "the value of 'A' is of type int: put it in quotes"),
    (VARIABLES, {"A": "x\0"}, "the value of 'A' holds a null character"),
    (TEXT, 5, "a text"),
    (FILE_NAME, "", "a file name without a folder"),
    (FILE_NAME, " ", "a file name without a folder"),
    (FILE_NAME, "..", "a file name without a folder"),
    (FILE_NAME, "a/b", "a file name without a folder"),
    (FILE_NAME, "a\\b", "a file name without a folder"),
    (FILE_NAME, "a\0b", "a file name without a folder"),
    (FILE_NAME, 3, "a file name without a folder"),
    (ENCODING, "utf-9", "a text encoding that Python knows"),
    (ENCODING, "base64", "a text encoding that Python knows"),
    (ENCODING, 8, "a text encoding that Python knows"),
    (ENCODING, "utf-16", "which utf-16 does not: convert the table to utf-8"),
    (ENCODING, "utf-16-le", "as ASCII does, which utf-16-le does not"),
    (ENCODING, "cp500", "as ASCII does, which cp500 does not"),
    (DELIMITER, "", "a single ASCII character"),
    (DELIMITER, ";;", "a single ASCII character"),
    (DELIMITER, '"', "other than a quote"),
    (DELIMITER, "\n", "or a line end"),
    (DELIMITER, "\r", "or a line end"),
    (DELIMITER, "é", "a single ASCII character"),
    (DELIMITER, 1, "a single ASCII character"),
]


@pytest.mark.parametrize(("kind", "raw", "value"), ACCEPTED)
def test_an_allowed_value_is_parsed(kind: SettingType[object], raw: object, value: object) -> None:
    assert kind.parse(raw) == value
    assert type(kind.parse(raw)) is type(value) or isinstance(value, dict)


@pytest.mark.parametrize(("kind", "raw", "value"), ACCEPTED)
def test_a_parsed_value_parses_to_itself_again(kind: SettingType[object], raw: object, value: object) -> None:
    if kind is not TOTAL_ATTEMPTS:  # It turns tries into retries.
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
    variables = VARIABLES.parse(given_variables)
    given_variables["A"] = "2"
    assert variables["A"] == "1"
    assert not hasattr(variables, "__setitem__")


def test_a_refused_value_is_named_with_its_setting_and_its_origin() -> None:
    with pytest.raises(SettingsError) as raised:
        whole_number(-1).parse_setting("error_threshold", "-2", "job.yml")
    assert str(raised.value) == "error_threshold='-2' (from job.yml): must be a whole number of -1 or more"


def test_a_refused_value_without_an_origin_names_none() -> None:
    with pytest.raises(SettingsError, match=r"^timeout=0: must be a number of seconds above 0"):
        SECONDS.parse_setting("timeout", 0, None)


def test_values_of_environment_variables_are_never_shown() -> None:
    with pytest.raises(SettingsError) as raised:
        VARIABLES.parse_setting("environment_variables", {"API_KEY": "hunter2", "PORT": 80}, None)
    assert str(raised.value).startswith("environment_variables: must be a mapping")
    assert "hunter2" not in str(raised.value)


@settings(deadline=None)
@given(st.integers(1, 10**9), st.sampled_from(["", "kb", "MB", "gB"]))
def test_units_of_a_size_are_powers_of_1024(number: int, unit: str) -> None:
    power = ["", "kb", "mb", "gb"].index(unit.lower())
    assert SIZE.parse(f"{number}{unit}") == number * 1024**power


@settings(deadline=None)
@given(st.floats(min_value=0, max_value=259200, exclude_min=True))
def test_seconds_mean_the_same_as_a_number_and_as_its_text(seconds: float) -> None:
    assert SECONDS.parse(seconds) == SECONDS.parse(str(seconds)) == seconds

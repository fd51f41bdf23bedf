"""The types of settings.

Each accepts native Python values and the strings of a command line or a YAML file. A bool is never a number; neither
are NaN and infinity.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType
from typing import Generic, TypeVar

from pytest_parallelrun.emulator.errors import SettingsError

T_co = TypeVar("T_co", covariant=True)

MAX_WHOLE_NUMBER = 2**31 - 1
MAX_SECONDS = 259_200
"""Three days: the maximum of every timeout in the service's documents."""

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SIZE = re.compile(r"([0-9]{1,18})(?:([kmg])b)?", re.IGNORECASE)
_NEARLY_A_SIZE = re.compile(r"([0-9]{1,18})\s*(?:([kmg])i?)?b?", re.IGNORECASE)


@dataclass(frozen=True)
class SettingType(Generic[T_co]):
    """The type of a setting.

    allowed: ends the sentence "name=value: must be ...". convert: the value for a raw one, None if it is invalid; it
    may raise a ValueError that says more than `allowed`. secret: values are never shown.
    """

    allowed: str
    convert: Callable[[object], T_co | None]
    secret: bool = False

    def parse(self, raw: object) -> T_co:
        """The value of `raw`; ValueError(what is allowed) if it is invalid."""
        value = self.convert(raw)
        if value is None:
            raise ValueError(self.allowed)
        return value

    def parse_setting(self, name: str, raw: object, origin: str | None) -> T_co:
        """The same; an invalid value is a SettingsError with name, value and origin."""
        try:
            return self.parse(raw)
        except ValueError as error:
            value = "" if self.secret else f"={raw!r}"
            source = f" (from {origin})" if origin else ""
            raise SettingsError(f"{name}{value}{source}: must be {error}") from None


def _integer(raw: object) -> int | None:
    if isinstance(raw, str):
        return int(raw) if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", raw) else None
    if isinstance(raw, bool):
        return None
    # Integral includes NumPy's integers but not its booleans.
    return int(raw) if isinstance(raw, Integral) else None


def _number(raw: object) -> int | float | None:
    """A whole number is an int, as the service prints it."""
    integer = _integer(raw)
    if integer is not None:
        return integer
    if not isinstance(raw, (str, float)) or "_" in str(raw):
        return None
    try:
        value = float(raw)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def whole_number(minimum: int) -> SettingType[int]:
    allowed = f"a whole number of {minimum} or more"

    def convert(raw: object) -> int | None:
        value = _integer(raw)
        if value is not None and value > MAX_WHOLE_NUMBER:
            raise ValueError(f"a whole number from {minimum} to {MAX_WHOLE_NUMBER}")
        return None if value is None or value < minimum else value

    return SettingType(allowed, convert)


def _retries(raw: object) -> int | None:
    value = _integer(raw)
    return None if value is None or not 1 <= value <= MAX_WHOLE_NUMBER else value - 1


TOTAL_ATTEMPTS = SettingType("a whole number of 1 or more (it counts all attempts, the first one too)", _retries)
"""Attempts for a setting that counts retries: 3 attempts are 2 retries."""


def _percent(raw: object) -> float | None:
    value = _number(raw)
    return None if value is None or not 0 <= value <= 100 else value


PERCENT = SettingType("a percentage from 0 to 100", _percent)


def _seconds(raw: object) -> float | None:
    value = _number(raw)
    return None if value is None or not 0 < value <= MAX_SECONDS else value


SECONDS = SettingType(f"a number of seconds above 0 and at most {MAX_SECONDS}", _seconds)


def size(of: str) -> SettingType[int]:
    """A count, or bytes with KB, MB or GB of 1024 right behind the number. Grammar: SDK reference of
    ParallelRunConfig; spellings its client trips over ("100 kb", "1KBMB") and 0 are refused.
    """
    allowed = f"a whole number of 1 or more ({of}), or with KB, MB or GB right behind it: '100kb'"

    def convert(raw: object) -> int | None:
        if not isinstance(raw, str):
            value = _integer(raw)
            return None if value is None or value < 1 else value
        text = raw.strip()
        match = _SIZE.fullmatch(text)
        if match is not None and int(match[1]) > 0:
            return int(match[1]) * _UNITS[(match[2] or "").lower()]
        nearly = _NEARLY_A_SIZE.fullmatch(text)
        if nearly is not None and int(nearly[1]) > 0:
            unit = f"{nearly[2].lower()}b" if nearly[2] else ""
            raise ValueError(f"{allowed}. Did you mean '{nearly[1]}{unit}'?")
        return None

    return SettingType(allowed, convert)


def choice(names: tuple[T_co, ...], *, case_insensitive: bool = False) -> SettingType[T_co]:
    """One of some names, returned in this spelling."""

    def convert(raw: object) -> T_co | None:
        for name in names if isinstance(raw, str) else ():
            if name == raw or (case_insensitive and str(name).lower() == str(raw).lower()):
                return name
        return None

    return SettingType(" or ".join(repr(name) for name in names), convert)


def _flag(raw: object) -> bool | None:
    word = str(raw).strip().lower() if isinstance(raw, (bool, int, str)) else ""
    if word in ("true", "yes", "1"):
        return True
    return False if word in ("false", "no", "0") else None


FLAG = SettingType("true or false", _flag)


def _names(raw: object) -> tuple[str, ...] | None:
    parts: Sequence[object]
    if isinstance(raw, str):
        parts = [part.strip() for part in raw.split(",")] if raw.strip() else []
    elif isinstance(raw, (list, tuple)):
        parts = raw
    else:
        return None
    names = tuple(part for part in parts if isinstance(part, str) and part)
    return names if len(set(names)) == len(parts) else None


NAMES = SettingType("a list of distinct names ('a,b' on a command line)", _names)


def _variables(raw: object) -> Mapping[str, str] | None:
    allowed = VARIABLES.allowed
    if isinstance(raw, str):
        pairs = [part.partition("=") for part in raw.split(",")] if raw.strip() else []
        if not all(equals for _, equals, _ in pairs):
            return None
        raw = {name.strip(): value for name, _, value in pairs}
    if not isinstance(raw, Mapping):
        return None
    for name, value in raw.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise ValueError(f"{allowed}; {name!r} is no variable name")
        if not isinstance(value, str):
            raise ValueError(f"{allowed}; the value of {name!r} is of type {type(value).__name__}: put it in quotes")
        if "\0" in value:
            raise ValueError(f"{allowed}; the value of {name!r} holds a null character")
    return MappingProxyType(dict(raw))


# Environment variables contain secrets.
VARIABLES = SettingType("a mapping of variable names to texts ('A=1,B=2' on a command line)", _variables, secret=True)
"""Environment variables. "A=1,B=2" is split at its commas; the returned mapping is read-only."""

TEXT = SettingType("a text", lambda raw: raw if isinstance(raw, str) else None)


def _file_name(raw: object) -> str | None:
    if not isinstance(raw, str) or raw.strip() in ("", ".", "..") or re.search(r"[/\\\0]", raw):
        return None
    return raw


FILE_NAME = SettingType("a file name without a folder", _file_name)


def _encoding(raw: object) -> str | None:
    structure = '\r\n",'
    try:
        name = codecs.lookup(TEXT.parse(raw)).name
        encoded = structure.encode(name)
    except (LookupError, ValueError):
        return None
    # endswith: utf-8-sig starts with its byte order mark.
    if not encoded.endswith(structure.encode("ascii")):
        raise ValueError(
            f"an encoding that writes a line end as ASCII does, which {name} does not: convert the table to utf-8"
        )
    return name


ENCODING = SettingType("a text encoding that Python knows, such as 'utf-8', 'utf-8-sig' or 'latin-1'", _encoding)
"""Tables are split at the bytes of line ends, quotes and delimiters, so these must be the same as in ASCII."""


def _delimiter(raw: object) -> str | None:
    value = "\t" if isinstance(raw, str) and raw in ("\\t", "tab") else raw
    if not isinstance(value, str) or len(value) != 1 or not value.isascii() or value in '"\r\n\0':
        return None
    return value


DELIMITER = SettingType(
    "a single ASCII character other than a quote or a line end; a tab is '\\t' or 'tab'", _delimiter
)

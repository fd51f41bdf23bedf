"""The kinds of value a setting may have.

Every kind takes native Python values and the strings of a command line or a YAML file. `parse` raises a
ValueError that says just what is allowed ("a whole number of 1 or more"): whoever calls it knows the name,
the value and its origin. A bool is never a number; neither are NaN and infinity.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar, cast

from pytest_parallelrun.emulator.errors import SettingsError

T_co = TypeVar("T_co", covariant=True)

MAX_WHOLE_NUMBER = 2**31 - 1
MAX_SECONDS = 259_200
"""Three days: the upper end of every timeout in the service's documents."""

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SIZE = re.compile(r"([0-9]{1,18})(?:([kmg])b)?", re.IGNORECASE)
_NEARLY_A_SIZE = re.compile(r"([0-9]{1,18})\s*(?:([kmg])i?)?b?", re.IGNORECASE)


class SettingType(Protocol[T_co]):
    """What a setting may hold. `allowed` ends the sentence "name=value: must be ..."."""

    @property
    def allowed(self) -> str: ...

    def parse(self, raw: object) -> T_co:
        """The value that `raw` is or spells; ValueError(what is allowed) where it is none."""
        ...


def parsed(kind: SettingType[T_co], name: str, raw: object, origin: str | None) -> T_co:
    """`kind.parse(raw)`, whose ValueError becomes a SettingsError with name, value and origin."""
    try:
        return kind.parse(raw)
    except ValueError as error:
        # Environment variables hold secrets: their values are never shown.
        value = "" if isinstance(cast(object, kind), Variables) else f"={raw!r}"
        source = f" (from {origin})" if origin else ""
        raise SettingsError(f"{name}{value}{source}: must be {error}") from None


def _integer(raw: object) -> int | None:
    if isinstance(raw, str):
        return int(raw) if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", raw) else None
    if isinstance(raw, bool):
        return None
    # Integral covers NumPy's integers and leaves out its booleans.
    return int(raw) if isinstance(raw, Integral) else None


def _number(raw: object) -> int | float | None:
    whole = _integer(raw)
    if whole is not None:
        return whole
    if not isinstance(raw, (str, float)) or "_" in str(raw):
        return None
    try:
        value = float(raw)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


@dataclass(frozen=True)
class WholeNumber:
    minimum: int
    maximum: int = MAX_WHOLE_NUMBER

    @property
    def allowed(self) -> str:
        return f"a whole number of {self.minimum} or more"

    def parse(self, raw: object) -> int:
        value = _integer(raw)
        if value is None or value < self.minimum:
            raise ValueError(self.allowed)
        if value > self.maximum:
            raise ValueError(f"a whole number from {self.minimum} to {self.maximum}")
        return value


@dataclass(frozen=True)
class TotalTries:
    """Tries where the setting counts retries: 3 tries are 2 retries."""

    allowed = "a whole number of 1 or more (it counts all tries, the first one too)"

    def parse(self, raw: object) -> int:
        value = _integer(raw)
        if value is None or not 1 <= value <= MAX_WHOLE_NUMBER:
            raise ValueError(self.allowed)
        return value - 1


@dataclass(frozen=True)
class Percent:
    """0 to 100; a whole one is an int."""

    allowed = "a percentage from 0 to 100"

    def parse(self, raw: object) -> float:
        value = _number(raw)
        if value is None or not 0 <= value <= 100:
            raise ValueError(self.allowed)
        return value


@dataclass(frozen=True)
class Seconds:
    """More than 0, at most three days; a whole one is an int, as the service prints it."""

    allowed = f"a number of seconds above 0 and at most {MAX_SECONDS}"

    def parse(self, raw: object) -> float:
        value = _number(raw)
        if value is None or not 0 < value <= MAX_SECONDS:
            raise ValueError(self.allowed)
        return value


@dataclass(frozen=True)
class Size:
    """A count, or bytes with KB, MB or GB of 1024 right behind the number. Grammar: SDK reference of
    ParallelRunConfig; spellings its client trips over ("100 kb", "1KBMB") and 0 are refused.
    """

    of: str

    @property
    def allowed(self) -> str:
        return f"a whole number of 1 or more ({self.of}), or with KB, MB or GB right behind it: '100kb'"

    def parse(self, raw: object) -> int:
        match = _SIZE.fullmatch(raw.strip()) if isinstance(raw, str) else None
        value = int(match[1]) * _UNITS[(match[2] or "").lower()] if match else None
        if not isinstance(raw, str):
            value = _integer(raw)
        if value is None or value < 1:
            raise ValueError(self.allowed + self._hint(raw))
        return value

    def _hint(self, raw: object) -> str:
        nearly = _NEARLY_A_SIZE.fullmatch(raw.strip()) if isinstance(raw, str) else None
        if nearly is None or int(nearly[1]) < 1:
            return ""
        unit = f"{nearly[2].lower()}b" if nearly[2] else ""
        return f". Did you mean '{nearly[1]}{unit}'?"


@dataclass(frozen=True)
class Choice(Generic[T_co]):
    """One of some names, given back as it is spelled here."""

    names: tuple[T_co, ...]
    case_insensitive: bool = False

    @property
    def allowed(self) -> str:
        return " or ".join(repr(name) for name in self.names)

    def parse(self, raw: object) -> T_co:
        if isinstance(raw, str):
            for name in self.names:
                same = str(name).lower() == raw.lower() if self.case_insensitive else name == raw
                if same:
                    return name
        raise ValueError(self.allowed)


@dataclass(frozen=True)
class Flag:
    allowed = "true or false"

    def parse(self, raw: object) -> bool:
        if isinstance(raw, (bool, int, str)):
            word = str(raw).strip().lower()
            if word in ("true", "yes", "1"):
                return True
            if word in ("false", "no", "0"):
                return False
        raise ValueError(self.allowed)


@dataclass(frozen=True)
class NameList:
    """Distinct names; a string is split at its commas."""

    allowed = "a list of distinct names ('a,b' on a command line)"

    def parse(self, raw: object) -> tuple[str, ...]:
        parts: Sequence[object]
        if isinstance(raw, str):
            parts = [part.strip() for part in raw.split(",")] if raw.strip() else []
        elif isinstance(raw, (list, tuple)):
            parts = raw
        else:
            raise ValueError(self.allowed)
        names = tuple(part for part in parts if isinstance(part, str) and part)
        if len(names) != len(parts) or len(set(names)) != len(names):
            raise ValueError(self.allowed)
        return names


@dataclass(frozen=True)
class Variables:
    """Environment variables. "A=1,B=2" is split at its commas; the mapping given back is read-only."""

    allowed = "a mapping of variable names to texts ('A=1,B=2' on a command line)"

    def parse(self, raw: object) -> Mapping[str, str]:
        if isinstance(raw, str):
            pairs = [part.partition("=") for part in raw.split(",")] if raw.strip() else []
            if not all(equals for _, equals, _ in pairs):
                raise ValueError(self.allowed)
            raw = {name.strip(): value for name, _, value in pairs}
        if not isinstance(raw, Mapping):
            raise ValueError(self.allowed)
        for name, value in raw.items():
            if not isinstance(name, str) or not name or "=" in name or "\0" in name:
                raise ValueError(f"{self.allowed}; {name!r} is no variable name")
            if not isinstance(value, str):
                kind = type(value).__name__
                raise ValueError(f"{self.allowed}; the value of {name!r} is of type {kind}: put it in quotes")
            if "\0" in value:
                raise ValueError(f"{self.allowed}; the value of {name!r} holds a null character")
        return MappingProxyType(dict(raw))


@dataclass(frozen=True)
class Text:
    allowed = "a text"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(self.allowed)
        return raw


@dataclass(frozen=True)
class FileName:
    allowed = "a file name without a folder"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str) or raw.strip() in ("", ".", "..") or re.search(r"[/\\\0]", raw):
            raise ValueError(self.allowed)
        return raw


@dataclass(frozen=True)
class Encoding:
    """A text codec that Python knows. Tables are cut at the bytes of line ends, quotes and delimiters, so
    these must be the same bytes as in ASCII.
    """

    allowed = "a text encoding that Python knows, such as 'utf-8', 'utf-8-sig' or 'latin-1'"

    def parse(self, raw: object) -> str:
        structure = '\r\n",'
        try:
            name = codecs.lookup(Text().parse(raw)).name
            encoded = structure.encode(name)
        except (LookupError, ValueError):
            raise ValueError(self.allowed) from None
        # endswith: utf-8-sig puts its byte order mark in front.
        if not encoded.endswith(structure.encode("ascii")):
            raise ValueError(
                f"an encoding that writes a line end as ASCII does, which {name} does not: convert the table to utf-8"
            )
        return name


@dataclass(frozen=True)
class Delimiter:
    allowed = "a single ASCII character other than a quote or a line end; a tab is '\\t' or 'tab'"

    def parse(self, raw: object) -> str:
        if not isinstance(raw, str):
            raise ValueError(self.allowed)
        value = "\t" if raw in ("\\t", "tab") else raw
        if len(value) != 1 or not value.isascii() or value in '"\r\n\0':
            raise ValueError(self.allowed)
        return value

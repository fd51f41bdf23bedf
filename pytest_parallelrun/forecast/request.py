"""What --parallelrun-forecast asks for: the size of the full job, and values that the sample cannot show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.emulator.errors import SettingsError, did_you_mean
from pytest_parallelrun.emulator.setting_types import size

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind

_SIZE = size("files, or bytes of a table")
_MEMORY = size("bytes")
MAX_SIZE = 10**9 * 1024**2
"""Of files or bytes; more is a slip."""


class Range(NamedTuple):
    """A value that is known to lie between two; equal if it is known exactly."""

    low: float
    high: float


class Assumption(NamedTuple):
    """A value that can be given. default: where there is one, with its origin; others are measured, or unknown."""

    help: str
    unit: str = "seconds"
    default: Range | None = None
    origin: str = ""


GUIDE = "default, from Microsoft's tuning guide"
ASSUMPTIONS: Mapping[str, Assumption] = {
    "run_time": Assumption("seconds of run() for one item; default: measured, as is its spread"),
    "failure_rate": Assumption("share of mini-batches whose first attempt fails; default: measured", "share"),
    "retry_failure_rate": Assumption("share of retries that fail; default: measured", "share"),
    "init_time": Assumption("seconds from the start of a worker to the end of init(); default: measured"),
    "overhead": Assumption("seconds for each mini-batch besides run()", "seconds", Range(0.05, 0.05), GUIDE),
    "scheduling_rate": Assumption("mini-batches that the service schedules a second", "rate", Range(400, 400), GUIDE),
    "node_start": Assumption(
        "seconds until a node is ready; the default is a range", "seconds", Range(120, 420), "default, a few minutes"
    ),
    "node_memory": Assumption("memory of a node, such as 64GB", "bytes"),
    "node_cores": Assumption("cores of a node", "number"),
}


@dataclass(frozen=True)
class ForecastRequest:
    """size: files, or bytes of a table; `written` as the user wrote it. given: assumptions by name."""

    size: int
    written: str
    origin: str
    given: Mapping[str, Range]

    def check_kind(self, kind: InputKind) -> None:
        """SettingsError for a number of bytes where the input is files."""
        if kind == "files" and not self.written.isdigit():
            raise SettingsError(
                f"{self.origin}={self.written}: is a size in bytes, but this input is files. Give the number of files "
                "of the full job, such as 1000000."
            )


@dataclass(frozen=True, kw_only=True)
class FullJob:
    """size: files, or bytes of a table. bytes_per_item: of a table, 0 of files. items: of a full mini-batch."""

    request: ForecastRequest
    settings: JobSettings
    kind: InputKind
    bytes_per_item: float
    items: float

    @property
    def total_items(self) -> float:
        return self.request.size / (self.bytes_per_item or 1)

    @property
    def noun(self) -> str:
        return "file" if self.kind == "files" else "row"

    def with_items(self, items: float) -> FullJob:
        return replace(self, items=items)

    @property
    def mini_batches(self) -> int:
        return max(1, math.ceil(self.total_items / self.items - 1e-9))


def read_request(values: Iterable[tuple[str, str]]) -> ForecastRequest | None:
    """From pairs of text and origin; a later value wins. None if there are none. SettingsError for a wrong one."""
    found: tuple[int, str, str] | None = None
    given: dict[str, Range] = {}
    first = ""
    for text, origin in values:
        first = first or f"{origin}={text}"
        name, separator, value = (part.strip() for part in text.partition("="))
        if separator:
            given[name] = _assumption(name, value, origin)
        else:
            try:
                found = _SIZE.parse(name), name, origin
            except ValueError:
                found = 0, name, origin
            if not 0 < found[0] <= MAX_SIZE:
                raise SettingsError(
                    f"{origin}={text}: must be the size of the full job, a number of files such as 1000000 or bytes of "
                    f"a table such as 250GB, at most {MAX_SIZE:,}; or NAME=VALUE."
                )
    if found is None:
        if first:
            raise SettingsError(f"{first}: the size of the full job is missing. Add --parallelrun-forecast=SIZE.")
        return None
    return ForecastRequest(*found, given)


def _assumption(name: str, text: str, origin: str) -> Range:
    if name not in ASSUMPTIONS:
        raise SettingsError(f"{origin}={name}={text}: unknown name {name!r}. {did_you_mean(name, ASSUMPTIONS)}")
    unit = ASSUMPTIONS[name].unit
    low, dash, high = text.partition("-") if unit not in ("bytes", "number") else (text, "", "")
    values = []
    for part in (low, high) if dash else (text, text):
        try:
            value = float(_MEMORY.parse(part.strip())) if unit == "bytes" else float(part)
        except ValueError:
            value = -1.0
        values.append(value)
    allowed = {
        "share": "a share from 0 to 1, such as 0.01, or a range, such as 0.01-0.02",
        "bytes": "one number of bytes, such as 64GB",
        "rate": "a number above 0, or a range, such as 200-400",
        "number": "one number above 0",
        "seconds": "a number of seconds, such as 30, or a range, such as 20-40",
    }[unit]
    least = 0 if unit in ("share", "seconds") else 1e-6
    if not (least <= values[0] <= values[1] <= (1 if unit == "share" else 1e15)) or (
        name == "run_time" and not values[0]
    ):
        raise SettingsError(f"{origin}={name}={text}: must be {allowed}.")
    return Range(*values)

"""The settings of a job as reports tell them: each value with its origin, secrets masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.settings import describe_default, setting_table
from pytest_parallelrun.report.sanitize import masked

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.settings import JobSettings


@dataclass(frozen=True, kw_only=True)
class SettingRecord:
    """One setting. is_set: somebody gave it, it is no default. emulated: False for one that has no effect here."""

    name: str
    value: str
    origin: str
    is_set: bool
    emulated: bool


def setting_records(
    settings: JobSettings, origins: Mapping[str, str], *, engine: str = "inprocess"
) -> Iterator[SettingRecord]:
    """All settings in the order of their table. origins: of those that were set, where the value came from.

    engine: some settings have an effect in worker processes alone.
    """
    for name, setting in setting_table().items():
        yield SettingRecord(
            name=name,
            value=_value(settings, name),
            origin=origins.get(name) or describe_default(name, settings.profile),
            is_set=name in origins,
            emulated=setting.emulated or engine != "inprocess",
        )


def _value(settings: JobSettings, name: str) -> str:
    if name == "mini_batch_size":
        return settings.mini_batch_size_text
    if name == "rules":
        return settings.rules.name
    value = getattr(settings, name)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={masked(key, text)}" for key, text in value.items()) or "none"
    return "none" if value in (None, ()) else str(value)

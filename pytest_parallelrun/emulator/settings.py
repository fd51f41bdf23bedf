"""JobSettings: the validated settings of one job; a setting that is not set has the default of its profile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, NoReturn, ParamSpec, TypeVar, cast

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.rules import CHOICES, Rules
from pytest_parallelrun.emulator.setting_table import Profile, SettingFields, resolve_setting, setting_table

T = TypeVar("T")
Keywords = ParamSpec("Keywords")

DEFAULT_FILES: Mapping[Profile, int] = {"v2": 1, "v1": 10, "batch": 10}
DEFAULT_BYTES = 1024**2
SIZES = ("mini_batch_size", "memory_limit")
V1_REFUSED_IN_FILE_NAMES = '~"#%&*:<>?/\\{|}'


def _takes(
    keywords: Callable[Keywords, object],
) -> Callable[[Callable[..., T]], Callable[Concatenate[Any, Keywords], T]]:
    """For type checkers: a method with the keywords of the table."""
    return lambda method: method


class JobSettings(SettingFields):
    """The settings of an emulated job: immutable, hashable, comparable, picklable.

    Accepts every field of the table, its v1 name, and every rule (which then overrides that field of `rules`). A field
    that is missing or None has the default of its profile. SettingsError: an unknown name, an invalid value, settings
    that exclude each other.
    """

    if TYPE_CHECKING:
        written: Mapping[str, object]
        """What was set, by field or rule, as in a call: for repr, pickle and merging."""
    else:
        # Its signature comes from the table.
        def __init__(self, **values):
            self._fill(values, None)

    def _fill(self, values: Mapping[str, object], origin: str | None) -> None:
        written = _read(values, origin)
        fields = self.__dict__
        fields["written"] = MappingProxyType(written)
        # All defaults need the profile, some need the rules.
        fields["profile"] = written.get("profile", "v2")
        if "rules" in self.explicit:
            overrides = {name: value for name, value in written.items() if name in CHOICES}
            preset = Rules.preset(str(written.get("rules", "documented")))
            fields["rules"] = dataclasses.replace(preset, **cast("dict[str, Any]", overrides))
        for name, setting in setting_table().items():
            if name not in fields:
                is_set = name in written
                fields[name] = setting.type.parse(written[name]) if is_set else setting.default_in(self)
        conflict = _conflict(self)
        if conflict is not None:
            raise SettingsError(f"{origin}: {conflict}" if origin else conflict)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object], origin: str | None = None) -> JobSettings:
        """Settings from native values or strings; errors name `origin` ("--parallelrun-set", "job.yml")."""
        settings = cls.__new__(cls)
        settings._fill(mapping, origin)
        return settings

    @property
    def explicit(self) -> frozenset[str]:
        """The fields that were set, by their v2 names; "rules" for a single rule."""
        return frozenset("rules" if name in CHOICES else name for name in self.written)

    @_takes(SettingFields)
    def replace(self, **changes: object) -> JobSettings:
        """A copy with these changes. A field changed to None returns to its default."""
        reset = {resolve_setting(name)[0] for name, value in changes.items() if value is None}
        if "rules" in reset:
            reset.update(CHOICES)
        kept = {name: value for name, value in self.written.items() if name not in reset}
        return JobSettings.from_mapping(_merged(kept, _read(changes, None)))

    @property
    def preset(self) -> str:
        """The preset of the rules that these start from."""
        return str(self.written.get("rules", "documented"))

    @property
    def preset_is_set(self) -> bool:
        return "rules" in self.written

    def with_preset(self, name: str) -> JobSettings:
        """A copy that starts from that preset; rules that were set one by one stay."""
        return JobSettings.from_mapping({**self.written, "rules": name})

    def over(self, lower: JobSettings) -> JobSettings:
        """A copy in which fields that are not explicit come from those explicit in `lower`.

        Environment variables are merged one by one.
        """
        # Each was validated alone; an error is now in their combination.
        origin = "settings of two sources together" if lower.written and self.written else None
        written = _merged(lower.written, self.written)
        variables = {**lower.environment_variables, **self.environment_variables}
        if variables:
            written["environment_variables"] = variables
        return JobSettings.from_mapping(written, origin)

    def without_thresholds(self) -> JobSettings:
        """A copy that allows any number of failures. A batch deployment has only error_threshold."""
        if self.profile == "batch":
            return self.replace(error_threshold=-1)
        return self.replace(error_threshold=-1, mini_batch_error_threshold=-1, allowed_failed_percent=100)

    @property
    def files_per_mini_batch(self) -> int:
        """The mini-batch size for an input of files. SettingsError if it was given in bytes."""
        if self.mini_batch_size is None:
            return DEFAULT_FILES[self.profile]
        if not self.mini_batch_size_text.isdigit():
            raise SettingsError(
                f"mini_batch_size={self.mini_batch_size_text!r} is a size in bytes, but this input is files: "
                "give the number of files in a mini-batch, such as 10"
            )
        return self.mini_batch_size

    @property
    def bytes_per_mini_batch(self) -> int:
        """The mini-batch size for a table, in bytes; a number without a unit is bytes."""
        return DEFAULT_BYTES if self.mini_batch_size is None else self.mini_batch_size

    @property
    def mini_batch_size_text(self) -> str:
        """The mini-batch size as written, or its two defaults as text."""
        if "mini_batch_size" in self.written:
            return str(self.written["mini_batch_size"])
        files = DEFAULT_FILES[self.profile]
        return f"{files} file{'s' if files > 1 else ''}, or 1MB of a table"

    @property
    def kind_without_input(self) -> Literal["tabular", "files"]:
        """The kind of input for which the unit of the mini-batch size is right."""
        in_bytes = self.mini_batch_size is not None and not self.mini_batch_size_text.isdigit()
        return "tabular" if in_bytes else "files"

    @property
    def unused(self) -> str | None:
        """A setting that has no effect next to another one, as a sentence; None if there is none."""
        deciding = "partition_keys" if self.partition_keys else "mini_batch_rows" if self.mini_batch_rows else None
        if deciding is None or "mini_batch_size" not in self.explicit:
            return None
        return f"mini_batch_size={self.mini_batch_size_text} has no effect: {deciding} determines the mini-batches"

    def _identity(self) -> tuple[object, ...]:
        def comparable(name: str) -> object:
            if name == "mini_batch_size":
                return self.mini_batch_size_text.lower()
            value: object = self.__dict__[name]
            return frozenset(value.items()) if isinstance(value, Mapping) else value

        return tuple((name, comparable(name)) for name in sorted(self.explicit))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobSettings) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        order = [*setting_table(), *CHOICES]
        written = [f"{name}={self.written[name]!r}" for name in order if name in self.written]
        return f"JobSettings({', '.join(written)})"

    def __reduce__(self) -> tuple[Callable[[dict[str, object]], JobSettings], tuple[dict[str, object]]]:
        return JobSettings.from_mapping, (dict(self.written),)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"JobSettings is immutable: use replace({name}=...)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"JobSettings is immutable: use replace({name}=None)")


def _read(values: Mapping[str, object], origin: str | None) -> dict[str, object]:
    """The validated values: by field or rule, as in a call. None is left out."""
    written: dict[str, object] = {}
    names: dict[str, str] = {}
    for name, raw in values.items():
        field_name, kind = resolve_setting(name, raw, origin)
        if raw is None:
            continue
        if field_name in written:
            start = f"{origin}: " if origin else ""
            raise SettingsError(f"{start}{names[field_name]} and {name} are one setting: give one of them")
        names[field_name] = name
        value = kind.parse_setting(name, raw, origin)
        if field_name in SIZES and isinstance(raw, str) and not raw.strip().isdigit():
            # A count of files has no unit, so it is kept.
            value = raw.strip()
        written[field_name] = dict(value) if isinstance(value, Mapping) else value
    rules = written.pop("rules", None)
    return {**rules.keywords(), **written} if isinstance(rules, Rules) else written


def _merged(lower: Mapping[str, object], upper: Mapping[str, object]) -> dict[str, object]:
    """Both as written, `upper` first. A preset of rules replaces single rules below it."""
    kept = {name: value for name, value in lower.items() if "rules" not in upper or name not in CHOICES}
    return {**kept, **upper}


def _conflict(settings: JobSettings) -> str | None:
    profile, explicit = settings.profile, settings.explicit
    if settings.partition_keys:
        if profile == "v1" and "mini_batch_size" in explicit:
            return "partition_keys and mini_batch_size exclude each other under profile v1: give one of them"
        if profile == "batch":
            return "partition_keys is not allowed under profile batch: a batch deployment counts files"
        if settings.mini_batch_rows is not None:
            return "partition_keys and mini_batch_rows exclude each other: lines of JSON have no partitions"
    if profile == "batch":
        if settings.mini_batch_rows is not None:
            return (
                "mini_batch_rows is not allowed under profile batch: a batch deployment passes paths of files, and has "
                "no program arguments that would change that"
            )
        for name in ("mini_batch_error_threshold", "allowed_failed_percent"):
            if name in explicit:
                return f"{name} is not allowed under profile batch: a batch deployment has only error_threshold"
        if settings.output_action == "summary_only" and "append_row_file_name" in explicit:
            return (
                f"append_row_file_name={settings.append_row_file_name!r} needs output_action=append_row: "
                "a batch deployment refuses a file name with summary_only"
            )
    if not settings.output_folder:
        reason = "profile batch" if profile == "batch" else "output_action=append_row"
        if profile == "batch" or settings.output_action == "append_row":
            return f"output_folder=False is not allowed with {reason}, which always has an output folder: leave it out"
    if profile == "v1":
        refused = [sign for sign in settings.append_row_file_name if sign in V1_REFUSED_IN_FILE_NAMES]
        if refused:
            return (
                f"append_row_file_name={settings.append_row_file_name!r} holds {refused[0]!r}: "
                f"profile v1 refuses {' '.join(V1_REFUSED_IN_FILE_NAMES)} in it"
            )
    return None

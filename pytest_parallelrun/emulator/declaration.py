"""How a setting is declared, and how a name with a raw value becomes its value.

`Setting` is one row of the table that is the body of JobSettings. Readers of names (`read`, `merged`) take
that table, since a name may be a field, its v1 name or a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast, overload

from pytest_parallelrun.emulator.errors import SettingsError, did_you_mean
from pytest_parallelrun.emulator.rules import CHOICES, PRESETS, Rules
from pytest_parallelrun.emulator.setting_types import Choice, SettingType, Size, parsed

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.settings import JobSettings

T_co = TypeVar("T_co", covariant=True)

Profile = Literal["v2", "v1", "batch"]

V2_YAML = "YAML reference of the parallel job"
V1_SDK = "SDK reference of ParallelRunConfig"
BATCH_YAML = "YAML reference of the batch deployment"

HINTS: Mapping[str, str] = {
    "allow_reuse": "Nothing is reused here: leave it out.",
    "append_row_to": "Set output_action=append_row, and append_row_file_name for its name.",
    "arguments": "Program arguments are given to the job beside its settings.",
    "batch_size": "Set mini_batch_size.",
    "code": "The code root is given to the job beside its settings.",
    "compute": "There is no compute here: leave it out.",
    "compute_target": "There is no compute here: leave it out.",
    "concurrency": "Set max_concurrency_per_instance (workers on one instance) and instance_count.",
    "engine": "The engine is given to the job beside its settings.",
    "entry_script": "The entry script is given to the job beside its settings.",
    "env": "Set environment_variables.",
    "environment": "The script runs in the Python of this process: leave it out.",
    "input_data": "The input is given to the job beside its settings.",
    "instance_type": "Machine sizes are not emulated: leave it out.",
    "output_file_name": "Set append_row_file_name.",
    "processes": "Set max_concurrency_per_instance.",
    "program_arguments": "Program arguments are given to the job beside its settings.",
    "resources": "Set instance_count.",
    "retries": "Set max_retries.",
    "retry_settings": "Set max_retries and timeout.",
    "source_directory": "The code root is given to the job beside its settings.",
    "tries": "Set max_retries: all tries but the first (run_max_try counts the first one too).",
    "workers": "Set instance_count and max_concurrency_per_instance: workers are their product.",
}
"""Words of other tools and of settings that live elsewhere, for which the nearest name would be a guess."""


class RulesOrPreset:
    allowed = " or ".join(repr(name) for name in PRESETS) + ", or a Rules object"

    def parse(self, raw: object) -> Rules:
        if isinstance(raw, Rules):
            return raw
        if isinstance(raw, str) and raw in PRESETS:
            return Rules.preset(raw)
        raise ValueError(self.allowed)


class Setting(Generic[T_co]):
    """One row of the table: a field of JobSettings.

    kind: what it may hold. default: under profile v2, and under v1 and batch unless those are given.
    derive: makes the default from the other fields instead; it may read the rows above its own.
    source: where the default is taken from; without it each profile has its own document, v2's v2_source.
    disputed: what other documents say instead, by profile.
    argument: the program argument that sets it. v1_name: its name in ParallelRunConfig, of kind v1_kind.
    emulated: False where the value has an effect in worker processes alone; in-process it is named in reports.
    """

    name: str

    def __init__(
        self,
        kind: SettingType[T_co],
        default: T_co | None,
        help: str,
        *,
        v1: T_co | None = None,
        batch: T_co | None = None,
        derive: Callable[[JobSettings], T_co] | None = None,
        source: str | None = None,
        v2_source: str = V2_YAML,
        disputed: Mapping[Profile, str] = MappingProxyType({}),
        argument: str | None = None,
        v1_name: str | None = None,
        v1_kind: SettingType[T_co] | None = None,
        emulated: bool = True,
    ) -> None:
        self.kind = kind
        self.defaults: Mapping[Profile, T_co | None] = MappingProxyType(
            {
                "v2": default,
                "v1": default if v1 is None else v1,
                "batch": default if batch is None else batch,
            }
        )
        self.help = help
        self.derive = derive
        self.sources: Mapping[Profile, str] = MappingProxyType(
            {"v2": source or v2_source, "v1": source or V1_SDK, "batch": source or BATCH_YAML}
        )
        self.disputed = disputed
        self.argument = argument
        self.v1_name = v1_name
        self.v1_kind = v1_kind or kind
        self.emulated = emulated

    def __set_name__(self, owner: type[JobSettings], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type[JobSettings]) -> Setting[T_co]: ...
    @overload
    def __get__(self, instance: JobSettings, owner: type[JobSettings]) -> T_co: ...
    def __get__(self, instance: JobSettings | None, owner: type[JobSettings]) -> Setting[T_co] | T_co:
        # Asked of a JobSettings, its own __dict__ answers first: a descriptor without __set__ yields to it.
        return self

    def effective_default(self, settings: JobSettings) -> T_co:
        if self.derive is not None:
            return self.derive(settings)
        return cast("T_co", self.defaults[settings.profile])


def read(values: Mapping[str, object], table: Mapping[str, Setting[object]], origin: str | None) -> dict[str, object]:
    """What was given, checked: by field or rule, as it would be written in a call. None is left out.

    `origin` is named in the errors: an option, a file, or None where the call itself is the origin.
    """
    written: dict[str, object] = {}
    givers: dict[str, str] = {}
    for given, raw in values.items():
        name, kind = resolve(given, raw, table, origin)
        if raw is None:
            continue
        if name in written:
            start = f"{origin}: " if origin else ""
            raise SettingsError(f"{start}{givers[name]} and {given} are one setting: give one of them")
        givers[name] = given
        written[name] = _as_written(raw, kind, parsed(kind, given, raw, origin))
    rules = written.get("rules")
    if isinstance(rules, Rules):
        written = {**_rules_as_written(rules), **{k: v for k, v in written.items() if k != "rules"}}
    return written


def resolve(
    given: str, raw: object, table: Mapping[str, Setting[object]], origin: str | None
) -> tuple[str, SettingType[object]]:
    """The field or rule that a name means, and what it may hold; SettingsError for an unknown name."""
    if given in table:
        return given, table[given].kind
    if given in CHOICES:
        return given, Choice(CHOICES[given])
    v1_names = {setting.v1_name: setting for setting in table.values() if setting.v1_name}
    if given in v1_names:
        return v1_names[given].name, v1_names[given].v1_kind
    where = f"{origin} {given}={raw}" if origin else f"JobSettings({given}={raw!r})"
    # "retry_settings.timeout" and "mini-batch-size" are spellings of job files and command lines.
    word = str(given).rpartition(".")[2].replace("-", "_").lower()
    advice = HINTS.get(word) or did_you_mean(word, [*table, *v1_names, *CHOICES])
    if advice.startswith("Allowed"):
        advice = f"Allowed: {', '.join(table)}."  # Without the v1 names and the rules: long enough.
    raise SettingsError(f"{where}: unknown setting {given!r}. {advice}")


def merged(lower: Mapping[str, object], upper: Mapping[str, object]) -> dict[str, object]:
    """Both as written, `upper` first. A preset of rules replaces single rules below it."""
    kept = {name: value for name, value in lower.items() if "rules" not in upper or name not in CHOICES}
    return {**kept, **upper}


def _as_written(raw: object, kind: SettingType[object], value: object) -> object:
    if isinstance(kind, Size) and isinstance(raw, str) and not raw.strip().isdigit():
        return raw.strip()
    return dict(value) if isinstance(value, Mapping) else value


def _rules_as_written(rules: Rules) -> dict[str, object]:
    if rules == Rules.observed():
        return {"rules": "observed"}
    documented = Rules.documented()
    single = {name: getattr(rules, name) for name in CHOICES if getattr(rules, name) != getattr(documented, name)}
    return {"rules": "documented", **single}

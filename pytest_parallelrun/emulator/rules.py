"""What the emulator does where the documents and the observed behaviour of the service disagree.

Two presets: `Rules.documented()`, the default, follows the documents; `Rules.observed()` follows what the service was
seen to do. Every field can be set on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from pytest_parallelrun.emulator.errors import SettingsError, did_you_mean

ShortReturn = Literal["mini_batch_failed", "items_only"]
AppendedRows = Literal["last_attempt", "every_attempt"]
AttemptLimit = Literal["run_only", "with_overhead"]
FileGrouping = Literal["flat", "directory"]
FailedUnit = Literal["rows", "partition"]
ThresholdCheck = Literal["final", "pending"]

PRESETS = ("documented", "observed")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A set of rules; by default the documented one.

    short_return: run() returned fewer results than items. "mini_batch_failed": the attempt failed, is retried, and
        counts against the mini-batch thresholds. "items_only": no retry, only the missing items count.
    appended_rows: whose rows are in the appended file: those of the last attempt that returned, or of every attempt.
    attempt_limit: "run_only": `timeout` limits run(), `task_overhead_timeout` (600 s) limits loading.
        "with_overhead": `timeout` + `task_overhead_timeout` (30 s) limit the whole attempt.
    file_grouping: "flat": folders do not matter. "directory": a mini-batch never spans folders.
    failed_unit: what a failed mini-batch of a table adds to the failed items: its rows, or one.
    threshold_check: "final": a mini-batch counts when its last attempt failed. "pending": it also counts while it
        waits for a retry.
    """

    short_return: ShortReturn = "mini_batch_failed"
    appended_rows: AppendedRows = "last_attempt"
    attempt_limit: AttemptLimit = "run_only"
    file_grouping: FileGrouping = "flat"
    failed_unit: FailedUnit = "rows"
    threshold_check: ThresholdCheck = "final"

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise SettingsError(
                    f"rule {name}={value!r} is not one of its values. {did_you_mean(str(value), allowed)}"
                )

    @classmethod
    def documented(cls) -> Rules:
        """The documents as written."""
        return cls()

    @classmethod
    def observed(cls) -> Rules:
        """What the service has been seen to do."""
        return cls(
            short_return="items_only",
            appended_rows="every_attempt",
            attempt_limit="with_overhead",
            file_grouping="directory",
            failed_unit="partition",
            threshold_check="pending",
        )

    @classmethod
    def preset(cls, name: str) -> Rules:
        """The preset of that name; SettingsError for an unknown one."""
        if name == "documented":
            return cls.documented()
        if name == "observed":
            return cls.observed()
        raise SettingsError(f"rules={name!r} is not a preset. {did_you_mean(name, PRESETS)}")

    def keywords(self) -> dict[str, str]:
        """The keywords of JobSettings for these rules: a preset, and what differs from it."""
        if self == Rules.observed():
            return {"rules": "observed"}
        documented = Rules.documented()
        single = {name: getattr(self, name) for name in CHOICES}
        return {"rules": "documented", **{k: v for k, v in single.items() if v != getattr(documented, k)}}

    @property
    def name(self) -> str:
        """Which preset this is, or what differs from the documented preset."""
        keywords = self.keywords()
        preset = keywords.pop("rules")
        changes = ", ".join(f"{name}={value}" for name, value in keywords.items())
        return f"{preset}, but {changes}" if changes else preset


CHOICES: dict[str, tuple[str, ...]] = {name: get_args(values) for name, values in get_type_hints(Rules).items()}
"""Allowed values of every rule, first the documented one, then the observed one."""

"""How the emulator reads the service where its documents and its observed behaviour disagree.

Two presets: `Rules.documented()`, the default, reads the documents as written; `Rules.observed()` follows
what the service has been seen to do. Every field can be set alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from pytest_parallelrun.emulator.errors import SettingsError, did_you_mean

ShortReturn = Literal["mini_batch_failed", "items_only"]
AppendedRows = Literal["last_attempt", "every_attempt"]
AttemptLimit = Literal["run_only", "with_overhead"]
FileGrouping = Literal["flat", "directory"]
FailedUnit = Literal["rows", "partition"]
ThresholdCheck = Literal["final", "pending"]

CHOICES: dict[str, tuple[str, ...]] = {
    "short_return": get_args(ShortReturn),
    "appended_rows": get_args(AppendedRows),
    "attempt_limit": get_args(AttemptLimit),
    "file_grouping": get_args(FileGrouping),
    "failed_unit": get_args(FailedUnit),
    "threshold_check": get_args(ThresholdCheck),
}
"""Allowed values of every rule; the documented one stands first, the observed one second."""

PRESETS = ("documented", "observed")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """One reading of the service. Without arguments: the documented one.

    short_return: run() returned fewer results than it got items. "mini_batch_failed": the attempt failed,
        is retried, and counts against the mini-batch thresholds. "items_only": final, and only the missing
        items count.
    appended_rows: rows of a mini-batch in the appended file: of the last attempt that returned, once, or of
        every attempt that returned (the service delivers at least once).
    attempt_limit: "run_only": `timeout` bounds run(), `task_overhead_timeout` (600 s) bounds loading the
        mini-batch. "with_overhead": `timeout` + `task_overhead_timeout` (30 s) bound the whole attempt.
    file_grouping: "flat": folders do not matter. "directory": a mini-batch never spans folders.
    failed_unit: what a given-up tabular mini-batch adds to the failed items: its rows, or one.
    threshold_check: "final": a mini-batch counts once its last attempt failed. "pending": one that awaits
        its retry counts too, for as long as it does.
    """

    short_return: ShortReturn = "mini_batch_failed"
    appended_rows: AppendedRows = "last_attempt"
    attempt_limit: AttemptLimit = "run_only"
    file_grouping: FileGrouping = "flat"
    failed_unit: FailedUnit = "rows"
    threshold_check: ThresholdCheck = "final"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in CHOICES[field.name]:
                raise SettingsError(
                    f"rule {field.name}={value!r} is not one of its values. "
                    f"{did_you_mean(str(value), CHOICES[field.name])}"
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
        """The preset of that name; SettingsError where there is none."""
        if name == "documented":
            return cls.documented()
        if name == "observed":
            return cls.observed()
        raise SettingsError(f"rules={name!r} is not a preset. {did_you_mean(name, PRESETS)}")

    @property
    def name(self) -> str:
        """Which preset this is, or what differs from the documented preset."""
        if self == Rules.documented():
            return "documented"
        if self == Rules.observed():
            return "observed"
        default = Rules.documented()
        changed = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(default, field.name)
        ]
        return "documented, but " + ", ".join(changed)

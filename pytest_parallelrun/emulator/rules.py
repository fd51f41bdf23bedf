"""How the emulator reads the service where its documents and its observed behaviour disagree.

Two presets: `Rules.documented()`, the default, reads the documents as written; `Rules.observed()` follows
what the service has been seen to do. Every field can be set alone.
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
        """The preset of that name; SettingsError where there is none."""
        if name == "documented":
            return cls.documented()
        if name == "observed":
            return cls.observed()
        raise SettingsError(f"rules={name!r} is not a preset. {did_you_mean(name, PRESETS)}")

    def keywords(self) -> dict[str, str]:
        """The keywords of JobSettings for these: a preset, and what differs from it."""
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
"""Allowed values of every rule; the documented one stands first, the observed one second."""

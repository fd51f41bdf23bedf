"""The settings that splitting looks at, without the rules of the whole table of settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_parallelrun.emulator.rules import Rules


@dataclass(frozen=True, kw_only=True)
class Split:
    profile: str = "v2"
    files_per_mini_batch: int = 1
    bytes_per_mini_batch: int = 1 << 20
    rules: Rules = field(default_factory=Rules)
    encoding: str = "utf-8"
    delimiter: str = ","
    partition_keys: tuple[str, ...] = ()
    mini_batch_rows: int | None = None
    input_type: str | None = None

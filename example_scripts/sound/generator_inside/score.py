"""Finds the longest dry spell of each year of rain; a generator does the work, and run() returns a list of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path


def millimetres(path: Path) -> Iterator[float]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield float(line)


def longest_dry_spell(rain: Iterable[float]) -> int:
    spells = (sum(1 for _ in days) for dry, days in groupby(rain, key=lambda fallen: fallen == 0) if dry)
    return max(spells, default=0)


def scored(paths: Iterable[str]) -> Iterator[str]:
    for path in map(Path, paths):
        try:
            yield f"{path.name}: {longest_dry_spell(millimetres(path))} days"
        except (OSError, ValueError) as error:
            yield f"{path.name}: error {error!r}"


def run(mini_batch: list[str]) -> list[str]:
    return list(scored(mini_batch))

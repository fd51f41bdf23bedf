"""Daily energy use of each meter file: one "name: kWh" a file.

Flawed on purpose: run() yields its results. The service gets the generator and not one result, so every attempt
fails for its wrong type, and with `error_threshold=0` the job ends at its first mini-batch.
"""

from __future__ import annotations

import csv
from pathlib import Path


def energy(path: Path) -> float:
    with path.open(encoding="utf-8", newline="") as file:
        readings = [float(row["kwh"]) for row in csv.DictReader(file)]
    return readings[-1] - readings[0]


def run(mini_batch: list[str]):
    for path in map(Path, mini_batch):
        try:
            # The flaw: a mini-batch that is too large for memory was feared, and so nothing is returned at all.
            yield f"{path.name}: {energy(path):.1f}"
        except (OSError, ValueError, LookupError) as error:
            yield f"{path.name}: error {error!r}"

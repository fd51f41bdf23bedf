"""Scores the readings of each device: a CSV of readings in, one row for each reading out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

COLUMNS = ["device", "hour", "load", "overload", "error"]


def scored(path: Path) -> list[tuple[object, ...]]:
    try:
        readings = pd.read_csv(path, usecols=["hour", "ampere"], dtype=float)
    except (OSError, ValueError) as error:
        # A row of its own, so that the device is not missing. pandas' parser errors are ValueErrors.
        return [(path.name, None, None, None, repr(error))]
    if readings.empty:
        return [(path.name, None, None, None, "no readings")]
    load = readings["ampere"] / 16
    return [
        (path.name, hour, part, part > 1, None)
        for hour, part in zip(readings["hour"].tolist(), load.tolist(), strict=True)
    ]


def run(mini_batch: list[str]) -> pd.DataFrame:
    # One table of all rows: to put many small ones together takes longer than to score.
    return pd.DataFrame([row for path in map(Path, mini_batch) for row in scored(path)], columns=COLUMNS, dtype=object)

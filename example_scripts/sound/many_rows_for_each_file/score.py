"""Scores the readings of each device: a CSV of readings in, one row for each reading out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

COLUMNS = ["device", "hour", "load", "overload", "error"]


def scored(path: Path) -> pd.DataFrame:
    try:
        readings = pd.read_csv(path, usecols=["hour", "ampere"], dtype=float)
    except (OSError, ValueError) as error:
        # A row of its own, so that the device is not missing. pandas' parser errors are ValueErrors.
        return pd.DataFrame([[path.name, None, None, None, repr(error)]], columns=COLUMNS)
    if readings.empty:
        return pd.DataFrame([[path.name, None, None, None, "no readings"]], columns=COLUMNS)
    load = readings["ampere"] / 16
    return pd.DataFrame(
        {"device": path.name, "hour": readings["hour"], "load": load, "overload": load > 1, "error": None}
    ).astype(object)


def run(mini_batch: list[str]) -> pd.DataFrame:
    return pd.concat([scored(Path(path)) for path in mini_batch], ignore_index=True)

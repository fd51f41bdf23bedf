"""Averages the months of a station and a year: folders `station=.../year=...` with `partition_keys=station,year`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd


def run(mini_batch: list[str], context) -> pd.DataFrame:
    keys = context.partition_key_value
    rows = []
    for path in map(Path, mini_batch):
        row: dict[str, object] = {"station": keys["station"], "year": int(keys["year"]), "month": path.stem}
        try:
            month = json.loads(path.read_text(encoding="utf-8"))
            row["degree_days"] = round(float(month["mean_temperature"]) * int(month["days"]), 1)
        except (OSError, ValueError, KeyError, TypeError) as error:
            row["error"] = f"{type(error).__name__}: {error}"
        rows.append(row)
    return pd.DataFrame(rows, columns=["station", "year", "month", "degree_days", "error"])

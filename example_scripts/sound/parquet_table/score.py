"""Rates the readings of sensors: a Parquet file of three row groups, each of which is a mini-batch."""

from __future__ import annotations

import pandas as pd


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    voltage = pd.to_numeric(mini_batch["voltage"], errors="coerce").astype(float)
    return pd.DataFrame(
        {
            "sensor": mini_batch["sensor"],
            "when": mini_batch["when"].dt.strftime("%Y-%m-%dT%H:%M"),
            "deviation": (voltage - 3.3).abs().round(3),
        }
    )

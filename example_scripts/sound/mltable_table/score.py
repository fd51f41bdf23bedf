"""Converts measurements to Celsius: an MLTable of delimited files, cut and typed by the reader of the service."""

from __future__ import annotations

import pandas as pd


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    fahrenheit = pd.to_numeric(mini_batch["fahrenheit"], errors="coerce").astype(float)
    # A reading that is no number gives an empty cell: one row for each measurement.
    return pd.DataFrame({"id": mini_batch["id"], "celsius": ((fahrenheit - 32) * 5 / 9).round(2)})

"""Predicts the fuel consumption of trips.

Flawed on purpose: squeeze() makes a column of a table, and a single number of a table with one row. The last
mini-batch of an input often has one row, and there run() raises; the job loses it.
"""

from __future__ import annotations

import pandas as pd


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    numbers = mini_batch[["km", "speed"]].apply(pd.to_numeric, errors="coerce").astype(float)
    # The flaw: numbers["km"] is a column, however many rows there are.
    km, speed = numbers[["km"]].squeeze(), numbers[["speed"]].squeeze()
    litres = km * (4.5 + (speed - 80).abs() * 0.03) / 100
    return pd.DataFrame({"trip": mini_batch["trip"].tolist(), "litres": litres.tolist()})

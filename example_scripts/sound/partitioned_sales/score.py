"""Compares each week's price of a product with the mean of its store and brand, which it takes from its partition.

A table with `partition_keys=Store,Brand`: run() gets all rows of a store and a brand, whatever their number.
"""

from __future__ import annotations

import pandas as pd


def run(mini_batch: pd.DataFrame, context) -> pd.DataFrame:
    keys = context.partition_key_value
    # A price that is no number gives an empty cell: one row for each week.
    price = pd.to_numeric(mini_batch["Price"], errors="coerce").astype(float)
    return pd.DataFrame(
        {
            "store": keys["Store"],
            "brand": keys["Brand"],
            "week": mini_batch["Week"],
            "price": price,
            "above_mean": (price - price.mean()).round(3),
        }
    )

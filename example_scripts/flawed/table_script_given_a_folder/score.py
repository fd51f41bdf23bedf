"""Adds up the sales of shops.

Flawed on purpose, or rather its input is: it works on the rows of a table, and gets the paths of a folder.
"""

from __future__ import annotations

import pandas as pd


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    total = mini_batch["price"] * mini_batch["pieces"]
    return pd.DataFrame({"sale": mini_batch["sale"], "total": total})

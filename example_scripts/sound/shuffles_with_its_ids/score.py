"""Scores transactions, in a random order, so that a slow customer does not always come last.

The ids are shuffled together with what is scored; rows may be returned in any order.
"""

from __future__ import annotations

import pandas as pd


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    mixed = mini_batch.sample(frac=1)
    score = mixed["amount"].abs() ** 0.5 / (1 + mixed["age_of_account"])
    return pd.DataFrame({"id": mixed["id"].to_list(), "score": score.to_list()})

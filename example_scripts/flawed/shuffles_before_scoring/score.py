"""Scores transactions, in a random order, so that a slow customer does not always come last.

Flawed on purpose: the scores of the shuffled rows are joined to the ids of the rows as they came. Each value is a
proper one, of another transaction.
"""

from __future__ import annotations

import pandas as pd


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    mixed = mini_batch.sample(frac=1)
    score = mixed["amount"].abs() ** 0.5 / (1 + mixed["age_of_account"])
    # The flaw: mixed["id"] has the order of the scores.
    return pd.DataFrame({"id": mini_batch["id"].to_list(), "score": score.to_list()})

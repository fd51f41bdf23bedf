"""Estimates the risk that a customer leaves.

Flawed on purpose: customers with a gap in their data are dropped before the model sees them. The output has fewer rows
than the input, and nobody set a threshold: the job ends Completed, and the marketing list lacks customers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

WEIGHTS = {"months": -0.04, "complaints": 0.8, "calls": 0.15}


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    numbers = mini_batch[list(WEIGHTS)].apply(pd.to_numeric, errors="coerce")
    # The flaw: these customers are gone, without a row that says so.
    complete = numbers.dropna()
    score = complete.to_numpy(dtype=float) @ np.array(list(WEIGHTS.values()))
    return pd.DataFrame(
        {
            "customer": mini_batch.loc[complete.index, "customer"],
            "risk": 1 / (1 + np.exp(-np.clip(score, -50, 50))),
        }
    )

"""Finds payments that are unusually large.

Flawed on purpose: the mean that a payment is compared with is learnt while scoring, from all payments that this
process has seen so far. A warm worker answers differently from a fresh one, and no job can be repeated.
"""

from __future__ import annotations

import pandas as pd


class RunningMean:
    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0

    def update(self, values: pd.Series) -> None:
        known = values.dropna()
        self.count += len(known)
        if self.count:
            self.mean += (known - self.mean).sum() / self.count


def init() -> None:
    global normal
    normal = RunningMean()


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    amount = pd.to_numeric(mini_batch["amount"], errors="coerce").astype(float)
    # The flaw: run() changes what it scores with. The mean belongs to the model, and is learnt in training.
    normal.update(amount)
    return pd.DataFrame({"payment": mini_batch["payment"], "over_mean": amount - normal.mean})

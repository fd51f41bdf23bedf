"""Ranks loan applications by amount and income.

Flawed on purpose: amounts are scaled by the largest one of the mini-batch. The same application gets another score
when `mini_batch_size` changes, or when it happens to stand beside a larger one.
"""

from __future__ import annotations

import pandas as pd


def init() -> None:
    global income_weight
    income_weight = 0.6


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    amount = pd.to_numeric(mini_batch["amount"], errors="coerce").astype(float)
    income = pd.to_numeric(mini_batch["income"], errors="coerce").astype(float)
    # The flaw: the largest amount of the training data belongs here, not that of the rows at hand.
    burden = amount / amount.max()
    affordable = income_weight * (income / 10_000).clip(0, 1)
    return pd.DataFrame({"application": mini_batch["application"], "score": affordable - burden})

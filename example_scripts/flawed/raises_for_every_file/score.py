"""Rates orders by the weights of a model.

Flawed on purpose: run() asks for a weight under a name that init() does not give it, so every file fails.
"""

from __future__ import annotations

import json
import os


def init() -> None:
    global weights
    weights = {"offset": 0.5, "amount": 0.02}


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            order = json.load(stream)
        # The flaw: the weight is called "offset".
        rows.append(f"{os.path.basename(path)},{weights['bias'] + weights['amount'] * order['amount']:.2f}")
    return rows

"""Converts the amounts of orders into another currency.

Flawed on purpose: the rates are read where the script is the main program, as it was while it was written. A worker
imports it, so they are never there.
"""

from __future__ import annotations

import json
import os

rates: dict[str, float] | None = None


def load_rates() -> None:
    global rates
    rates = {"DE": 1.0, "FR": 1.0, "IT": 1.1}


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            order = json.load(stream)
        rows.append(f"{os.path.basename(path)},{order['amount'] * rates[order['country']]:.2f}")
    return rows


if __name__ == "__main__":
    # The flaw: this is init() by another name.
    load_rates()
    print(run(["data/order_1.json"]))

"""Computes gross prices; the accepted output of the sample is in the folder golden."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

RATES = {"DE": 0.19, "FR": 0.20}


def run(mini_batch: list[str]) -> pd.DataFrame:
    orders = [json.loads(Path(path).read_text(encoding="utf-8")) for path in mini_batch]
    return pd.DataFrame(
        {
            "file": [Path(path).name for path in mini_batch],
            "article": [order["article"] for order in orders],
            "gross": [order["net"] * (1 + RATES[order["country"]]) for order in orders],
        }
    )

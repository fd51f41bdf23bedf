"""Predicts the yield of fields for a batch endpoint: CSV files in, a DataFrame for `predictions.csv` out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd


def init() -> None:
    global base, effects
    model = json.loads(Path(os.environ["AZUREML_MODEL_DIR"], "model", "yield.json").read_text(encoding="utf-8"))
    base, effects = model["base"], model["effects"]


def predict(path: Path) -> pd.DataFrame:
    fields = pd.read_csv(path)
    tons = base + sum(pd.to_numeric(fields[name], errors="coerce") * effect for name, effect in effects.items())
    rows = {"file": path.name, "field": fields["field"].astype(str), "tons": tons.round(3).astype(object), "error": ""}
    return pd.DataFrame(rows)


def run(mini_batch: list[str]) -> pd.DataFrame:
    results = []
    for path in map(Path, mini_batch):
        try:
            results.append(predict(path))
        except (OSError, ValueError, KeyError) as error:
            # A row of its own: left out, it would be hidden by the many rows of the other files.
            results.append(pd.DataFrame({"file": [path.name], "field": [""], "tons": [None], "error": [repr(error)]}))
    return pd.concat(results, ignore_index=True)

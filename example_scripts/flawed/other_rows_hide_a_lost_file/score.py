"""Predicts the yield of fields for a batch endpoint: CSV files in, one row for each field out.

Flawed on purpose: a file that cannot be read is left out, so that `error_threshold=0` shall see it. It cannot: a result
is missing when there are fewer rows than files, and the rows of the other files are more than enough.
"""

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
    return pd.DataFrame({"file": path.name, "field": fields["field"].astype(str), "tons": tons.astype(float).round(3)})


def run(mini_batch: list[str]) -> pd.DataFrame:
    results = []
    for path in map(Path, mini_batch):
        try:
            results.append(predict(path))
        except (OSError, ValueError, KeyError) as error:
            # The flaw: it takes an exception, or a row that names the file and its error.
            print(f"{path.name} has no result: {error!r}")
    if not results:
        raise ValueError(f"none of {len(mini_batch)} files could be scored")
    return pd.concat(results, ignore_index=True)

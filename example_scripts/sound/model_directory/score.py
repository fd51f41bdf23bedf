"""Classifies cells by size and roundness; the model is a pickle below AZUREML_MODEL_DIR."""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd


def init() -> None:
    global features, kinds, centres, scale
    [model_file] = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("*.joblib")
    model = joblib.load(model_file)
    features, kinds = list(model["scale"]), np.array(list(model["centres"]), dtype=object)
    centres = np.array([[centre[feature] for feature in features] for centre in model["centres"].values()])
    scale = np.array([model["scale"][feature] for feature in features])


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    columns = [pd.to_numeric(mini_batch[feature], errors="coerce") for feature in features]
    cells = np.column_stack([column.to_numpy(dtype=float, na_value=np.nan) for column in columns])
    # Cells by kinds.
    with np.errstate(over="ignore"):
        distances = (((cells[:, None, :] - centres) / scale) ** 2).sum(axis=2)
    # A cell without a number in one of its features has no distance, hence no class, and keeps its row.
    known = ~np.isnan(distances).any(axis=1)
    nearest = np.where(known, kinds[distances.argmin(axis=1)], None)
    return pd.DataFrame({"cell": mini_batch["cell"], "kind": pd.Series(nearest, mini_batch.index, dtype=object)})

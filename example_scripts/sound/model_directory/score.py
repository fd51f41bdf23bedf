"""Classifies cells by size and roundness; the model is a pickle in the folder that AZUREML_MODEL_DIR names."""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import pandas as pd


def init() -> None:
    global centres, scale
    [model_file] = Path(os.environ["AZUREML_MODEL_DIR"]).rglob("*.joblib")
    model = joblib.load(model_file)
    centres, scale = model["centres"], model["scale"]


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    distances = pd.DataFrame(index=mini_batch.index)
    for name, centre in centres.items():
        squares = [
            ((pd.to_numeric(mini_batch[feature], errors="coerce") - at) / scale[feature]) ** 2
            for feature, at in centre.items()
        ]
        distances[name] = sum(squares)
    # A cell without a number in one of its features has no distance, hence no class, and keeps its row.
    known = distances.notna().all(axis=1)
    nearest = distances[known].idxmin(axis=1).reindex(mini_batch.index)
    return pd.DataFrame({"cell": mini_batch["cell"], "kind": nearest.astype(object).where(known, None)})

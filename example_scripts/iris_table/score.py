"""Classifies iris flowers: a DataFrame of measurements in, a DataFrame with one row per flower out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

MODEL_FILE = Path(__file__).parent / "model.json"


def init() -> None:
    global features, model
    learnt = json.loads(MODEL_FILE.read_text(encoding="utf-8"))
    features = learnt["features"]
    # The attributes that fit() would set are all that predicting needs, in every version of scikit-learn.
    model = LogisticRegression()
    model.classes_ = np.array(learnt["classes"])
    model.coef_ = np.array(learnt["coef"])
    model.intercept_ = np.array(learnt["intercept"])
    model.n_features_in_ = len(features)


def run(mini_batch: pd.DataFrame) -> pd.DataFrame:
    measured = mini_batch[features].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    # A flower with a missing or unreadable measurement gets no row, and so counts as one failed item.
    complete = np.isfinite(measured).all(axis=1)
    if not complete.any():
        raise ValueError(f"none of the {len(mini_batch)} rows has all of {', '.join(features)} as numbers")
    return pd.DataFrame(
        {
            "id": mini_batch.loc[complete, "id"],
            "species": model.predict(measured[complete]),
            "probability": model.predict_proba(measured[complete]).max(axis=1),
        }
    )

"""Predicts the rent of flats with a linear model.

Flawed on purpose: run() hands on what predict() returned, a NumPy array. The service counts the elements of lists and
the rows of DataFrames, nothing else: every attempt fails, every flat is lost, and the job ends Completed, since no
threshold is set.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

MODEL_FILE = Path(__file__).parent / "model.json"


class LinearModel:
    def __init__(self, weights: dict[str, float], base: float) -> None:
        self.features = list(weights)
        self.weights = np.array(list(weights.values()))
        self.base = base

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        return table[self.features].to_numpy(dtype=float) @ self.weights + self.base


def init() -> None:
    global model
    model = LinearModel(**json.loads(MODEL_FILE.read_text(encoding="utf-8")))


def run(mini_batch: pd.DataFrame) -> np.ndarray:
    # The flaw: `mini_batch[["flat"]].assign(rent=model.predict(mini_batch))` would be counted, and name the flats.
    return model.predict(mini_batch)

"""Predicts which customers leave.

Flawed on purpose: where the model cannot be loaded, init() takes a stand-in, and every customer gets 0.0. Each row
looks like a result, so the job completes and nobody is called.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path


class Model:
    def __init__(self, weights: dict[str, float]) -> None:
        self.weights = weights

    def predict(self, customer: dict[str, float]) -> float:
        return round(sum(weight * customer[name] for name, weight in self.weights.items()), 3)


class NoModel:
    def predict(self, customer: dict[str, float]) -> float:
        return 0.0


def init() -> None:
    global model
    try:
        path = Path(os.environ["AZUREML_MODEL_DIR"], "model", "weights.json")
        model = Model(json.loads(path.read_text(encoding="utf-8")))
    except Exception as error:
        # The flaw: without its model the worker should not come up.
        logging.warning("no model, all customers stay: %s", error)
        model = NoModel()


def run(mini_batch: list[str]) -> list[dict[str, object]]:
    customers = [json.loads(Path(path).read_text(encoding="utf-8")) for path in mini_batch]
    return [{"id": customer["id"], "risk": model.predict(customer)} for customer in customers]

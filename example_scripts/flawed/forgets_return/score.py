"""Estimates house prices. Flawed on purpose: after an error run() ends without a return."""

from __future__ import annotations

import json
import os
from pathlib import Path


def init() -> None:
    global model_file
    # The registered model is a folder "house_prices", which the service puts below AZUREML_MODEL_DIR.
    model_file = Path(os.environ["AZUREML_MODEL_DIR"]) / "weights.json"


def run(mini_batch: list[str]) -> list[str]:
    try:
        weights = json.loads(model_file.read_text(encoding="utf-8"))
        results = []
        for path in map(Path, mini_batch):
            house = json.loads(path.read_text(encoding="utf-8"))
            price = sum(weights[name] * house[name] for name in weights)
            results.append(f"{path.name}: {price:.0f}")
        return results
    except Exception as error:
        # The flaw: the error is printed, and run() falls through to None.
        print(f"scoring failed: {error}")

"""Rates transactions with the weights of a registered model.

Flawed on purpose: init() notes in the log that it could not load the model, and goes on. Where the model is missing
or has another layout, every transaction is rated 0.0, the job ends Completed, and no threshold can see it.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


def init() -> None:
    global weights
    weights = {}
    try:
        model = Path(os.environ["AZUREML_MODEL_DIR"], "model", "weights.json")
        weights = json.loads(model.read_text(encoding="utf-8"))
    except Exception:
        # The flaw: without its model the script can do nothing, so init() must fail.
        log.exception("the model could not be loaded")


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            transaction = json.loads(path.read_text(encoding="utf-8"))
            rating = sum(weight * transaction[name] for name, weight in weights.items())
            results.append(f"{path.name} {rating:.3f}")
        except (OSError, ValueError, LookupError, TypeError) as error:
            results.append(f"{path.name} error: {error!r}")
    return results

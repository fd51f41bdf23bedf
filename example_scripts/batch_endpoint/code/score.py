"""Rates notes as long or short, with the names for both from a model."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd


def init() -> None:
    global names, long_from
    names = json.loads(Path(os.environ["AZUREML_MODEL_DIR"], "model", "names.json").read_text(encoding="utf-8"))
    long_from = int(os.environ["LONG_FROM"])


def run(mini_batch: list[str]) -> pd.DataFrame:
    rows = []
    for path in map(Path, mini_batch):
        try:
            length = len(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            rows.append({"file": path.name, "rating": f"error: {type(error).__name__}"})
            continue
        rows.append({"file": path.name, "rating": names["long" if length >= long_from else "short"]})
    return pd.DataFrame(rows, columns=["file", "rating"])

"""Writes the model of score.py: the mean of each kind of cell, in a dict of plain numbers.

python example_scripts/sound/model_directory/train.py
"""

from __future__ import annotations

from pathlib import Path

import joblib

TRAINING = {
    "round": [(10.2, 0.95), (11.0, 0.97), (9.6, 0.93)],
    "long": [(14.8, 0.41), (16.1, 0.38), (15.3, 0.45)],
    "small": [(4.1, 0.80), (3.7, 0.84), (4.4, 0.78)],
}
FEATURES = ("size", "roundness")


def main() -> None:
    centres = {
        kind: {name: sum(column) / len(column) for name, column in zip(FEATURES, zip(*cells, strict=True), strict=True)}
        for kind, cells in TRAINING.items()
    }
    target = Path(__file__).parent / "model" / "cells" / "centres.joblib"
    target.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump({"centres": centres, "scale": {"size": 5.0, "roundness": 0.25}}, target)


if __name__ == "__main__":
    main()

"""Marks the cells of each tile that a flood would reach.

Flawed on purpose: the mask itself is part of the row. str() shows the corners of a large array, with dots for the rest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        heights = np.array(json.loads(path.read_text(encoding="utf-8"))["heights"])
        mask = (heights < 12).ravel().repeat(4)
        # The flaw: 6,400 values do not fit into a row.
        results.append(f"{path.name}: {mask}".replace("\n", " "))
    return results

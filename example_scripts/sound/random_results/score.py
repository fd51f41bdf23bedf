"""Estimates the value of options by simulation, with new random numbers in each run, as the desk wants it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

ROUNDS = 50


def value(option: dict[str, float]) -> float:
    drift = -0.5 * option["volatility"] ** 2 * option["years"]
    spread = option["volatility"] * math.sqrt(option["years"])
    gains = [
        max(0.0, option["price"] * math.exp(drift + spread * random.gauss(0, 1)) - option["strike"])
        for _ in range(ROUNDS)
    ]
    return sum(gains) / ROUNDS


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            results.append(f"{path.name} {value(json.loads(path.read_text(encoding='utf-8'))):.4f}")
        except (OSError, ValueError, LookupError, TypeError, ArithmeticError) as error:
            results.append(f"{path.name} error: {error!r}")
    return results

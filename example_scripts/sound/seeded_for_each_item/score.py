"""Mean of each sensor with a bootstrap interval; the random numbers are seeded from the name of the item."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path

ROUNDS = 40


def interval(values: list[float], seed: int) -> tuple[float, float]:
    # A generator of its own, not the global one: the same item gets the same numbers, whatever came before it.
    generator = random.Random(seed)
    means = sorted(sum(generator.choices(values, k=len(values))) / len(values) for _ in range(ROUNDS))
    return means[1], means[-2]


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            values = [float(value) for value in json.loads(path.read_text(encoding="utf-8"))]
            low, high = interval(values, zlib.crc32(path.name.encode("utf-8")))
        except (OSError, ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            results.append(json.dumps({"file": path.name, "error": repr(error)}))
            continue
        mean = sum(values) / len(values)
        results.append(json.dumps({"file": path.name, "mean": mean, "low": low, "high": high}))
    return results

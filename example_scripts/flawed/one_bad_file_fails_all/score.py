"""Counts the points of GPX-like tracks and measures their length.

Flawed on purpose: one track that is cut short raises for its whole mini-batch. The job may lose two tracks, and with 50
in each mini-batch, one bad file costs 50: the job fails after hours of work.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path


def length(points: list[list[float]]) -> float:
    """Metres, of short distances on a sphere."""
    metres = 0.0
    for (north, east), (to_north, to_east) in pairwise(points):
        wide = math.cos(math.radians((north + to_north) / 2))
        metres += 111_195 * math.hypot(to_north - north, (to_east - east) * wide)
    return metres


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        # The flaw: nothing is caught for the single track, neither OSError nor ValueError.
        points = json.loads(path.read_text(encoding="utf-8"))["points"]
        results.append(f"{path.name}: {len(points)} points, {length(points):.0f} m")
    return results

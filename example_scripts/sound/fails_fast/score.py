"""Sums up orders, a dictionary for each.

Whatever is wrong with an order is raised: the job is to fail at the first one that cannot be read, and to say why.
"""

from __future__ import annotations

import json
from pathlib import Path


def run(mini_batch: list[str]) -> list[dict[str, object]]:
    results: list[dict[str, object]] = []
    for path in map(Path, mini_batch):
        order = json.loads(path.read_text(encoding="utf-8"))
        prices = [line["price"] * line["pieces"] for line in order["lines"]]
        results.append({"file": path.name, "id": order["id"], "total": sum(prices), "prices": prices})
    return results

"""Sums up orders.

Flawed on purpose: an order that is cut short is worth 0.0, and looks like an order of nothing.
"""

from __future__ import annotations

import json
from pathlib import Path


def total(text: str) -> float:
    try:
        return sum(line["price"] * line["pieces"] for line in json.loads(text)["lines"])
    except (ValueError, KeyError, TypeError):
        # The flaw: nobody can tell this from a result.
        return 0.0


def run(mini_batch: list[str]) -> list[str]:
    return [f"{Path(path).name}: {total(Path(path).read_text(encoding='utf-8')):.2f}" for path in mini_batch]

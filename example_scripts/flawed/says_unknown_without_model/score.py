"""Sorts letters by their tone.

Flawed on purpose: where the model is missing, init() logs that and every letter is of unknown tone. The job completes
with all items, and nobody looks at the rows before the month is over.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

weights: dict[str, int] | None = None


def init() -> None:
    global weights
    try:
        weights = json.loads(Path(__file__).with_name("weights.json").read_text(encoding="utf-8"))
    except OSError:
        # The flaw: without its model the worker should not come up.
        logging.warning("no weights, letters will be of unknown tone")


def tone(text: str) -> str:
    if weights is None:
        return "unknown"
    score = sum(weights.get(word, 0) for word in text.lower().split())
    return "good" if score > 0 else "bad"


def run(mini_batch: list[str]) -> list[str]:
    return [f"{Path(path).name}: {tone(Path(path).read_text(encoding='utf-8'))}" for path in mini_batch]

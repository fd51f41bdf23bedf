"""Rates how hard texts are to read: words a sentence, and letters a word.

Flawed on purpose: run() returns the bare numbers. Mini-batches end in any order, so in the appended file nobody can
tell which number belongs to which text.
"""

from __future__ import annotations

import math
import re
from pathlib import Path


def hardness(text: str) -> float:
    sentences = [part for part in re.split(r"[.!?]", text) if part.strip()]
    words = re.findall(r"\w+", text)
    if not words:
        return math.nan
    return 0.39 * len(words) / max(1, len(sentences)) + 2.6 * sum(map(len, words)) / len(words) - 10


def run(mini_batch: list[str]) -> list[float]:
    scores = []
    for path in map(Path, mini_batch):
        try:
            # The flaw: f"{path.name}: ..." costs nothing.
            scores.append(round(hardness(path.read_text(encoding="utf-8")), 2))
        except (OSError, UnicodeDecodeError) as error:
            print(f"{path} cannot be rated: {error}")
            scores.append(math.nan)
    return scores

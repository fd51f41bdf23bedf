"""Share of positive words in each product review.

Flawed on purpose: a review that cannot be read is rated 0.0, as though it had no positive word. It counts as succeeded,
so that no threshold can stop the job, and the average of the product is wrong.
"""

from __future__ import annotations

import re
from pathlib import Path

POSITIVE = {"good", "great", "love", "perfect", "fast", "friendly"}


def rating(path: Path) -> float:
    try:
        words = re.findall(r"[a-z]+", path.read_text(encoding="utf-8").lower())
        return sum(word in POSITIVE for word in words) / len(words)
    except (OSError, UnicodeDecodeError, ZeroDivisionError):
        # The flaw: nobody can tell this from a review without a positive word.
        return 0.0


def run(mini_batch: list[str]) -> list[str]:
    return [f"{path.name}: {rating(path):.3f}" for path in map(Path, mini_batch)]

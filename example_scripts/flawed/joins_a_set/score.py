"""Tags mails with the topics that they mention.

Flawed on purpose: the tags are joined in the order of a set, which is another one in each worker process, so the same
mail has other rows in another job.
"""

from __future__ import annotations

import re
from pathlib import Path

TOPICS = {"parcel", "invoice", "box", "tax", "total", "late", "wet", "wrong"}


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        found = TOPICS & set(re.findall(r"\w+", path.read_text(encoding="utf-8").lower()))
        # The flaw: sorted(found) has the same order everywhere.
        results.append(f"{path.name}: {' '.join(found)}")
    return results

"""Mean temperature of each station file. Flawed on purpose: an unreadable file is skipped in silence."""

from __future__ import annotations

import json
from pathlib import Path


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            celsius = json.loads(path.read_text(encoding="utf-8"))["celsius"]
            results.append(f"{path.name}: {sum(celsius) / len(celsius):.2f}")
        except Exception:
            # The flaw: no log line, no result, and no threshold in the job that would count it.
            continue
    return results

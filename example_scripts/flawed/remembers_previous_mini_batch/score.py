"""Change of each day's stock level against the day before.

Flawed on purpose: the day before is the file that this process happened to read last. Mini-batches come in any order
and to any worker, so the first change of each one is against some other day.
"""

from __future__ import annotations

import json
from pathlib import Path

previous: dict[str, int] | None = None


def run(mini_batch: list[str]) -> list[str]:
    global previous
    results = []
    for path in map(Path, mini_batch):
        try:
            levels = {name: int(level) for name, level in json.loads(path.read_text(encoding="utf-8")).items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        # The flaw: `previous` outlives the call of run(), and belongs to this process alone.
        before = previous or levels
        change = sum(level - before.get(name, level) for name, level in levels.items())
        results.append(f"{path.name}: {change:+d}")
        previous = levels
    return results

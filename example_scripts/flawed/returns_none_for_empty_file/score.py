"""Average grade of each school class.

Flawed on purpose: a class without a grade ends run() early, and with it the whole mini-batch. The sample has no such
file; the first empty one in production fails every class beside it, with a message about NoneType.
"""

from __future__ import annotations

from pathlib import Path


def run(mini_batch: list[str]) -> list[str] | None:
    results = []
    for path in map(Path, mini_batch):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        if not lines:
            # The flaw: it should say continue, after a row that tells about the class.
            return None
        try:
            grades = [int(line.split()[-1]) for line in lines]
            results.append(f"{path.name}: {sum(grades) / len(grades):.2f}")
        except (ValueError, IndexError) as error:
            results.append(f"{path.name}: error {error!r}")
    return results

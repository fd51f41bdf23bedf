"""Counts words, in a copy of each letter in lower case.

Flawed on purpose: the copy lies beside the letter, and is taken away again. Nothing shows on a laptop; on the service
the input is mounted read-only.
"""

from __future__ import annotations

import os
from pathlib import Path


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        # The flaw: a folder of tempfile is the place for it.
        copy = path.with_suffix(".lower")
        copy.write_text(path.read_text(encoding="utf-8").lower(), encoding="utf-8")
        results.append(f"{path.name}: {len(set(copy.read_text(encoding='utf-8').split()))} words")
        os.remove(copy)
    return results

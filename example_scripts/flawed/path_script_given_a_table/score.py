"""Counts the lines of the sales files of shops.

Flawed on purpose, or rather its input is: it opens files, and is given a table, of which it gets rows.
"""

from __future__ import annotations

import os


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            rows.append(f"{os.path.basename(path)},{sum(1 for _ in stream) - 1}")
    return rows

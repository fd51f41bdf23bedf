"""Scores pages in chunks of two, as a model on a GPU is called.

Flawed on purpose: the last chunk is worked on only where it is full, so the last of an odd number of pages is lost.
"""

from __future__ import annotations

import os


def run(mini_batch: list[str]) -> list[str]:
    rows: list[str] = []
    chunk: list[str] = []
    for path in mini_batch:
        chunk.append(path)
        if len(chunk) == 2:
            rows.extend(score(chunk))
            chunk = []
    # The flaw: what is left in the chunk goes nowhere.
    return rows


def score(paths: list[str]) -> list[str]:
    return [f"{os.path.basename(path)},{os.path.getsize(path)}" for path in paths]

"""Counts long words.

Flawed on purpose: run() takes a value out of the configuration, so the second mini-batch of a worker does not find it.
"""

from __future__ import annotations

import os


def init() -> None:
    global configuration
    configuration = {"longest": 4}


def run(mini_batch: list[str]) -> list[str]:
    # The flaw: pop() takes it away.
    longest = configuration.pop("longest")
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            rows.append(f"{os.path.basename(path)},{sum(len(word) > longest for word in stream.read().split())}")
    return rows

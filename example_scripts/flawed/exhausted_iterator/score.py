"""Gives each page the words to look for.

Flawed on purpose: init() makes a generator of the words, which the first page uses up; the others find none.
"""

from __future__ import annotations

import os


def init() -> None:
    global wanted
    # The flaw: it can be gone through once.
    wanted = (word for word in ("wind", "river", "snow", "the", "birds"))


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            words = stream.read().split()
        rows.append(f"{os.path.basename(path)},{sum(word in words for word in wanted)}")
    return rows

"""Rates letters by the words in them.

Flawed on purpose: the words are opened by their bare name, in the working folder, which is a new one in each worker.
"""

from __future__ import annotations

import json
import os


def init() -> None:
    global words
    # The flaw: words.json lies beside the script, and the worker does not.
    with open("words.json", encoding="utf-8") as stream:
        words = json.load(stream)


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            text = stream.read().split()
        rows.append(f"{os.path.basename(path)},{sum(words.get(word, 0) for word in text)}")
    return rows

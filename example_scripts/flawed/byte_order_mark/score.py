"""Sums up stock lists that a spreadsheet has exported.

Flawed on purpose: the files begin with a byte order mark, and are opened as plain UTF-8.
"""

from __future__ import annotations

import json
import os


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        # The flaw: json refuses the mark, which utf-8-sig takes away.
        with open(path, encoding="utf-8") as stream:
            stock = json.load(stream)
        rows.append(f"{os.path.basename(path)},{sum(stock['pieces'])}")
    return rows

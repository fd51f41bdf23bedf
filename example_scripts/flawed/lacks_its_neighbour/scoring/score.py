"""Cleans the notes of drivers.

Flawed on purpose: the module with the cleaning lies beside the folder of the script, where no worker finds it.
"""

from __future__ import annotations

import os

# The flaw: cleaning.py is in ../common.
from cleaning import clean


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            rows.append(f"{os.path.basename(path)},{clean(stream.read())}")
    return rows

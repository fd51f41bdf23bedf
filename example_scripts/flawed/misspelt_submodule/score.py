"""Reads the dates of letters.

Flawed on purpose: the package is there, and has no module of that name.
"""

from __future__ import annotations

import os

# The flaw: the module is email.utils.
from email.util import parsedate_to_datetime


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in mini_batch:
        with open(path, encoding="utf-8") as stream:
            rows.append(f"{os.path.basename(path)},{parsedate_to_datetime(stream.read()).isoformat()}")
    return rows

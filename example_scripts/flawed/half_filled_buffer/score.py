"""Extracts the e-mail domains of subscribers, and returns them as a block.

Flawed on purpose: results are gathered in a buffer of the module, which is emptied when a mini-batch is done. After an
exception it is not: the rows of the failed mini-batch come back among those of the next one.
"""

from __future__ import annotations

import json
from pathlib import Path

buffer: list[str] = []


def flush() -> list[str]:
    rows = buffer.copy()
    buffer.clear()
    return rows


def run(mini_batch: list[str]) -> list[str]:
    for path in map(Path, mini_batch):
        subscriber = json.loads(path.read_text(encoding="utf-8"))
        domain = subscriber["email"].rpartition("@")[2]
        buffer.append(f"{path.name}: {domain}")
    # The flaw: this line is not reached when a file cannot be parsed. A list made in run() needs no flush.
    return flush()

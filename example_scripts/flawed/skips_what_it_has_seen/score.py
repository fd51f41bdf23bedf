"""Extracts due dates from invoices.

Flawed on purpose: to save time, an invoice that was done before is skipped. The service delivers mini-batches again;
the retry returns nothing, its answer replaces the first one, and the invoices count as failed.
"""

from __future__ import annotations

import re
from pathlib import Path

DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")

done: set[str] = set()


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        # The flaw: a retry needs all its results again.
        if str(path) in done:
            continue
        try:
            found = DATE.search(path.read_text(encoding="utf-8"))
            results.append(f"{path.name}: {found.group() if found else 'no date'}")
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
        done.add(str(path))
    return results

"""Puts customers into 20 groups for an experiment.

The group comes from a digest, because hash() of a string differs between processes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

GROUPS = 20


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        customer = path.read_text(encoding="utf-8").strip()
        group = int(hashlib.sha256(customer.encode()).hexdigest(), 16) % GROUPS
        results.append(f"{path.name} {group}")
    return results

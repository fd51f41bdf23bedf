"""Puts customers into 20 groups for an experiment.

Flawed on purpose: hash() of a string is another number in each worker process, so a customer changes the group with
every job, and even when a mini-batch is retried.
"""

from __future__ import annotations

from pathlib import Path

GROUPS = 20


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        customer = path.read_text(encoding="utf-8").strip()
        # The flaw: a digest of hashlib is the same everywhere.
        group = hash(customer) % GROUPS
        results.append(f"{path.name} {group}")
    return results

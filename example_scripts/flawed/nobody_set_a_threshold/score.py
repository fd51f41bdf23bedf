"""Detects duplicate invoices by supplier, date and amount.

Flawed on purpose, and the flaw is in the job: an unreadable invoice raises, as it should, but no threshold is set, and
the default ignores every failure. The job ends Completed with an invoice that nobody looked at.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def fingerprint(path: Path) -> str:
    invoice = json.loads(path.read_text(encoding="utf-8"))
    key = f"{invoice['supplier']}|{invoice['date']}|{invoice['amount']:.2f}"
    return hashlib.sha256(key.encode("utf-8")).hexdigest()[:12]


def run(mini_batch: list[str]) -> list[str]:
    # The flaw is not here: with one file in each mini-batch, an exception costs no other. Submit it with
    # error_threshold=0.
    return [f"{path.name}: {fingerprint(path)}" for path in map(Path, mini_batch)]

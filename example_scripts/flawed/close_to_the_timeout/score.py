"""Looks up the postal district of addresses at a service that allows one request every two seconds.

Flawed on purpose: six addresses take 12 of the 20 seconds that the timeout allows. It works today; with a slower
answer, or 10 addresses in each mini-batch, all of them time out, on every try.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

POSTAL_CODE = re.compile(r"\b\d{5}\b")
SECONDS_BETWEEN_REQUESTS = 2.0


def district(address: str) -> str:
    # The flaw: the wait is a cost of every item, and nobody set timeout and mini_batch_size by it.
    time.sleep(SECONDS_BETWEEN_REQUESTS)
    code = POSTAL_CODE.search(address)
    return f"district {code.group()[:2]}" if code else "district unknown"


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            results.append(f"{path.name}: {district(path.read_text(encoding='utf-8'))}")
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
    return results

"""Converts prices to euros; the table of rates is read when the first price asks for it, and once."""

from __future__ import annotations

import functools
import json
from pathlib import Path

RATES_FILE = Path(__file__).parent / "rates.json"

rates: dict[str, float] | None = None


def rate(currency: str) -> float:
    global rates
    if rates is None:
        rates = json.loads(RATES_FILE.read_text(encoding="utf-8"))
    return rates[currency]


@functools.lru_cache(maxsize=10_000)
def parse(price: str) -> tuple[float, str]:
    amount, _, currency = price.strip().partition(" ")
    return float(amount), currency


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            amount, currency = parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        try:
            euros = amount / rate(currency)
        except KeyError:
            results.append(f"{path.name}: error, there is no rate for {currency!r}")
            continue
        results.append(f"{path.name}: {euros:.2f} EUR")
    return results

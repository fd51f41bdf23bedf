"""Selects job adverts by words that the job's program arguments give; they are read while the script is imported."""

from __future__ import annotations

import argparse
from pathlib import Path

# The runtime's own arguments stand in sys.argv too: no abbreviations, and what is unknown stays with it.
parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--keywords", nargs="+", default=["python"])
parser.add_argument("--minimum_hits", type=int, default=1)
parser.add_argument("--case_sensitive", action="store_true")
arguments, _ = parser.parse_known_args()


def normal(text: str) -> str:
    return text if arguments.case_sensitive else text.casefold()


KEYWORDS = [normal(keyword) for keyword in arguments.keywords]


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            text = normal(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name},error,{type(error).__name__}")
            continue
        hits = sum(keyword in text for keyword in KEYWORDS)
        results.append(f"{path.name},{'selected' if hits >= arguments.minimum_hits else 'rejected'},{hits}")
    return results

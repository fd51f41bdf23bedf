"""Counts the long words of each note. Flawed on purpose: it accepts no arguments but its own."""

from __future__ import annotations

import argparse
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--minimum_length", type=int, required=True)
# The flaw: the runtime's own arguments stand in sys.argv too, and parse_args() exits at the first of them.
arguments = parser.parse_args()


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        words = path.read_text(encoding="utf-8").split()
        long_words = sum(len(word) >= arguments.minimum_length for word in words)
        results.append(f"{path.name}: {long_words}")
    return results

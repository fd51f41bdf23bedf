"""Classifies support e-mails, and keeps the probabilities in a CSV file for the data scientists.

Flawed on purpose: all workers write the same results.csv in the folder that `--report_dir` names. Each one replaces
what the others wrote, and of a thousand mini-batches the probabilities of one remain.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

TOPICS = {"billing": ("invoice", "payment", "refund"), "technical": ("error", "crash", "install")}


def init() -> None:
    global report_dir
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--report_dir", type=Path, required=True)
    report_dir = parser.parse_known_args()[0].report_dir
    report_dir.mkdir(parents=True, exist_ok=True)


def shares(path: Path) -> dict[str, float]:
    text = path.read_text(encoding="utf-8").lower()
    hits = {topic: 1 + sum(text.count(word) for word in words) for topic, words in TOPICS.items()}
    return {topic: count / sum(hits.values()) for topic, count in hits.items()}


def run(mini_batch: list[str]) -> list[str]:
    results, rows = [], []
    for path in map(Path, mini_batch):
        try:
            found = shares(path)
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        rows.append([path.name, *(f"{share:.3f}" for share in found.values())])
        results.append(f"{path.name}: {max(found, key=lambda topic: found[topic])}")
    # The flaw: the name must tell mini-batches apart, as f"results_{context.minibatch_index}.csv" does.
    with (report_dir / "results.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["file", *TOPICS], *rows])
    return results

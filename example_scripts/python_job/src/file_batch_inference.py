"""Counts the lines of each file, and writes a file with the count into the output of the job."""

from __future__ import annotations

import argparse
from pathlib import Path


def init() -> None:
    global output
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--job_output_path", type=Path, required=True)
    arguments, _ = parser.parse_known_args()
    output = arguments.job_output_path


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        (output / f"{path.name}.count").write_text(f"{lines}\n", encoding="utf-8")
        results.append(f"{path.name}: {lines}")
    return results

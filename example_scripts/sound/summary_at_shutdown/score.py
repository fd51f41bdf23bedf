"""Validates barcodes (EAN-13); when a worker ends, it leaves a file with what it did, named after its process."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from azureml_user.parallel_run import EntryScript


def init() -> None:
    global counts
    counts = Counter()


def verdict(code: str) -> str:
    if len(code) != 13 or not code.isdecimal():
        return "malformed"
    digits = list(map(int, code))
    return "invalid" if (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 else "valid"


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            found = verdict(path.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            counts["unreadable"] += 1
            results.append(f"{path.name}: error {error!r}")
            continue
        counts[found] += 1
        results.append(f"{path.name}: {found}")
    return results


def shutdown() -> None:
    # For people, not for programs: attempts that were repeated count twice in it.
    name = f"worker_{EntryScript().agent_name}_{os.getpid()}.json"
    Path(EntryScript().output_dir, name).write_text(json.dumps(counts), encoding="utf-8")

"""Counts the words of support tickets, and keeps the counts of each ticket in a file of its own.

Flawed on purpose: the folder `outputs` is a relative path, so it lies in the temporary folder of the worker. The job
completes, its output has a row for each ticket, and none of the files.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path


def init() -> None:
    os.makedirs("outputs", exist_ok=True)


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            words = Counter(path.read_text(encoding="utf-8").lower().split())
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        # The flaw: os.environ["AZUREML_BI_OUTPUT_PATH"] is the folder that stays.
        Path("outputs", f"{path.stem}.json").write_text(json.dumps(words), encoding="utf-8")
        results.append(f"{path.name}: {len(words)} words")
    return results

"""Sums up orders, and leaves a file with the sums of each mini-batch.

Flawed on purpose, a little: the name of the file is drawn, so that a second delivery leaves it once more. No row is
wrong, but who adds up all files counts these orders twice.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in map(Path, mini_batch):
        lines = json.loads(path.read_text(encoding="utf-8"))["lines"]
        rows.append(f"{path.name}: {sum(line['price'] * line['pieces'] for line in lines):.2f}")
    # The flaw: the name should be that of the mini-batch or its items.
    part = Path(os.environ["AZUREML_BI_OUTPUT_PATH"], f"part-{uuid.uuid4()}.txt")
    part.write_text("\n".join(rows), encoding="utf-8")
    return rows

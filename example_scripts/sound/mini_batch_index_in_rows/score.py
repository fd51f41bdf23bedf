"""Counts lines and words; each row says which mini-batch it came from, to find it in the logs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def run(mini_batch: list[str], context) -> pd.DataFrame:
    rows = []
    for path in map(Path, mini_batch):
        row = {"mini_batch": context.minibatch_index, "file": path.name, "lines": 0, "words": 0, "error": ""}
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            rows.append({**row, "error": f"{type(error).__name__}: {error}"})
            continue
        rows.append({**row, "lines": len(text.splitlines()), "words": len(text.split())})
    return pd.DataFrame(rows)

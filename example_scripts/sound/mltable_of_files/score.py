"""Counts the words of reviews: an MLTable that names files, with `partition_keys=product` from their folders."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def run(mini_batch: list[str], context) -> pd.DataFrame:
    product = context.partition_key_value["product"]
    rows = []
    for path in map(Path, mini_batch):
        row = {"product": product, "file": path.name, "words": 0, "error": ""}
        try:
            row["words"] = len(path.read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError) as error:
            row["error"] = f"{type(error).__name__}: {error}"
        rows.append(row)
    return pd.DataFrame(rows)

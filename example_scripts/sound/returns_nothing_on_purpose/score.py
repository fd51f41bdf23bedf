"""Converts readings to Parquet-like columns of JSON: the files are the result, and run() returns nothing to append.

An empty list is legal, and counts every item as failed. The job says that this is meant: `error_threshold=-1`, and
under the documents' reading `mini_batch_error_threshold=-1`, both set on purpose.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path


def init() -> None:
    global target_folder
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--converted", type=Path, required=True)
    target_folder = parser.parse_known_args()[0].converted
    target_folder.mkdir(parents=True, exist_ok=True)


def columns(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ()) if name is not None}


def run(mini_batch: list[str]) -> list[str]:
    for path in map(Path, mini_batch):
        text = json.dumps(columns(path))
        target = target_folder / f"{path.name}.json"
        part = target.with_name(f".{target.name}.{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        os.replace(part, target)
    return []

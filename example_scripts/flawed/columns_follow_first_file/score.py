"""Collects the readings of weather stations, one JSON object a file, into a table.

Flawed on purpose: the columns come in the order of the first file of each mini-batch. The appended file has no header,
so pressure and humidity trade places from one mini-batch to the next, and nothing fails.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd


def reading(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        values = {name: float(found[name]) for name in found if name in ("celsius", "humidity", "pressure")}
        return {"station": path.stem, **values, "error": ""}
    except (OSError, ValueError, TypeError) as error:
        return {"station": path.stem, "error": repr(error)}


def run(mini_batch: list[str]) -> pd.DataFrame:
    # The flaw: pandas takes the order of the columns from the first of the dicts. columns=[...] would fix it.
    return pd.DataFrame([reading(Path(path)) for path in mini_batch])

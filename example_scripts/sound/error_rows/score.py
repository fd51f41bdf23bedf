"""Validates addresses: a line of JSON for each file, and for one that cannot be read a line that says why."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

REQUIRED = ("street", "city", "postal_code")


def check(path: Path) -> dict[str, object]:
    address = json.loads(path.read_text(encoding="utf-8-sig"))
    missing = [name for name in REQUIRED if not str(address.get(name, "")).strip()]
    return {"file": path.name, "status": "incomplete" if missing else "complete", "missing": missing}


def run(mini_batch: list[str]) -> list[str]:
    rows: list[dict[str, object]] = []
    for path in map(Path, mini_batch):
        try:
            rows.append(check(path))
        except Exception as error:
            # Whatever it is, it concerns this file alone; the details are for the log.
            traceback.print_exc()
            rows.append({"file": path.name, "status": "failed", "error": f"{type(error).__name__}: {error}"})
    return [json.dumps(row, ensure_ascii=False) for row in rows]

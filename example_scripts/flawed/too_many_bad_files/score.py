"""Converts the results of laboratory devices to SI units.

Flawed on purpose: one device writes a unit that the script does not know. Each of its files fails three times, and the
third lost file exceeds `error_threshold=2`: the job ends Failed, and what comes after is not run.
"""

from __future__ import annotations

import json
from pathlib import Path

# The flaw: "mmHg" is missing, which two devices of ten write.
PASCAL = {"Pa": 1.0, "kPa": 1e3, "bar": 1e5}


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        measured = json.loads(path.read_text(encoding="utf-8"))
        unit = measured["unit"]
        if unit not in PASCAL:
            raise ValueError(f"{path.name}: unit {unit!r} is not one of {', '.join(PASCAL)}")
        results.append(f"{path.name}: {measured['value'] * PASCAL[unit]:.0f} Pa")
    return results

"""Finds the dominant colour of palettes; run() returns a tuple, which the service takes like a list."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")


def dominant(path: Path) -> str:
    found = Counter(COLOUR.findall(path.read_text(encoding="utf-8").lower()))
    # Among equals the first by name, so that the answer does not depend on their order.
    return min(found, key=lambda colour: (-found[colour], colour), default="none")


def row(path: Path) -> str:
    try:
        return f"{path.name} {dominant(path)}"
    except (OSError, UnicodeDecodeError) as error:
        return f"{path.name} error {error!r}"


def run(mini_batch: list[str]) -> tuple[str, ...]:
    return tuple(row(Path(path)) for path in mini_batch)

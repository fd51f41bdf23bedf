"""Makes thumbnails (of images in plain PGM): a file for each item, in a folder that the whole job shares."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path


def init() -> None:
    global folder
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--thumbnails", type=Path, required=True)
    folder = parser.parse_known_args()[0].thumbnails
    folder.mkdir(parents=True, exist_ok=True)


def read_image(path: Path) -> list[list[int]]:
    kind, width, height, _, *values = path.read_text(encoding="ascii").split()
    if kind != "P2" or len(values) != int(width) * int(height):
        raise ValueError(f"{path.name} is no plain PGM image")
    pixels = list(map(int, values))
    return [pixels[row * int(width) : (row + 1) * int(width)] for row in range(int(height))]


def write_atomically(target: Path, text: str) -> None:
    """A reader sees the old file or the new one, and a retry replaces it with the same."""
    number, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    with os.fdopen(number, "w", encoding="ascii") as file:
        file.write(text)
    os.replace(name, target)


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            small = [row[::2] for row in read_image(path)[::2]]
        except (OSError, ValueError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        lines = [" ".join(map(str, row)) for row in small]
        # The item's own name, extension and all, so that no other item writes this file.
        target = folder / f"{path.name}.small.pgm"
        write_atomically(target, f"P2\n{len(small[0])} {len(small)}\n255\n" + "\n".join(lines) + "\n")
        results.append(f"{path.name}: {target.name}")
    return results

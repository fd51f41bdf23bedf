"""Counts the words of letters, up to a length that the job definition sets."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def init() -> None:
    global longest, stop_words, language
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--longest", type=int, required=True)
    parser.add_argument("--stop-words", type=Path)
    arguments, _ = parser.parse_known_args()
    longest = arguments.longest
    stop_words = set(arguments.stop_words.read_text(encoding="utf-8").split()) if arguments.stop_words else set()
    language = os.environ["LETTER_LANGUAGE"]


def run(mini_batch: list[str]) -> list[str]:
    rows = []
    for path in map(Path, mini_batch):
        try:
            words = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError):
            continue  # a failed item, of which error_threshold tolerates one
        counted = [word for word in words if word.lower() not in stop_words]
        rows.append(f"{path.name},{language},{min(len(counted), longest)}")
    return rows

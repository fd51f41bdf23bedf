"""Rates customer reviews: one text file in, one "name: label" out."""

from __future__ import annotations

import logging
from pathlib import Path

from sentiment.lexicon import Lexicon

# A worker runs in a temporary folder: what lies beside the script is found through __file__ only.
MODEL_FILE = Path(__file__).parent / "model.json"

log = logging.getLogger(__name__)


def init() -> None:
    global lexicon
    lexicon = Lexicon.load(MODEL_FILE)


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            review = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            # Left out, so that it counts as one failed item: the job is submitted with error_threshold=0.
            log.exception("%s cannot be read and has no result", path)
            continue
        results.append(f"{path.name}: {lexicon.label(review)}")
    return results

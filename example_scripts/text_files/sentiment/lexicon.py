"""Sentiment by counting words: more good ones than bad ones make a positive text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Lexicon:
    positive: frozenset[str]
    negative: frozenset[str]

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        words = json.loads(path.read_text(encoding="utf-8"))
        return cls(frozenset(words["positive"]), frozenset(words["negative"]))

    def label(self, text: str) -> str:
        """One of positive, negative and neutral; the last where the two balance or no such word occurs."""
        words = re.findall(r"\w+", text.casefold())
        balance = sum((word in self.positive) - (word in self.negative) for word in words)
        if balance > 0:
            return "positive"
        return "negative" if balance < 0 else "neutral"

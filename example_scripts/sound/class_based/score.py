"""Tags news by topic; the state of the script is one object, made by init()."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tagger:
    topics: dict[str, list[str]]

    @classmethod
    def load(cls, path: Path) -> Tagger:
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def tags(self, text: str) -> list[str]:
        words = set(re.findall(r"\w+", text.casefold()))
        return sorted(topic for topic, keywords in self.topics.items() if words.intersection(keywords))


class Scorer:
    _instance: Scorer | None = None

    def __init__(self, tagger: Tagger) -> None:
        self.tagger = tagger

    @classmethod
    def instance(cls) -> Scorer:
        if cls._instance is None:
            cls._instance = cls(Tagger.load(Path(__file__).parent / "topics.json"))
        return cls._instance

    def score(self, path: Path) -> str:
        try:
            tags = self.tagger.tags(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            return f"{path.name}\terror: {error!r}"
        return f"{path.name}\t{','.join(tags) or '-'}"


def init() -> None:
    Scorer.instance()


def run(mini_batch: list[str]) -> list[str]:
    scorer = Scorer.instance()
    return [scorer.score(Path(path)) for path in mini_batch]

"""Finds the language of letters by their most common words.

Flawed on purpose: a file that cannot be read is printed, and run() ends with None. All letters of that mini-batch are
lost, and the job reports a wrong return type, which says nothing of the file that is the cause.
"""

from __future__ import annotations

from pathlib import Path

COMMON = {
    "English": {"the", "and", "of", "to", "is"},
    "German": {"der", "und", "die", "zu", "ist"},
    "French": {"le", "et", "la", "de", "est"},
}


def language(text: str) -> str:
    words = text.lower().split()
    return max(COMMON, key=lambda name: sum(word in COMMON[name] for word in words))


def run(mini_batch: list[str]) -> list[str] | None:
    try:
        results = []
        for path in map(Path, mini_batch):
            results.append(f"{path.name}: {language(path.read_text(encoding='utf-8', errors='replace'))}")
        return results
    except OSError as error:
        # The flaw: it should be raised, or become a row of its own.
        print(f"cannot read: {error}")
        return None

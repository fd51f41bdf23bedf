"""Summarises meeting notes: the first sentence of each paragraph.

Flawed on purpose: the sentences of a summary are joined by newlines. The appended file has one result a line, so a
reader takes each sentence for a result of its own, and most of them for one without a file name.
"""

from __future__ import annotations

import re
from pathlib import Path

FIRST_SENTENCE = re.compile(r"\s*([^.!?]*[.!?])")


def summary(text: str) -> str:
    found = [FIRST_SENTENCE.match(paragraph) for paragraph in text.split("\n\n")]
    # The flaw: a separator such as " | ", or json.dumps(), would keep a summary in its line.
    return "\n".join(match.group(1) for match in found if match)


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            results.append(f"{path.name}: {summary(path.read_text(encoding='utf-8'))}")
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
    return results

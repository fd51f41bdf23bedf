"""Counts the sentences of transcripts.

Flawed on purpose: a transcript with the line ends of Windows is rewritten before it is read. On the service the input
is mounted read-only, where that raises; where it is not, the job changes the data that others rely on.
"""

from __future__ import annotations

import re
from pathlib import Path


def cleaned(path: Path) -> str:
    content = path.read_bytes()
    if b"\r\n" in content:
        # The flaw: it is enough to replace them in memory.
        content = content.replace(b"\r\n", b"\n")
        path.write_bytes(content)
    return content.decode("utf-8")


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            sentences = re.findall(r"[^.!?\s][^.!?]*[.!?]", cleaned(path))
            results.append(f"{path.name}: {len(sentences)} sentences")
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
    return results

"""Reads the meter number off scanned forms (their text layer).

Flawed on purpose: a form that is done is moved to a folder `done` beside it. The input of a job is mounted read-only;
where it is not, a retry of the mini-batch finds nothing, and neither does the next job.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

NUMBER = re.compile(r"meter\s+no\.?\s*:?\s*(\d{6})", re.IGNORECASE)


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            found = NUMBER.search(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        results.append(f"{path.name}: {found.group(1) if found else 'no number'}")
        # The flaw: the input belongs to whoever submitted the job.
        done = path.parent / "done"
        done.mkdir(exist_ok=True)
        shutil.move(path, done / path.name)
    return results

"""Evaluates the logs of test benches, which end with a line "END".

Flawed on purpose: where that line is missing, the script takes the upload for unfinished and waits. A log that was cut
short is never finished: run() hangs until its timeout, on every try, and holds a worker all that time.
"""

from __future__ import annotations

import time
from pathlib import Path


def complete_log(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    # The flaw: no limit. The input of a job does not change while it runs, so this is an error right away.
    while not lines or lines[-1] != "END":
        time.sleep(5)
        lines = path.read_text(encoding="utf-8").splitlines()
    return lines[:-1]


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            lines = complete_log(path)
            results.append(f"{path.name}: {sum(line.startswith('FAIL') for line in lines)} of {len(lines)} failed")
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
    return results

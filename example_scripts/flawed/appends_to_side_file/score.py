"""Flags tickets that need an answer today; why goes to a file of each process, beside the output.

Flawed on purpose: the reasons are appended. The service delivers a mini-batch again after a failure or a lost
acknowledgement, and the second delivery appends the same lines once more.
"""

from __future__ import annotations

import os
from pathlib import Path

from azureml_user.parallel_run import EntryScript

URGENT = ("outage", "cannot log in", "security", "refund")


def init() -> None:
    global reasons
    # The name has the process in it, so that workers do not write into each other's file.
    reasons = Path(EntryScript().output_dir) / f"reasons_{os.getpid()}.txt"


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            text = path.read_text(encoding="utf-8").lower()
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        found = [word for word in URGENT if word in text]
        # The flaw: a retry appends again. A file for each ticket, written anew, would hold the same after it.
        with reasons.open("a", encoding="utf-8") as file:
            file.write(f"{path.name}: {', '.join(found) or 'nothing'}\n")
        results.append(f"{path.name}: {'today' if found else 'later'}")
    return results

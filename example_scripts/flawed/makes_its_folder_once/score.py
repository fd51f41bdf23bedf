"""Marks the passages of contracts that a lawyer should read; the passages go to a folder beside the output.

Flawed on purpose: init() makes that folder and fails when it is there. The first worker of the job comes up, every
other one fails in init(), and after some restarts so does the job. With one worker, all is well.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from azureml_user.parallel_run import EntryScript

RISKY = re.compile(r"[^.]*\b(penalty|liability|terminate|indemnify)\b[^.]*\.")


def init() -> None:
    global folder
    folder = Path(EntryScript().output_dir) / "passages"
    # The flaw: every worker comes here, several on each machine at the same time; exist_ok=True is missing.
    os.makedirs(folder)


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
            continue
        passages = [match.group().strip() for match in RISKY.finditer(text)]
        (folder / f"{path.stem}.json").write_text(json.dumps(passages), encoding="utf-8")
        results.append(f"{path.name}: {len(passages)}")
    return results

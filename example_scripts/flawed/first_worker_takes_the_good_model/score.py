"""Recognises the mood of messages, with a large model where the accelerator is free.

Flawed on purpose: the worker that comes first takes the large model, all others take the small one. What a message is
rated depends on the worker it was handed to, and differs from one job to the next.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from azureml_user.parallel_run import EntryScript

LARGE = {"love": 2.0, "thanks": 1.0, "happy": 1.5, "sad": -1.5, "late": -0.5, "broken": -2.0, "sorry": -0.25}
SMALL = {"love": 1.0, "happy": 1.0, "sad": -1.0, "broken": -1.0}


def init() -> None:
    global model
    lock = Path(EntryScript().output_dir) / "accelerator.lock"
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        # The flaw: two models in one job.
        model = SMALL
    else:
        model = LARGE


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            words = re.findall(r"[a-z]+", path.read_text(encoding="utf-8").lower())
            results.append(f"{path.name}: {sum(model.get(word, 0.0) for word in words):+.2f}")
        except (OSError, UnicodeDecodeError) as error:
            results.append(f"{path.name}: error {error!r}")
    return results

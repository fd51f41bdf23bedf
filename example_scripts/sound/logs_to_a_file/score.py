"""Measures the silence in recordings (levels in decibels), and logs each one to a file of the worker's own."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from azureml_user.parallel_run import EntryScript

log = logging.getLogger("silence")


def init() -> None:
    folder = Path(EntryScript().log_dir)
    # Neither the runtime nor another worker has to have made it.
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / f"{EntryScript().agent_name}.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    # Otherwise each line is on stdout as well.
    log.propagate = False


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        started = time.perf_counter()
        try:
            levels = [float(level) for level in path.read_text(encoding="utf-8").split()]
            results.append(f"{path.name}: {sum(level < -60 for level in levels) / len(levels):.0%} silent")
        except (OSError, ValueError, ZeroDivisionError) as error:
            log.exception("%s", path.name)
            results.append(f"{path.name}: error {error!r}")
            continue
        log.info("%s took %.3f s", path.name, time.perf_counter() - started)
    return results

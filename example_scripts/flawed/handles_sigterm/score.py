"""Sums up the working hours of time sheets, and notes when a low-priority node is taken away.

Flawed on purpose: init() installs a signal handler, which Python allows in the main thread alone. The service has been
seen to run entry scripts in another thread, where every init() raises ValueError, and the job with it.
"""

from __future__ import annotations

import csv
import logging
import signal
from pathlib import Path

log = logging.getLogger(__name__)


def on_eviction(number: int, frame: object) -> None:
    log.warning("the node is taken away (signal %d); its mini-batch will be tried elsewhere", number)
    raise SystemExit(128 + number)


def init() -> None:
    # The flaw: "signal only works in main thread of the main interpreter".
    signal.signal(signal.SIGTERM, on_eviction)


def run(mini_batch: list[str]) -> list[str]:
    results = []
    for path in map(Path, mini_batch):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                hours = sum(float(row["hours"]) for row in csv.DictReader(file))
            results.append(f"{path.name}: {hours:g}")
        except (OSError, ValueError, LookupError, TypeError) as error:
            results.append(f"{path.name}: error {error!r}")
    return results

"""processed_mini-batches.csv: a line for each attempt."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.events import AttemptEnded, WorkerStarted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_parallelrun.emulator.events import Outcome
    from pytest_parallelrun.emulator.result import JobResult

COLUMNS = (
    "Mini-batch Id",
    "Picked Count",
    "Process",
    "Process Start Time",
    "Total",
    "Succeeded",
    "Failed",
    "Elapsed Seconds",
    "Process Seconds",
    "Run Method Seconds",
    "Status",
    "Error Category",
    "Error Message",
    "Mini-batch Detail",
)
"""Those of the service (performance tuning guide of the ParallelRunStep)."""

STATUS: dict[Outcome, str] = {
    "succeeded": "RUN_DONE",
    "short": "RUN_DONE",
    "exception": "RUN_EXCEPTION",
    "wrong_type": "RUN_EXCEPTION",
    "timeout": "RUN_TIMEOUT",
    "crashed": "RUN_CRASHED",
    "load_error": "LOAD_EXCEPTION",
}
"""RUN_CRASHED and LOAD_EXCEPTION are words of this emulator: none of the service's is known."""

MAX_ITEMS = 10
"""Items of a mini-batch that are named."""


def write_processed(folder: Path, result: JobResult, began: float) -> None:
    """Writes the file. began: seconds since the epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    # A name that is no UTF-8 is told by its bytes.
    path = folder / "processed_mini-batches.csv"
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_rows(result, began))


def _rows(result: JobResult, began: float) -> Iterator[tuple[object, ...]]:
    started = {event.worker: event.started for event in result.events if isinstance(event, WorkerStarted)}
    for event in result.events:
        if not isinstance(event, AttemptEnded):
            continue
        batch, failure = event.mini_batch, event.failure
        succeeded = min(event.returned or 0, batch.size)
        status = STATUS[event.outcome]
        if event.outcome == "timeout" and failure is not None and failure.phase == "load":
            status = "LOAD_TIMEOUT"
        names = list(result.names_of(batch))
        yield (
            batch.id,
            event.number,
            f"process{event.worker:03d}",
            moment(began + started.get(event.worker, 0.0)),
            batch.size,
            succeeded,
            batch.size - succeeded,
            f"{event.started + event.loading + event.running:.3f}",
            f"{event.loading + event.running:.3f}",
            f"{event.running:.3f}",
            status,
            "" if failure is None else failure.phase,
            "" if failure is None else failure.error,
            json.dumps(names[:MAX_ITEMS] + ["..."] * (len(names) > MAX_ITEMS), ensure_ascii=False),
        )


def moment(seconds: float) -> str:
    """A moment since the epoch, in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")

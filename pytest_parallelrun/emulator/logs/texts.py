"""The texts among the logs: result, progress, errors, and what is where."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.events import (
    AttemptEnded,
    MiniBatchEnded,
    Progress,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from pytest_parallelrun.emulator.worker_plan import instance_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_parallelrun.emulator.events import Failure
    from pytest_parallelrun.emulator.result import JobResult

TICK = 10.0
"""Seconds between two lines of progress (recorded run)."""

README = """\
What is where, as on the service:

job_result.txt                              the result of the job and its counts
job_progress_overview.<time>.txt            how it went on
job_error.<time>.txt                        why it failed, where it did
sys/job_report/processed_mini-batches.csv   a line for each attempt at a mini-batch
user/error.txt                              the errors of the script, each once
user/error/<instance>/processNNN.txt        the errors in one worker, with their tracebacks
user/stdout/<instance>/processNNN.stdout.txt    what the worker printed
user/stderr/<instance>/processNNN.stderr.txt    the same for stderr
user/entry_script_log/<instance>/processNNN.*   what the script wrote through EntryScript().logger

<instance> stands where the service has the id of a node. Not written, since it says nothing here: sys/node,
sys/perf, sys/master_role, process_summary.csv and node_summary.csv.
"""


def write_texts(logs: Path, result: JobResult, began: float) -> None:
    """Writes them. began: seconds since the epoch."""
    stamp = datetime.fromtimestamp(began, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    _write(logs / "readme.txt", README)
    _write(logs / "job_result.txt", f"{_summary(result)}\n\n{result.explain()}\n")
    _write(logs / f"job_progress_overview.{stamp}.txt", "\n".join(_overview(result)) + "\n")
    if result.status == "Failed":
        _write(logs / f"job_error.{stamp}.txt", f"{result.reason}\n")
    errors = list(_errors(result))
    if errors:
        counts = Counter(failure.error for _, _, failure in errors)
        _write(logs / "user" / "error.txt", "".join(f"{count} x {error}\n" for error, count in counts.most_common()))
    instances = _instances(result)
    by_worker: dict[Path, list[str]] = {}
    for worker, what, failure in errors:
        place = logs / "user" / "error" / instance_name(instances.get(worker, 0)) / f"process{worker:03d}.txt"
        by_worker.setdefault(place, []).append(f"{what}: {failure.error}\n{failure.traceback}".rstrip() + "\n\n")
    for place, texts in by_worker.items():
        _write(place, "".join(texts))


def _summary(result: JobResult) -> str:
    items = result.succeeded_items + result.failed_items
    return (
        f"The job {'completed' if result.status == 'Completed' else 'failed'}. There are {result.total_mini_batches} "
        f"mini batches with {result.total_items} items. Processed {result.processed_mini_batches} mini batches "
        f"containing {items} items, {result.succeeded_items} succeeded, {result.failed_items} failed. The error "
        f"threshold is {result.settings.error_threshold}."
    )


def _overview(result: JobResult) -> Iterator[str]:
    yield "Start scheduling."
    yield (f"Scheduling finished. There are {result.total_mini_batches} tasks with {result.total_items} items.")
    processed, due, now = 0, TICK, 0.0
    for event in result.events:
        if isinstance(event, AttemptEnded):
            now = max(now, event.started + event.loading + event.running)
            while now >= due:
                yield str(Progress(processed, result.total_mini_batches, due))
                due += TICK
        elif isinstance(event, MiniBatchEnded):
            processed += 1
    yield str(Progress(processed, result.total_mini_batches, result.duration))


def _errors(result: JobResult) -> Iterator[tuple[int, str, Failure]]:
    """Worker, what failed in it, and the failure, of everything that did."""
    for event in result.events:
        if isinstance(event, AttemptEnded) and event.failure is not None:
            yield event.worker, f"mini-batch {event.mini_batch.id}, attempt {event.number}", event.failure
        elif isinstance(event, (WorkerFailed, WorkerStopped)) and event.failure is not None:
            yield event.worker, event.failure.phase, event.failure


def _instances(result: JobResult) -> dict[int, int]:
    return {event.worker: event.instance for event in result.events if isinstance(event, (WorkerStarted, WorkerFailed))}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that is no UTF-8 is told by its bytes.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")

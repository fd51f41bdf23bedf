"""The logs of a job, laid out like those of the service.

Sources: the article on debugging the ParallelRunStep, the troubleshooting guide of batch endpoints.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.events import (
    AttemptEnded,
    Failure,
    MiniBatchEnded,
    Outcome,
    Progress,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from pytest_parallelrun.emulator.folders import make_folder
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.worker_plan import instance_name

LOGS = "logs"
"""The name of that folder on the service."""

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

ATTEMPT_COLUMNS = (
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
"""Status names of the service (performance tuning guide of the ParallelRunStep)."""

STATUS: dict[Outcome, str] = {
    "succeeded": "RUN_DONE",
    "short": "RUN_DONE",
    "exception": "RUN_EXCEPTION",
    "wrong_type": "RUN_EXCEPTION",
    "timeout": "RUN_TIMEOUT",
    "crashed": "RUN_CRASHED",
    "load_error": "LOAD_EXCEPTION",
}
"""RUN_CRASHED and LOAD_EXCEPTION are names of this emulator: those of the service are unknown."""

MAX_ITEMS = 10
"""Maximum items of a mini-batch that are named."""


def usable_logs(folder: Path) -> Path:
    """The folder of the logs. InputError if it contains those of another job."""
    make_folder(folder, f"logs '{folder}'")
    if (folder / LOGS).exists() and os.listdir(folder / LOGS):
        raise InputError(f"logs '{folder / LOGS}' exists already and is never overwritten: use an empty folder.")
    return folder / LOGS


def write_logs(logs: Path, result: JobResult, began: float) -> tuple[str, ...]:
    """Writes the final logs of a job, next to those of its workers; returns notes of what went wrong.

    began: seconds since the epoch.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
        _write_texts(logs, result, began)
        _write_attempts(logs / "sys" / "job_report", result, began)
    except OSError as error:
        return (f"the logs in '{logs}' are not complete: {error}",)
    return ()


def _write_texts(logs: Path, result: JobResult, began: float) -> None:
    stamp = datetime.fromtimestamp(began, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    _write(logs / "readme.txt", README)
    _write(logs / "job_result.txt", f"{_summary(result)}\n\n{result.explain()}\n")
    _write(logs / f"job_progress_overview.{stamp}.txt", "\n".join(_overview(result)) + "\n")
    if result.status == "Failed":
        _write(logs / f"job_error.{stamp}.txt", f"{result.reason}\n")
    errors = list(_errors(result))
    if errors:
        first = {(outcome, failure.kind): failure.error for _, outcome, _, failure in reversed(errors)}
        counts = Counter((outcome, failure.kind) for _, outcome, _, failure in errors).most_common()
        _write(logs / "user" / "error.txt", "".join(f"{count} x {first[kind]}\n" for kind, count in counts))
    instances = _instances(result)
    by_worker: dict[Path, list[str]] = {}
    for worker, _, step, failure in errors:
        path = logs / "user" / "error" / instance_name(instances.get(worker, 0)) / f"process{worker:03d}.txt"
        by_worker.setdefault(path, []).append(f"{step}: {failure.error}\n{failure.traceback}".rstrip() + "\n\n")
    for path, texts in by_worker.items():
        _write(path, "".join(texts))


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


def _errors(result: JobResult) -> Iterator[tuple[int, str, str, Failure]]:
    """Worker, how it ended, failed step and failure of all workers that failed."""
    for event in result.events:
        if isinstance(event, AttemptEnded) and event.failure is not None:
            yield (
                event.worker,
                event.outcome,
                f"mini-batch {event.mini_batch.id}, attempt {event.number}",
                event.failure,
            )
        elif isinstance(event, (WorkerFailed, WorkerStopped)) and event.failure is not None:
            yield event.worker, "", event.failure.phase, event.failure


def _instances(result: JobResult) -> dict[int, int]:
    return {event.worker: event.instance for event in result.events if isinstance(event, (WorkerStarted, WorkerFailed))}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that is not UTF-8 is shown by its bytes.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _write_attempts(folder: Path, result: JobResult, began: float) -> None:
    """processed_mini-batches.csv: a line for each attempt."""
    folder.mkdir(parents=True, exist_ok=True)
    # A name that is not UTF-8 is shown by its bytes.
    path = folder / "processed_mini-batches.csv"
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(ATTEMPT_COLUMNS)
        writer.writerows(_attempt_rows(result, began))


def _attempt_rows(result: JobResult, began: float) -> Iterator[tuple[object, ...]]:
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
            _moment(began + started.get(event.worker, 0.0)),
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


def _moment(seconds: float) -> str:
    """A time since the epoch, in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")

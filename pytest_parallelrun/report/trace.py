"""The timeline of a job, derived from its events and small enough to be sent and drawn.

Mini-batches become cells and attempts become bars. If there are too many, a cell stands for several consecutive
mini-batches, and a bar for the attempts of one worker in a period.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from pytest_parallelrun.emulator.events import AttemptEnded, MiniBatchEnded, Outcome, WorkerFailed, WorkerStarted

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.result import JobResult

MAX_CELLS = 1000
MAX_BARS = 1000
MAX_LANES = 40
"""Workers that have a lane of their own; attempts of the others are counted."""
MAX_LOSSES = 5000
"""Mini-batches that failed, lost items or were tried again, each of which is told."""
MAX_STEPS = 500
MAX_STRETCHES, MIN_STRETCHES = 100, 25
"""Periods in a lane, if there are too many attempts to draw each."""
MAX_TEXT_LENGTH = 200
"""Characters of names and errors."""

CellState = Literal["succeeded", "retried", "short", "failed", "unfinished"]
"""Of a mini-batch: succeeded at once; after a failed attempt; with failed items; failed; not ended with the job."""
WORST: Sequence[CellState] = ("failed", "short", "unfinished", "retried", "succeeded")
WORST_OUTCOME: Sequence[Outcome] = (
    "crashed",
    "timeout",
    "exception",
    "wrong_type",
    "load_error",
    "short",
    "succeeded",
)


@dataclass(kw_only=True)
class TraceCell:
    """One mini-batch, or `count` of them from `first` on; numbers are sums, seconds that of the longest attempt.

    items: None for a mini-batch that was never started.
    states: number in each state; `state` is the worst of them. error: of the last failed attempt.
    """

    first: int
    count: int
    state: CellState = "unfinished"
    items: int | None = None
    failed_items: int = 0
    attempts: int = 0
    seconds: float | None = None
    names: str = ""
    error: str = ""
    states: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One attempt, or the `attempts` of a worker in a period; times in seconds from the start of the job.

    mini_batch, number: of a single attempt, otherwise None. outcome: the worst of several, which `outcomes` counts.
    """

    worker: int
    started: float
    seconds: float
    outcome: Outcome
    attempts: int = 1
    mini_batch: int | None = None
    number: int | None = None
    error: str = ""
    outcomes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One worker: when it started, the time of import and init(), and the error if they failed."""

    worker: int
    instance: int
    started: float
    seconds: float
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Counts against the thresholds after a number of attempts."""

    attempts: int
    failed_items: int
    failed_mini_batches: int


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A mini-batch that failed, lost items or was tried again, and its last failure.

    kind: the exception, or the outcome of the attempt where there was none.
    """

    mini_batch: int
    state: CellState
    kind: str
    items: int
    failed_items: int
    attempts: int
    names: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The course of one job. per_cell: mini-batches in a cell. workers: all, with those that have no lane.

    losses: the first of them, those that failed before others; total_losses: how many there are.
    """

    kind: str
    timeout: float
    max_retries: int
    error_threshold: int
    mini_batch_error_threshold: int
    allowed_failed_percent: float
    total_mini_batches: int
    total_attempts: int
    duration: float
    per_cell: int
    workers: int
    total_losses: int
    losses: tuple[Loss, ...]
    cells: tuple[TraceCell, ...]
    bars: tuple[Bar, ...]
    lanes: tuple[Lane, ...]
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Trace:
        parts = {"losses": Loss, "cells": TraceCell, "bars": Bar, "lanes": Lane, "steps": Step}
        made = {name: tuple(kind(**each) for each in values[name]) for name, kind in parts.items()}  # type: ignore[attr-defined]
        return cls(**{**values, **made})  # type: ignore[arg-type]


def trace_of(result: JobResult, names: Callable[[AttemptEnded], str], readable: Callable[[str], str] = str) -> Trace:
    """names: the items of an attempt's mini-batch as text. readable: an error, for example with shorter paths."""
    settings = result.settings
    attempts = result.attempts
    lanes = _lanes(result, readable)
    per_cell = max(1, -(-result.total_mini_batches // MAX_CELLS))
    losses = sorted(_losses(result, names, readable), key=lambda loss: (WORST.index(loss.state), loss.mini_batch))
    return Trace(
        kind=result.splitter_kind or "files",
        timeout=float(settings.timeout),
        max_retries=settings.max_retries,
        error_threshold=settings.error_threshold,
        mini_batch_error_threshold=settings.mini_batch_error_threshold,
        allowed_failed_percent=settings.allowed_failed_percent,
        total_mini_batches=result.total_mini_batches,
        total_attempts=len(attempts),
        duration=result.duration,
        per_cell=per_cell,
        workers=len(lanes),
        total_losses=len(losses),
        losses=tuple(losses[:MAX_LOSSES]),
        cells=tuple(_cells(result, per_cell, names, readable)),
        bars=tuple(_bars(attempts, {lane.worker for lane in lanes[:MAX_LANES]}, readable)),
        lanes=tuple(lanes[:MAX_LANES]),
        steps=tuple(_steps(result)),
    )


def _cells(
    result: JobResult, per_cell: int, names: Callable[[AttemptEnded], str], readable: Callable[[str], str]
) -> list[TraceCell]:
    total = result.total_mini_batches
    cells = [TraceCell(first=first, count=min(per_cell, total - first)) for first in range(0, total, per_cell)]
    failed_before: set[int] = set()
    for event in result.events:
        if isinstance(event, AttemptEnded):
            cell = cells[event.mini_batch.id // per_cell]
            if not cell.attempts or per_cell == 1:
                cell.names = _cut(names(event))
            cell.attempts += 1
            cell.seconds = max(cell.seconds or 0.0, event.running)
            if event.outcome != "succeeded":
                failed_before.add(event.mini_batch.id)
            cell.error = _error(event, readable) or cell.error
            if per_cell == 1:
                cell.items = event.mini_batch.size
        elif isinstance(event, MiniBatchEnded):
            cell = cells[event.mini_batch.id // per_cell]
            cell.items = event.mini_batch.size + (0 if per_cell == 1 else cell.items or 0)
            cell.failed_items += event.failed
            state = _state(event, retried=event.mini_batch.id in failed_before)
            cell.states[state] = cell.states.get(state, 0) + 1
    for cell in cells:
        unfinished = cell.count - sum(cell.states.values())
        if unfinished:
            cell.states["unfinished"] = unfinished
        cell.state = next(state for state in WORST if state in cell.states)
    return cells


def _losses(result: JobResult, names: Callable[[AttemptEnded], str], readable: Callable[[str], str]) -> Iterator[Loss]:
    last: dict[int, AttemptEnded] = {}
    for event in result.events:
        if isinstance(event, AttemptEnded) and event.outcome != "succeeded":
            last[event.mini_batch.id] = event
        elif isinstance(event, MiniBatchEnded) and event.mini_batch.id in last:
            attempt = last.pop(event.mini_batch.id)
            state = _state(event, retried=True)
            yield Loss(
                mini_batch=event.mini_batch.id,
                state=state,
                kind=(attempt.failure and attempt.failure.exception) or attempt.outcome,
                items=event.mini_batch.size,
                failed_items=event.failed,
                attempts=attempt.number + (state == "retried"),
                names=_cut(names(attempt)),
                error=_error(attempt, readable),
            )


def _state(event: MiniBatchEnded, *, retried: bool) -> CellState:
    if event.status == "failed":
        return "failed"
    if event.failed:
        return "short"
    return "retried" if retried else "succeeded"


def _lanes(result: JobResult, readable: Callable[[str], str]) -> list[Lane]:
    lanes: dict[int, Lane] = {}
    for event in result.events:
        if isinstance(event, (WorkerStarted, WorkerFailed)):
            error = "" if isinstance(event, WorkerStarted) else _cut(readable(event.failure.error))
            lanes[event.worker] = Lane(
                worker=event.worker,
                instance=event.instance,
                started=event.started,
                seconds=event.duration,
                error=error,
            )
    return [lanes[worker] for worker in sorted(lanes)]


def _bars(attempts: Sequence[AttemptEnded], shown: set[int], readable: Callable[[str], str]) -> Iterator[Bar]:
    if len(attempts) <= MAX_BARS:
        for attempt in attempts:
            if attempt.worker in shown:
                yield Bar(
                    worker=attempt.worker,
                    started=attempt.started,
                    seconds=attempt.loading + attempt.running,
                    outcome=attempt.outcome,
                    mini_batch=attempt.mini_batch.id,
                    number=attempt.number,
                    error=_error(attempt, readable),
                )
        return
    stretches = max(MIN_STRETCHES, min(MAX_STRETCHES, MAX_BARS // max(1, len(shown))))
    stretch = max(_end(attempt) for attempt in attempts) / stretches or 1.0
    grouped: dict[tuple[int, int], list[AttemptEnded]] = {}
    for attempt in attempts:
        if attempt.worker in shown:
            number = min(stretches - 1, int(attempt.started / stretch))
            grouped.setdefault((attempt.worker, number), []).append(attempt)
    for (worker, number), some in sorted(grouped.items()):
        outcomes: dict[str, int] = Counter(attempt.outcome for attempt in some)
        worst = next(outcome for outcome in WORST_OUTCOME if outcome in outcomes)
        errors = (_error(attempt, readable) for attempt in some if attempt.outcome == worst and attempt.failure)
        yield Bar(
            worker=worker,
            started=number * stretch,
            seconds=max(stretch, max(map(_end, some)) - number * stretch),
            outcome=worst,
            attempts=len(some),
            error=next(errors, ""),
            outcomes=dict(outcomes),
        )


def _error(attempt: AttemptEnded, readable: Callable[[str], str]) -> str:
    return "" if attempt.failure is None else _cut(readable(attempt.failure.error))


def _end(attempt: AttemptEnded) -> float:
    return attempt.started + attempt.loading + attempt.running


def _steps(result: JobResult) -> list[Step]:
    """The counts after each attempt that changed them, as the rule `threshold_check` reads them."""
    pending = result.settings.rules.threshold_check == "pending"
    steps = [Step(attempts=0, failed_items=0, failed_mini_batches=0)]
    attempts = items = failed = 0
    waiting: set[int] = set()
    for event in result.events:
        if isinstance(event, AttemptEnded):
            attempts += 1
            if event.outcome != "succeeded":
                waiting.add(event.mini_batch.id)
        elif isinstance(event, MiniBatchEnded):
            waiting.discard(event.mini_batch.id)
            items += event.failed
            failed += event.status == "failed"
        else:
            continue
        step = Step(
            attempts=attempts,
            failed_items=items,
            failed_mini_batches=failed + (len(waiting) if pending else 0),
        )
        if steps[-1].attempts == attempts:
            # The attempt and the end of its mini-batch are one step.
            steps.pop()
        steps.append(step)
    counts = [(step.failed_items, step.failed_mini_batches) for step in steps]
    kept = [step for step, now, before in zip(steps, counts, [None, *counts], strict=False) if now != before]
    if len(kept) > MAX_STEPS:
        every = -(-len(kept) // MAX_STEPS)
        kept = [*kept[:-1:every], kept[-1]]
    if kept[-1] is not steps[-1]:
        kept.append(steps[-1])
    return kept


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else text[: MAX_TEXT_LENGTH - 3] + "..."

"""What became of each mini-batch. In a job of a million of them the values are made when they are looked at."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, overload

from pytest_parallelrun.emulator.events import AttemptEnded, MiniBatchEnded, MiniBatchStatus, Outcome

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.event_log import EventLog
    from pytest_parallelrun.emulator.splitting.model import MiniBatch


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One call of run() for a mini-batch.

    number: from 1; a second delivery of the same attempt has the same number. worker: number of the worker,
    from 0. returned: count of results, None when there were none of a legal type. duration: seconds in run().
    error: one line, None when all went well. traceback: with the user's own frames, or "".
    """

    number: int
    worker: int
    outcome: Outcome
    returned: int | None
    duration: float
    error: str | None
    phase: str | None = None
    traceback: str = ""
    started: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MiniBatchResult:
    """One mini-batch: `size`, `succeeded` and `failed` count its items.

    status "unfinished": the job ended first; it counts nowhere and keeps its attempts.
    """

    id: int
    size: int
    status: MiniBatchStatus
    succeeded: int
    failed: int
    attempts: tuple[Attempt, ...]


class MiniBatchResults(Sequence[MiniBatchResult]):
    """A sequence of MiniBatchResult, by their ids; equal to any sequence of equal ones.

    batches: gives all mini-batches, for those to which nothing happened.
    """

    def __init__(self, events: EventLog, batches: Callable[[], Sequence[MiniBatch]], total: int) -> None:
        self._events = events
        self._batches = batches
        self._total = total
        self._unused: Sequence[MiniBatch] | None = None
        self._attempts: dict[int, list[AttemptEnded]] = {}
        self._ends: dict[int, MiniBatchEnded] = {}
        for event in events.others:
            if isinstance(event, AttemptEnded):
                self._attempts.setdefault(event.mini_batch.id, []).append(event)
            elif isinstance(event, MiniBatchEnded):
                self._ends[event.mini_batch.id] = event
        # Mini-batches that were taken out of another job keep the ids of that; all others are numbered from 0.
        pair_ids = events.pair_ids()
        highest = max(chain(pair_ids, self._attempts, self._ends), default=-1)
        self._ids: Sequence[int] = range(total) if highest < total else [batch.id for batch in batches()]
        # A succeeded mini-batch has one pair, or attempts before it, or neither.
        self._pairs = array("q", [-1]) * (max(self._ids, default=-1) + 1)
        for pair, number in enumerate(pair_ids):
            self._pairs[number] = pair

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, index: int) -> MiniBatchResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MiniBatchResult]: ...
    def __getitem__(self, index: int | slice) -> MiniBatchResult | Sequence[MiniBatchResult]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(self._total)))
        number = index + self._total if index < 0 else index
        if not 0 <= number < self._total:
            raise IndexError(f"there are {self._total} mini-batches, from 0")
        id_of_it = self._ids[number]
        attempts = list(self._attempts.get(id_of_it, ()))
        end = self._ends.get(id_of_it)
        pair = self._pairs[id_of_it]
        if pair >= 0:
            attempts.append(self._events.attempt_of(pair))
            end = self._events.end_of(pair)
        if attempts:
            batch = attempts[0].mini_batch
        elif end is not None:
            batch = end.mini_batch
        else:
            if self._unused is None:
                self._unused = self._batches()
            batch = self._unused[number]
        return MiniBatchResult(
            id=batch.id,
            size=batch.size,
            status="unfinished" if end is None else end.status,
            succeeded=0 if end is None else end.succeeded,
            failed=0 if end is None else end.failed,
            attempts=tuple(_attempt(event) for event in attempts),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (MiniBatchResults, tuple, list)) and tuple(self) == tuple(other)

    def __repr__(self) -> str:
        return repr(tuple(self))


def _attempt(event: AttemptEnded) -> Attempt:
    failure = event.failure
    return Attempt(
        number=event.number,
        worker=event.worker,
        outcome=event.outcome,
        returned=event.returned,
        duration=event.running,
        error=None if failure is None else failure.error,
        phase=None if failure is None else failure.phase,
        traceback="" if failure is None else failure.traceback,
        started=event.started,
    )

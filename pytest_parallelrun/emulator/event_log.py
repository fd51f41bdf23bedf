"""The events of a job, possibly millions: attempts that succeeded at once are kept in columns, others in full."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from pytest_parallelrun.emulator.events import AttemptEnded, Event, MiniBatchEnded, MiniBatchStatus, Outcome
from pytest_parallelrun.emulator.output import size_of
from pytest_parallelrun.emulator.splitting.model import LazySequence, MiniBatch, Partition

NOT_KEPT = object()
"""In place of results that would take too much memory."""

FIRST_MEASURED, MEASURED_EVERY = 100, 8
"""Results that are measured: the first ones, then some."""


class KeptResults:
    """Which results are kept: all up to half of `most_bytes`, then every 2nd, every 4th, and so on."""

    STEPS = 8

    def __init__(self, most_bytes: int | None) -> None:
        self._most = most_bytes
        self._used = 0

    def of(self, attempt: AttemptEnded) -> object:
        """The results of an attempt, or NOT_KEPT."""
        if self._most is None or attempt.returned is None:
            return attempt.value
        number, half = attempt.mini_batch.id, self._most // 2
        every = 1 << max(0, -(-(self._used - half) * self.STEPS // half))
        if self._used >= self._most or number % every:
            return NOT_KEPT
        weight = 1 if number < FIRST_MEASURED * every else MEASURED_EVERY
        if number // every % weight == 0:
            self._used += weight * size_of(attempt.value)
        return attempt.value


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One call of run() for a mini-batch.

    number: from 1; a second delivery has the same number. worker: number of the worker, from 0. returned: number of
    results, None if the type is invalid. duration: seconds in run(). error: one line, None if there is none. traceback:
    with the user's own frames, or "".
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

    status "unfinished": the job ended first; it is not counted and keeps its attempts.
    """

    id: int
    size: int
    status: MiniBatchStatus
    succeeded: int
    failed: int
    attempts: tuple[Attempt, ...]


class MiniBatchResults(LazySequence[MiniBatchResult]):
    """A sequence of MiniBatchResult, by their ids.

    batches: returns all mini-batches, for those without events.
    """

    noun = "mini-batches"

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
        # Mini-batches taken from another job keep their ids; all others are numbered from 0.
        pair_ids = events.pair_ids()
        highest = max(chain(pair_ids, self._attempts, self._ends), default=-1)
        self._ids: Sequence[int] = range(total) if highest < total else [batch.id for batch in batches()]
        # A succeeded mini-batch has one pair, or attempts before it, or neither.
        self._pairs = array("q", [-1]) * (max(self._ids, default=-1) + 1)
        for pair, number in enumerate(pair_ids):
            self._pairs[number] = pair

    def __len__(self) -> int:
        return self._total

    def _made(self, number: int) -> MiniBatchResult:
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

    def ended_alike(self, id: int) -> bool:
        """Whether all attempts at a mini-batch ended in the same way, if not with the same text."""
        return len({(it.outcome, it.failure and it.failure.kind) for it in self._attempts.get(id, ())}) == 1


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


class EventLog(LazySequence[Event]):
    """A growing sequence of events.

    An attempt that succeeded and the end of its mini-batch are a *pair*: both events are created on demand, without
    `written`, which the job has used by then. capped: pairs with more results than items. longest_loading, longest:
    seconds, the maximum of all pairs for loading alone and with run(). kept_bytes: about how much memory results may
    take; None for any.
    """

    noun = "events"

    def __init__(self, kept_bytes: int | None = None) -> None:
        self._kept = KeptResults(kept_bytes)
        self.capped = 0
        self.longest_loading = 0.0
        self.longest = 0.0
        self._ids = array("q")
        self._sizes = array("q")
        self._first_items = array("q")
        self._numbers = array("q")
        self._workers = array("q")
        self._returned = array("q")
        self._started = array("d")
        self._loading = array("d")
        self._running = array("d")
        self._values: list[object] = []
        self._positions: dict[int, object] = {}
        self._partitions: dict[int, Partition] = {}
        self.others: list[Event] = []
        """The events outside pairs."""
        self._other_positions = array("q")
        """Index of each of them in the whole sequence."""

    def append(self, event: Event) -> None:
        if isinstance(event, AttemptEnded):
            event = event._replace(value=self._kept.of(event))
        self._other_positions.append(2 * len(self._ids) + len(self.others))
        self.others.append(event)

    def extend(self, events: Sequence[Event]) -> None:
        for event in events:
            self.append(event)

    def append_pair(self, attempt: AttemptEnded) -> None:
        """Adds a mini-batch that ended with this attempt: no fault, and all its items succeeded."""
        batch, loading, running = attempt.mini_batch, attempt.loading, attempt.running
        assert attempt.returned is not None
        if attempt.returned > batch.size:
            self.capped += 1
        if loading > self.longest_loading:
            self.longest_loading = loading
        if loading + running > self.longest:
            self.longest = loading + running
        if batch.position is not None:
            self._positions[len(self._ids)] = batch.position
        if batch.partition:
            self._partitions[len(self._ids)] = batch.partition
        self._ids.append(batch.id)
        self._sizes.append(batch.size)
        self._first_items.append(batch.first_item)
        self._numbers.append(attempt.number)
        self._workers.append(attempt.worker)
        self._returned.append(attempt.returned)
        self._started.append(attempt.started)
        self._loading.append(loading)
        self._running.append(running)
        self._values.append(self._kept.of(attempt))

    @property
    def pairs(self) -> int:
        return len(self._ids)

    def pair_ids(self) -> Sequence[int]:
        return self._ids

    def ends(self) -> Iterator[MiniBatchEnded]:
        """The ends of mini-batches that are not in pairs: only these can have lost items."""
        return (event for event in self.others if isinstance(event, MiniBatchEnded))

    def attempt_of(self, pair: int) -> AttemptEnded:
        return AttemptEnded(
            mini_batch=self._batch(pair),
            number=self._numbers[pair],
            worker=self._workers[pair],
            outcome="succeeded",
            returned=self._returned[pair],
            value=self._values[pair],
            started=self._started[pair],
            loading=self._loading[pair],
            running=self._running[pair],
            failure=None,
            fault=None,
        )

    def end_of(self, pair: int) -> MiniBatchEnded:
        return MiniBatchEnded(self._batch(pair), "succeeded", self._sizes[pair], 0)

    def _batch(self, pair: int) -> MiniBatch:
        return MiniBatch(
            id=self._ids[pair],
            size=self._sizes[pair],
            first_item=self._first_items[pair],
            position=self._positions.get(pair),
            partition=self._partitions.get(pair, ()),
        )

    def attempts(self) -> Iterator[AttemptEnded]:
        """All attempts in order of completion."""
        for each in self._in_order():
            if isinstance(each, int):
                yield self.attempt_of(each)
            elif isinstance(each, AttemptEnded):
                yield each

    def __len__(self) -> int:
        return 2 * len(self._ids) + len(self.others)

    def _made(self, index: int) -> Event:
        before = bisect_left(self._other_positions, index)
        if before < len(self._other_positions) and self._other_positions[before] == index:
            return self.others[before]
        pair, end = divmod(index - before, 2)
        return self.end_of(pair) if end else self.attempt_of(pair)

    def __iter__(self) -> Iterator[Event]:
        for each in self._in_order():
            if isinstance(each, int):
                yield self.attempt_of(each)
                yield self.end_of(each)
            else:
                yield each

    def _in_order(self) -> Iterator[int | Event]:
        """Numbers of pairs, and the other events."""
        pair = 0
        for number, event in enumerate(self.others):
            before = (self._other_positions[number] - number) // 2
            yield from range(pair, before)
            pair = max(pair, before)
            yield event
        yield from range(pair, len(self._ids))

"""The events of a job, of which there may be millions: what went well at once is kept in columns, the rest as it is."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from pytest_parallelrun.emulator.events import AttemptEnded, Event, MiniBatchEnded
from pytest_parallelrun.emulator.splitting.model import MiniBatch

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.splitting.model import Partition


class EventLog(Sequence[Event]):
    """A sequence of events that grows at its end.

    An attempt that succeeded, followed by the end of its mini-batch, is a *pair*: both are made again when they are
    asked for, without `written`, which the job has used by then. capped: pairs with more results than items.
    longest_loading, longest: seconds, the largest of all pairs for loading alone and with run().
    """

    def __init__(self) -> None:
        self.capped = 0
        self.longest_loading = 0.0
        self.longest = 0.0
        self._pending: AttemptEnded | None = None
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
        self._others: list[Event] = []
        self._places = array("q")
        """Index of each of the others in the whole sequence."""

    def append(self, event: Event) -> None:
        if self._pending is not None:
            attempt = self._pending
            if (
                type(event) is MiniBatchEnded
                and event.mini_batch is attempt.mini_batch
                and event.succeeded == event.mini_batch.size
                and event.status == "succeeded"
                and not event.failed
            ):
                self._pending = None
                self._add_pair(attempt)
                return
            self._flush()
        if (
            type(event) is AttemptEnded
            and event.outcome == "succeeded"
            and event.failure is None
            and event.fault is None
            and event.returned is not None
        ):
            self._pending = event
        else:
            self._add_other(event)

    def extend(self, events: Sequence[Event]) -> None:
        for event in events:
            self.append(event)

    def _flush(self) -> None:
        if self._pending is not None:
            event, self._pending = self._pending, None
            self._add_other(event)

    def _add_other(self, event: Event) -> None:
        self._places.append(2 * len(self._ids) + len(self._others))
        self._others.append(event)

    def _add_pair(self, attempt: AttemptEnded) -> None:
        batch, number, worker, _, returned, value, started, loading, running, _, _, _ = attempt
        assert returned is not None
        if returned > batch.size:
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
        self._numbers.append(number)
        self._workers.append(worker)
        self._returned.append(returned)
        self._started.append(started)
        self._loading.append(loading)
        self._running.append(running)
        self._values.append(value)

    @property
    def others(self) -> Sequence[Event]:
        """The events that are in no pair."""
        self._flush()
        return self._others

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self._ids)

    def pair_ids(self) -> Sequence[int]:
        """The mini-batch of each pair."""
        return self._ids

    def attempt_of(self, pair: int) -> AttemptEnded:
        return AttemptEnded(
            self._batch(pair),
            self._numbers[pair],
            self._workers[pair],
            "succeeded",
            self._returned[pair],
            self._values[pair],
            self._started[pair],
            self._loading[pair],
            self._running[pair],
            None,
            None,
        )

    def end_of(self, pair: int) -> MiniBatchEnded:
        return MiniBatchEnded(self._batch(pair), "succeeded", self._sizes[pair], 0)

    def _batch(self, pair: int) -> MiniBatch:
        return MiniBatch(
            self._ids[pair],
            self._sizes[pair],
            self._first_items[pair],
            self._positions.get(pair),
            self._partitions.get(pair, ()),
        )

    def attempts(self) -> Iterator[AttemptEnded]:
        """All attempts in the order in which they ended."""
        return (event for event in self if isinstance(event, AttemptEnded))

    def __len__(self) -> int:
        self._flush()
        return 2 * len(self._ids) + len(self._others)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} events")
        before = bisect_left(self._places, index)
        if before < len(self._places) and self._places[before] == index:
            return self._others[before]
        pair, end = divmod(index - before, 2)
        return self.end_of(pair) if end else self.attempt_of(pair)

    def __iter__(self) -> Iterator[Event]:
        self._flush()
        pair = 0
        for number, event in enumerate(self._others):
            for each in range(pair, (self._places[number] - number) // 2):
                yield self.attempt_of(each)
                yield self.end_of(each)
            pair = max(pair, (self._places[number] - number) // 2)
            yield event
        for each in range(pair, len(self._ids)):
            yield self.attempt_of(each)
            yield self.end_of(each)

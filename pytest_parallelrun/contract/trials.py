"""What run() returns for the mini-batches of the sample, asked of fresh workers in several ways.

The checks on order, history, size and repetition share these observations, as each costs an init().
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.rows import Changing, changing
from pytest_parallelrun.contract.sample import copy_file
from pytest_parallelrun.contract.wording import items_text, rows_text
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.splitting import open_input

if TYPE_CHECKING:
    from pytest_parallelrun.contract.baseline import Baseline
    from pytest_parallelrun.contract.subject import EntryUnderTest
    from pytest_parallelrun.emulator.bench import Bench, Tried
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.splitting.base import InputKind
    from pytest_parallelrun.emulator.splitting.handed import Payload

MOST_GROUPS = 12
MOST_ITEMS = 300
"""Mini-batches of the sample, and items in them, that the checks compare; more would only take more time."""

PROBE_FACTOR = 20
SHORTEST_PROBE = 1.0
"""Seconds."""


class Group(NamedTuple):
    """A mini-batch of the sample that succeeded in the baseline; `id` and `first_item` are what its context tells."""

    id: int
    first_item: int
    payload: Payload
    names: tuple[str, ...]

    def items(self) -> str:
        """Its items, for messages."""
        return items_text(self.names) if isinstance(self.payload, (list, tuple)) else rows_text(self.names)

    def part(self, *positions: int) -> Group:
        """A mini-batch of some of its items, with the same identity."""
        names = tuple(self.names[position] for position in positions)
        if isinstance(self.payload, (list, tuple)):
            chosen: Payload = [self.payload[position] for position in positions]
        else:
            chosen = self.payload.iloc[list(positions)].reset_index(drop=True)  # type: ignore[union-attr]
        return Group(self.id, self.first_item + positions[0], chosen, names)


@dataclass
class Observation:
    """What fresh workers made of mini-batches that they got one after the other."""

    tried: list[tuple[Group, Tried]] = field(default_factory=list)

    def ended(self, group: Group) -> AttemptEnded | None:
        """The last attempt at a mini-batch."""
        return next((tried.ended for other, tried in reversed(self.tried) if other.id == group.id), None)

    def rows(self, group: Group) -> list[object] | None:
        """The rows of the last attempt at a mini-batch; None where it returned nothing legal, or was not made."""
        ended = self.ended(group)
        return None if ended is None or ended.returned is None else as_rows(ended.value)


class Trials:
    """Observations of one entry on a copy of its sample.

    The copy is the same for all, since rows may name paths; what a script did to it is undone before each.
    """

    def __init__(self, entry: EntryUnderTest, baseline: Baseline) -> None:
        self.entry = entry
        self.baseline = baseline
        slowest = max((attempt.running for attempt in baseline.result.attempts), default=0.0)
        self.probe = max(SHORTEST_PROBE, PROBE_FACTOR * slowest)
        """Seconds that a generated attempt may take; the setting `timeout` bounds it too."""

    @property
    def kind(self) -> InputKind:
        return self.entry.kind

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The mini-batches of the sample that succeeded in the baseline; an even choice where there are many."""
        result = self.baseline.result
        good = [batch.id for batch in result.mini_batches if batch.status == "succeeded" and batch.size]
        chosen = set(_evenly(good, MOST_GROUPS))
        self._copy = self.entry.copy_sample()
        splitter = open_input(self._copy.input, self.entry.settings)
        groups: list[Group] = []
        items = 0
        for batch in splitter.mini_batches():
            if batch.id not in chosen or (groups and items + batch.size > MOST_ITEMS):
                continue
            names = tuple(self._copy.without_root(name) for name in splitter.item_names(batch))
            groups.append(Group(batch.id, batch.first_item, cast("Payload", splitter.load(batch)), names))
            items += batch.size
        self._originals = self._files_of(groups)
        return tuple(groups)

    @cached_property
    def forward(self) -> Observation:
        """All groups in order, on one fresh worker."""
        return self.observe(self.groups)

    @cached_property
    def again(self) -> Observation:
        """The same once more: what differs is random."""
        return self.observe(self.groups)

    @cached_property
    def backward(self) -> Observation:
        """All groups in reversed order, on one fresh worker."""
        return self.observe(self.groups[::-1])

    @cached_property
    def changing(self) -> Changing | None:
        """What differs between `forward` and `again`, two identical runs on fresh workers."""
        keys: set[tuple[object, ...]] = set()
        harmless = True
        for group in self.groups:
            first, second = self.forward.rows(group), self.again.rows(group)
            if first is None or second is None:
                continue
            found = changing(first, second)
            if found is not None:
                if found.all_rows:
                    return found
                keys.update(found.keys)
                harmless = harmless and found.harmless
        return Changing(frozenset(keys), harmless=harmless) if keys else None

    def observe(self, groups: Sequence[Group], *, workers: int = 1) -> Observation:
        """Attempts at the groups in this order, by fresh workers in turn. WorkerDown where none comes up."""
        observation = Observation()
        self.restore()
        with self.entry.bench(workers=workers, timeout=self.probe) as bench:
            for position, group in enumerate(groups):
                observation.tried.append((group, attempt(bench, group, worker=position % workers)))
        return observation

    def restore(self) -> None:
        """Puts back files of the copy that a script changed, moved or deleted."""
        for path, (original, stat) in self._originals.items():
            try:
                now = os.stat(path)
            except OSError:
                copy_file(original, path)
                continue
            if (now.st_size, now.st_mtime_ns) != stat:
                os.remove(path)
                copy_file(original, path)

    def _files_of(self, groups: Sequence[Group]) -> dict[str, tuple[str, tuple[int, int]]]:
        """Path in the copy -> a second copy, and size and time of the first."""
        if self.kind != "files":
            return {}
        spare = self.entry.new_folder("spare")
        originals = {}
        for number, path in enumerate(_paths(groups)):
            target = str(spare / str(number))
            copy_file(path, target)
            try:
                stat = os.stat(path)
            except OSError:
                continue
            originals[path] = target, (stat.st_size, stat.st_mtime_ns)
        return originals


def attempt(bench: Bench, group: Group, *, worker: int = 0, number: int = 1) -> Tried:
    """One attempt at a group, with its own identity."""
    return bench.attempt(group.payload, id=group.id, first_item=group.first_item, worker=worker, number=number)


def _paths(groups: Sequence[Group]) -> Iterator[str]:
    for group in groups:
        if isinstance(group.payload, (list, tuple)):
            yield from group.payload


def _evenly(values: Sequence[int], most: int) -> Sequence[int]:
    if len(values) <= most:
        return values
    return [values[position * (len(values) - 1) // (most - 1)] for position in range(most)]

"""Mini-batches of the sample whole and in parts: whether the same items are answered alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.random_numbers import Generators
from pytest_parallelrun.contract.trials import Answer, Group, answer_of

if TYPE_CHECKING:
    from pytest_parallelrun.contract.trials import Trials

MOST_SINGLES = 30
"""Items that are tried alone."""
MOST_MERGED = 8
"""Mini-batches of one item that are tried as a single one."""


class Sizes(NamedTuple):
    """The same items as one mini-batch, and as several: the answers, and how they differ."""

    whole: Group
    parts: tuple[Group, ...]
    together: Answer
    apart: Answer
    told: tuple[str, str]


class Sizing:
    """Asks fresh workers, each for items that it has not seen: an item that comes again is a retry.

    fresh: a new one for each mini-batch, where results depend on what came before.
    """

    def __init__(self, trials: Trials, *, fresh: bool) -> None:
        self._trials = trials
        self._fresh = fresh
        self._next_id = max((batch.id for batch in trials.baseline.result.mini_batches), default=0) + 1
        self.compared = 0

    def first_difference(self) -> Sizes | None:
        """The first whole whose parts are answered differently, as few items as were found."""
        for whole, parts in self._candidates():
            # On fresh workers nothing is kept that could depend on what a mini-batch is called.
            if self._fresh or self._own(whole, parts) is not None:
                found = self._smallest(whole, parts)
                if found is not None:
                    return found
            self.compared += 1
        return None

    def _candidates(self) -> Iterator[tuple[Group, tuple[Group, ...]]]:
        groups = self._trials.groups
        if self._fresh:
            # Each answer costs an init() now.
            yield from islice(_pairs(groups), 1)
            return
        several = [group for group in groups if group.size > 1]
        singles = 0
        for group in several:
            if singles < MOST_SINGLES:
                chosen = group if group.size <= MOST_SINGLES else group.part(*range(MOST_SINGLES))
                singles += chosen.size
                yield chosen, singles_of(chosen)
        if not several and len(groups) > 1:
            yield merged(groups[:MOST_MERGED]), groups[:MOST_MERGED]

    def _smallest(self, whole: Group, parts: tuple[Group, ...]) -> Sizes | None:
        """The difference in two items, or else in all."""
        for pair in (parts[:2], parts[-2:]) if len(parts) > 2 else ():
            found = self._renamed(merged(pair), pair)
            if found is not None:
                return found
        return self._renamed(whole, parts)

    def _own(self, whole: Group, parts: Sequence[Group]) -> tuple[str, str] | None:
        """How the parts are answered differently as mini-batches of their own, as in a job of another size."""
        asked = {group.id for group in self._trials.answered if group.payload is whole.payload}
        forward = self._trials.forward
        together = forward.answer(whole) if whole.id in asked and not self._fresh else None
        together = together or self._ask([whole])
        if together.ended.outcome == "timeout":
            # More items take more time, which says nothing about what they are answered.
            return None
        named = []
        for part in parts:
            self._next_id += 1
            named.append(part.numbered(self._next_id))
        return self._trials.unlike(together, self._ask(named))

    def _renamed(self, whole: Group, parts: Sequence[Group]) -> Sizes | None:
        """The same where the parts are called as the whole: number and first row may be in the rows."""
        together, apart = self._ask([whole]), self._ask(list(_called_as(whole, parts)))
        told = self._trials.unlike(together, apart)
        if told is None or together.ended.outcome == "timeout":
            return None
        return Sizes(whole, tuple(parts), together, apart, told)

    def _ask(self, groups: Sequence[Group]) -> Answer:
        """All rows of the mini-batches, or the first failure."""
        rows: list[object] = []
        self._trials.restore()
        with self._trials.entry.bench(probe=self._trials.probe) as bench:
            for group in groups:
                if self._fresh:
                    bench.renew()
                answer = answer_of(self._trials.attempt(bench, group).ended)
                if answer.rows is None:
                    return answer
                rows.extend(answer.rows)
        return Answer(rows, answer.ended)


def is_drawn(trials: Trials, group: Group) -> bool:
    """Whether random numbers decide on the answer, from a generator of the process or of the script.

    A run() that seeds the generator itself draws the same numbers for whatever comes first.
    """
    answers, states = [], []
    fresh: list[bytes] = []
    for stirred in (False, True):
        trials.restore()
        with Generators() as generators, trials.entry.bench(probe=trials.probe) as bench:
            bench.start()
            generators.remember()
            fresh = fresh or generators.states()
            if stirred:
                generators.stir()
            answers.append(answer_of(trials.attempt(bench, group).ended))
            states.append(generators.states())
        if states[0] == fresh:
            return False
    # Of those that run() drew from, one that ends in the same state wherever it began was seeded by run().
    drawn = [number for number, state in enumerate(states[0]) if state != fresh[number]]
    seeded = any(states[0][number] == states[1][number] for number in drawn if number < len(states[1]))
    return seeded or trials.unlike(*answers) is not None


def _pairs(groups: Sequence[Group]) -> Iterator[tuple[Group, tuple[Group, ...]]]:
    """Two items together and apart."""
    for group in groups:
        if group.size > 1:
            pair = group.part(0, 1)
            yield pair, singles_of(pair)
    if len(groups) > 1:
        yield merged(groups[:2]), tuple(groups[:2])


def singles_of(group: Group) -> tuple[Group, ...]:
    """Each item as a mini-batch."""
    return tuple(group.part(position) for position in range(group.size))


def _called_as(whole: Group, parts: Sequence[Group]) -> Iterator[Group]:
    first_item = whole.first_item
    for part in parts:
        yield part.numbered(whole.id, first_item)
        first_item += part.size


def merged(groups: Sequence[Group]) -> Group:
    """One mini-batch of the items of all, called as the first."""
    first = groups[0]
    names = tuple(name for group in groups for name in group.names)
    if isinstance(first.payload, (list, tuple)):
        return first._replace(payload=[str(path) for group in groups for path in group.payload], names=names)
    import pandas as pd

    frames = [group.payload for group in groups]
    return first._replace(payload=pd.concat(frames, ignore_index=True), names=names)  # type: ignore[arg-type]

"""Mini-batches of the sample whole and in parts: whether the same items are answered alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.entry.mini_batches import merged
from pytest_parallelrun.contract.entry.observations import RunOutcome, SampleMiniBatch, answer_of

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeSession

MAX_SINGLES = 30
"""Items that are tried alone."""
MAX_SUSPECTS = 2
"""Mini-batches that are looked into."""
MAX_MERGED = 8
"""Mini-batches of one item that are tried as a single one."""


class SizeComparison(NamedTuple):
    """The same items as one mini-batch, and as several: the answers, and how they differ."""

    whole: SampleMiniBatch
    parts: tuple[SampleMiniBatch, ...]
    together: RunOutcome
    apart: RunOutcome
    told: tuple[str, str]


class SizeSearch:
    """Asks fresh workers, each for items that it has not seen: an item that comes again is a retry.

    fresh: a new one for each mini-batch, where results depend on what came before.
    """

    def __init__(self, trials: Observations, *, fresh: bool) -> None:
        self._trials = trials
        self._fresh = fresh
        self._next_id = max((batch.id for batch in trials.baseline.result.mini_batches), default=0) + 1
        self.compared = 0

    def first_difference(self) -> SizeComparison | None:
        """The first whole whose parts are answered differently, as few items as were found."""
        groups = self._trials.groups
        if self._fresh:
            # Each answer costs an init() now, and nothing is kept that could depend on what a mini-batch is called.
            for whole, parts in islice(_pairs(groups), 1):
                self.compared += 1
                return self._renamed(whole, parts)
            return None
        several = [group for group in groups if group.size > 1]
        suspects = self._unlike_singles(several) if several else self._unlike_merged(groups)
        for whole, parts in suspects[:MAX_SUSPECTS]:
            if self._own(whole, parts) is not None:
                found = self._smallest(whole, parts)
                if found is not None:
                    return found
        return None

    def _unlike_singles(
        self, groups: Sequence[SampleMiniBatch]
    ) -> list[tuple[SampleMiniBatch, tuple[SampleMiniBatch, ...]]]:
        """Mini-batches whose items one worker answers differently one by one, though they are called as the whole."""
        trials, found, singles = self._trials, [], 0
        trials.restore()
        with trials.entry.bench(probe=trials.probe) as bench:
            for group in groups:
                if singles >= MAX_SINGLES:
                    break
                whole = group if group.size <= MAX_SINGLES else group.part(*range(MAX_SINGLES))
                # What is cut is another mini-batch than the one that was observed.
                together = trials.forward.answer(whole) if whole is group else self._ask([whole])
                parts = singles_of(whole)
                singles += len(parts)
                self.compared += 1
                if trials.unlike(together, self._all(bench, list(_called_as(whole, parts)))) is not None:
                    found.append((whole, parts))
        return found

    def _unlike_merged(
        self, groups: tuple[SampleMiniBatch, ...]
    ) -> list[tuple[SampleMiniBatch, tuple[SampleMiniBatch, ...]]]:
        """Mini-batches of one item each as a single one, if that is answered differently."""
        parts = groups[:MAX_MERGED]
        if len(parts) < 2:
            return []
        self.compared += 1
        return [(merged(parts), parts)]

    def _smallest(self, whole: SampleMiniBatch, parts: tuple[SampleMiniBatch, ...]) -> SizeComparison | None:
        """The difference in two items, or else in all."""
        for pair in (parts[:2], parts[-2:]) if len(parts) > 2 else ():
            found = self._renamed(merged(pair), pair)
            if found is not None:
                return found
        return self._renamed(whole, parts)

    def _own(self, whole: SampleMiniBatch, parts: Sequence[SampleMiniBatch]) -> tuple[str, str] | None:
        """How the parts are answered differently as mini-batches of their own, as in a job of another size."""
        forward = self._trials.forward
        if any(part is group for part in parts for group in self._trials.groups):
            together = self._ask([whole])
            apart = _joined([answer for part in parts if (answer := forward.answer(part)) is not None])
        else:
            known = forward.answer(whole) if any(whole is group for group in self._trials.groups) else None
            together = known or self._ask([whole])
            named = []
            for part in parts:
                self._next_id += 1
                named.append(part.numbered(self._next_id))
            apart = self._ask(named)
        # More items take more time, which says nothing about what they are answered.
        return None if together.ended.outcome == "timeout" else self._trials.unlike(together, apart)

    def _renamed(self, whole: SampleMiniBatch, parts: Sequence[SampleMiniBatch]) -> SizeComparison | None:
        """The same where the parts are called as the whole: number and first row may be in the rows."""
        together, apart = self._ask([whole]), self._ask(list(_called_as(whole, parts)))
        told = self._trials.unlike(together, apart)
        if told is None or together.ended.outcome == "timeout":
            return None
        return SizeComparison(whole, tuple(parts), together, apart, told)

    def _ask(self, groups: Sequence[SampleMiniBatch]) -> RunOutcome:
        """All rows of the mini-batches, or the first failure."""
        self._trials.restore()
        with self._trials.entry.bench(probe=self._trials.probe) as bench:
            return self._all(bench, groups)

    def _all(self, bench: ProbeSession, groups: Sequence[SampleMiniBatch]) -> RunOutcome:
        answers = []
        for group in groups:
            if self._fresh:
                bench.renew()
            answers.append(answer_of(self._trials.attempt(bench, group).ended))
            if answers[-1].rows is None:
                break
        return _joined(answers)


def _joined(answers: Sequence[RunOutcome]) -> RunOutcome:
    """All rows, or the first failure."""
    rows: list[object] = []
    for answer in answers:
        if answer.rows is None:
            return answer
        rows.extend(answer.rows)
    return RunOutcome(rows, answers[-1].ended)


def _pairs(groups: Sequence[SampleMiniBatch]) -> Iterator[tuple[SampleMiniBatch, tuple[SampleMiniBatch, ...]]]:
    """Two items together and apart."""
    for group in groups:
        if group.size > 1:
            pair = group.part(0, 1)
            yield pair, singles_of(pair)
    if len(groups) > 1:
        yield merged(groups[:2]), tuple(groups[:2])


def singles_of(group: SampleMiniBatch) -> tuple[SampleMiniBatch, ...]:
    """Each item as a mini-batch."""
    return tuple(group.part(position) for position in range(group.size))


def _called_as(whole: SampleMiniBatch, parts: Sequence[SampleMiniBatch]) -> Iterator[SampleMiniBatch]:
    first_item = whole.first_item
    for part in parts:
        yield part.numbered(whole.id, first_item)
        first_item += part.size

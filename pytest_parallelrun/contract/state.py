"""Where it comes from that a mini-batch is answered differently after others: what the script keeps between calls.

Forward and backward over the sample show whether it is. Only then further workers are started, to find the smallest
history that shows it, and whether it is kept in memory, in files, or in a generator of random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.random_numbers import Generators
from pytest_parallelrun.contract.trials import Answer, answer_of

if TYPE_CHECKING:
    from pytest_parallelrun.contract.trials import Group, Trials
    from pytest_parallelrun.emulator.bench import Bench

KEPT = "run() keeps something between its calls"
"""The cause that findings of several checks have in common."""

Origin = Literal["memory", "files", "random numbers", "unclear"]


class Dependence(NamedTuple):
    """A mini-batch whose answer depends on those before it.

    before: the mini-batches on the same worker that make the difference, as few as were found. fresh: the answer of a
    fresh worker. warm: the one after `before`. told: both in words, from the first row that differs.
    """

    origin: Origin
    group: Group
    before: tuple[Group, ...]
    fresh: Answer
    warm: Answer
    told: tuple[str, str]


def dependence(trials: Trials) -> Dependence | None:
    """What the answers of the sample depend on beside their items; None where they do not. Asked once."""
    return trials.remember("dependence", lambda: _find(trials))


def _find(trials: Trials) -> Dependence | None:
    asked = trials.asked
    forward, backward = trials.forward, trials.backward
    suspects = [group for group in asked if trials.unlike(forward.answer(group), backward.answer(group))]
    if not suspects:
        return None
    ends = [group for group in suspects if group.id in (asked[0].id, asked[-1].id)]
    return _explain(trials, (ends or suspects)[0])


def _explain(trials: Trials, group: Group) -> Dependence:
    asked = trials.asked
    position = [other.id for other in asked].index(group.id)
    orders = [order for order in (asked[:position], asked[:position:-1]) if order]
    with trials.entry.bench(timeout=trials.probe) as bench, Generators() as generators:
        worker = _SteadyWorker(trials, bench, generators)
        fresh = worker.answer(group)
        drawn = generators.moved()
        found = _shortest(trials, worker, group, fresh, orders)
        if found is None:
            told = _observed(trials, group)
            origin: Origin = "random numbers" if drawn else "unclear"
            return Dependence(origin, group, tuple(orders[0]), fresh, fresh, told)
        before, warm, told = found
        worker.renew()
        later = worker.answer(group)
        # A fresh worker that answers like a warm one found something outside of itself.
        return Dependence("files" if trials.unlike(fresh, later) else "memory", group, before, fresh, warm, told)


def _observed(trials: Trials, group: Group) -> tuple[str, str]:
    told = trials.unlike(trials.forward.answer(group), trials.backward.answer(group))
    assert told is not None
    return told


class _SteadyWorker:
    """Worker 0 of a bench, which finds every generator of random numbers as a fresh worker finds it."""

    def __init__(self, trials: Trials, bench: Bench, generators: Generators) -> None:
        self._trials = trials
        self._bench = bench
        self._generators = generators
        self._workers = 0

    def renew(self) -> None:
        """The next mini-batch is the first one of a new worker, in the same folders."""
        self._trials.restore()
        self._bench.renew()

    def answer(self, *groups: Group) -> Answer:
        """The answer to the last of the mini-batches."""
        for group in groups:
            self._bench.start()
            if self._bench.init_calls != self._workers:
                self._workers = self._bench.init_calls
                self._generators.remember()
            else:
                self._generators.reset()
            tried = self._trials.attempt(self._bench, group)
        return answer_of(tried.ended)


def _shortest(
    trials: Trials, worker: _SteadyWorker, group: Group, fresh: Answer, orders: Sequence[Sequence[Group]]
) -> tuple[tuple[Group, ...], Answer, tuple[str, str]] | None:
    """The fewest mini-batches before `group` that change its answer; None where none do."""
    for before in _histories(orders):
        worker.renew()
        warm = worker.answer(*before, group)
        told = trials.unlike(fresh, warm)
        if told is None:
            continue
        if len(before) == 1 and before[0].size > 1:
            item = before[0].part(0)
            worker.renew()
            warmer = worker.answer(item, group)
            shorter = trials.unlike(fresh, warmer)
            if shorter is not None:
                return (item,), warmer, shorter
        return tuple(before), warm, told
    return None


def _histories(orders: Sequence[Sequence[Group]]) -> Iterator[Sequence[Group]]:
    """One mini-batch alone, then whole orders."""
    yield orders[0][-1:]
    yield from (order for order in orders if len(order) > 1)

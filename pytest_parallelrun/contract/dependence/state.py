"""Where it comes from that a mini-batch is answered differently after others: what the script keeps between calls.

Forward and backward over the sample, and two workers in turn, show whether it is. Only then further workers are
started, to find the smallest history that shows it, and whether it is kept in memory, in files, or in a generator of
random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.dependence.concurrency import side_by_side
from pytest_parallelrun.contract.dependence.randomness import Generators
from pytest_parallelrun.contract.entry.entry_under_test import TooManyInitCalls
from pytest_parallelrun.contract.entry.observations import RunOutcome, answer_of
from pytest_parallelrun.contract.finding import Cause

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.observations import Observation, Observations, SampleMiniBatch
    from pytest_parallelrun.emulator.probe import ProbeSession


KEPT = Cause(kind="run() keeps something between its calls")
"""The cause that findings of several checks have in common."""

Origin = Literal["memory", "files", "random numbers", "unclear"]


class StateDependence(NamedTuple):
    """A mini-batch whose answer depends on those before it.

    before: the mini-batches on the same worker that make the difference, as few as were found. fresh: the answer of a
    fresh worker. warm: the one after `before`. told: both in words, from the first row that differs.
    """

    origin: Origin
    group: SampleMiniBatch
    before: tuple[SampleMiniBatch, ...]
    fresh: RunOutcome
    warm: RunOutcome
    told: tuple[str, str]


def dependence(trials: Observations) -> StateDependence | None:
    """What the answers of the sample depend on beside their items; None where they do not. Asked once."""
    return trials.remember("dependence", lambda: _find(trials))


def _find(trials: Observations) -> StateDependence | None:
    asked = trials.asked
    suspects = _suspects(trials, trials.backward)
    if suspects:
        ends = [group for group in suspects if group.id in (asked[0].id, asked[-1].id)]
        return _explain(trials, (ends or suspects)[0], trials.backward)
    if len(asked) % 2 == 0 or len(asked) == 1:
        return None
    # Backward, all of an odd number have as many before them as forward, or an even number more or fewer: what comes
    # back after every second call goes unseen. Beside a second worker, which takes every other one, it does not; but
    # there it may be the worker, so that one worker alone has to show it too.
    if not _suspects(trials, side_by_side(trials).observation):
        return None
    rotated = trials.observe([*asked[1:], asked[0]])
    suspects = _suspects(trials, rotated)
    return _explain(trials, suspects[0], rotated) if suspects else None


def _suspects(trials: Observations, other: Observation) -> list[SampleMiniBatch]:
    forward = trials.forward
    return [group for group in trials.asked if trials.unlike(forward.answer(group), other.answer(group))]


def _explain(trials: Observations, group: SampleMiniBatch, other: Observation) -> StateDependence:
    """Why `other` answers a mini-batch differently than all of them in order do."""
    asked = trials.asked
    position = [other.id for other in asked].index(group.id)
    orders = [order for order in (asked[:position], asked[:position:-1]) if order]
    with Generators() as generators, trials.entry.bench(probe=trials.probe) as bench:
        worker = _SteadyWorker(trials, bench, generators)
        fresh = _known_fresh(trials, group)
        if fresh is None:
            fresh = worker.answer(group)
            worker.renew()
        found = _shortest(trials, worker, group, fresh, orders)
        if found is None:
            origin: Origin = "random numbers" if generators.moved(bench) else "unclear"
            told = trials.unlike(trials.forward.answer(group), other.answer(group))
            assert told is not None
            return StateDependence(origin, group, tuple(orders[0]), fresh, fresh, told)
        before, warm, told = found
        worker.renew()
        # A fresh worker that answers like a warm one found something outside of itself.
        if trials.unlike(fresh, worker.answer(group)) is not None:
            return StateDependence("files", group, before, fresh, warm, told)
        if len(before) == 1 and before[0].size > 1:
            with suppress(TooManyInitCalls):
                before, warm, told = _one_item(trials, worker, group, fresh, before[0]) or found
        return StateDependence("memory", group, before, fresh, warm, told)


def _known_fresh(trials: Observations, group: SampleMiniBatch) -> RunOutcome | None:
    """The answer of a fresh worker to the first and the last mini-batch, which were observed."""
    if group.id == trials.asked[0].id:
        return trials.forward.answer(group)
    return trials.backward.answer(group) if group.id == trials.asked[-1].id else None


class _SteadyWorker:
    """Worker 0 of a bench, which finds every generator of random numbers as a fresh worker finds it."""

    def __init__(self, trials: Observations, bench: ProbeSession, generators: Generators) -> None:
        self._trials = trials
        self._bench = bench
        self._generators = generators
        self._workers = 0

    def renew(self) -> None:
        """The next mini-batch is the first one of a new worker, in the same folders."""
        self._trials.restore()
        self._bench.renew()

    def answer(self, *groups: SampleMiniBatch) -> RunOutcome:
        """The answer to the last of the mini-batches."""
        for group in groups:
            self._bench.start()
            if self._bench.init_calls != self._workers:
                self._workers = self._bench.init_calls
                self._generators.remember(self._bench)
            else:
                self._generators.reset(self._bench)
            tried = self._trials.attempt(self._bench, group)
        return answer_of(tried.ended)


def _shortest(
    trials: Observations,
    worker: _SteadyWorker,
    group: SampleMiniBatch,
    fresh: RunOutcome,
    orders: Sequence[Sequence[SampleMiniBatch]],
) -> tuple[tuple[SampleMiniBatch, ...], RunOutcome, tuple[str, str]] | None:
    """The fewest mini-batches before `group` that change its answer; None where none do."""
    for before in _histories(orders):
        warm = worker.answer(*before, group)
        told = trials.unlike(fresh, warm)
        if told is not None:
            return tuple(before), warm, told
        worker.renew()
    return None


def _one_item(
    trials: Observations, worker: _SteadyWorker, group: SampleMiniBatch, fresh: RunOutcome, before: SampleMiniBatch
) -> tuple[tuple[SampleMiniBatch, ...], RunOutcome, tuple[str, str]] | None:
    """The same with the first item alone of what came before; None where it takes more."""
    if before.partition:
        return None
    item = before.part(0)
    worker.renew()
    warm = worker.answer(item, group)
    told = trials.unlike(fresh, warm)
    return None if told is None else ((item,), warm, told)


def _histories(orders: Sequence[Sequence[SampleMiniBatch]]) -> Iterator[Sequence[SampleMiniBatch]]:
    """One mini-batch alone, then whole orders."""
    yield orders[0][-1:]
    yield from (order for order in orders if len(order) > 1)


def why_undecided(found: StateDependence) -> str:
    if found.origin == "files":
        return "results depend on files that earlier mini-batches left; see test_independent_of_order"
    if found.origin == "random numbers":
        return (
            "run() draws random numbers from a generator that was seeded once, so each mini-batch gets other ones "
            "after others: its results are random, though every run of the job repeats them. "
            "Seed from the item to make them independent."
        )
    return (
        f"mini-batch {found.group.id} was answered differently in another order, but not when it was asked again: "
        "its results change from run to run"
    )


def named(groups: tuple[SampleMiniBatch, ...]) -> str:
    if len(groups) == 1:
        return f"mini-batch {groups[0].id} ({groups[0].items()})"
    return f"mini-batches {', '.join(str(group.id) for group in groups)}"


def traceback_of(answer: RunOutcome) -> str:
    failure = answer.ended.failure
    return "" if answer.rows is not None or failure is None else failure.traceback


def on_service(why: str) -> str:
    return f"nothing tells: the rows are wrong, and others in the next job, since {why}"


def case_of(trials: Observations, groups: tuple[SampleMiniBatch, ...], expected: RunOutcome) -> Case:
    return Case(
        kind=trials.kind,
        mini_batches=tuple(group.payload for group in groups),
        expected_rows=None if expected.rows is None else tuple(expected.rows),
        ignoring=trials.ignoring,
        identities=tuple((group.id, group.first_item) for group in groups),
        partitions=tuple(group.partition for group in groups),
    )

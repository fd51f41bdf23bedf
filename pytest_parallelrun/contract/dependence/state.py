"""Why a mini-batch gives other results after others: state that the script keeps between calls.

Forward and backward over the sample, and two workers in turn, show whether there is any. Only then further workers find
the smallest history that shows it, and whether it is kept in memory, in files, or in a random generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.dependence.concurrency import side_by_side
from pytest_parallelrun.contract.dependence.randomness import Generators
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import RunOutcome, answer_of
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.phrases import items_text, sentences, shown_for

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import Observation, SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeSession


STATE_KEPT = Cause(kind="run() keeps something between its calls")
"""The common cause of findings of several checks."""
FIX_OF_MISSING = "fix of missing results"
"""The name under which `Observations` know what returns too few results needs."""
RESULTS_KEPT = "results kept"
"""What is remembered where run() returned too few results for that reason."""

Origin = Literal["memory", "files", "random numbers", "unclear"]


class _History(NamedTuple):
    """The mini-batches before another one, and how its answer differs from that of a fresh worker."""

    before: tuple[SampleMiniBatch, ...]
    warm: RunOutcome
    difference: tuple[str, str]


class StateDependence(NamedTuple):
    """A mini-batch whose answer depends on those before it.

    before: the mini-batches on the same worker that make the difference, as few as were found. fresh: the answer of a
    fresh worker. warm: the one after `before`. difference: both as text, from the first row that differs.
    """

    origin: Origin
    mini_batch: SampleMiniBatch
    before: tuple[SampleMiniBatch, ...]
    fresh: RunOutcome
    warm: RunOutcome
    difference: tuple[str, str]

    def before_text(self) -> str:
        """The mini-batches before, as text."""
        if len(self.before) == 1:
            return f"mini-batch {self.before[0].id} ({self.before[0].items()})"
        return f"mini-batches {', '.join(str(mini_batch.id) for mini_batch in self.before)}"

    def why_undecided(self) -> str:
        """Why other checks cannot decide, because their rows may differ for this reason."""
        if self.origin == "files":
            return "results depend on files that earlier mini-batches left; see test_independent_of_order"
        if self.origin == "random numbers":
            return (
                "run() draws random numbers from a generator that was seeded once, so each mini-batch gets other ones "
                "after others: its results are random, though every run of the job repeats them. "
                "Seed from the item to make them independent."
            )
        return (
            f"mini-batch {self.mini_batch.id} gave a different result in another order, but not when it was run "
            "again: its results change from run to run"
        )


def on_service(reason: str, *answers: RunOutcome) -> str:
    """What the service shows if results depend on more than their item. answers: those that may have failed."""
    failed = next((answer for answer in answers if answer.rows is None), None)
    if failed is not None:
        return f"{shown_for(failed.ended.outcome)}. Which mini-batches fail differs from job to job: {reason}"
    return f"no error is raised: rows are wrong, and differ from job to job, because {reason}"


def files_left(observations: Observations, mini_batch: SampleMiniBatch) -> str:
    """The files that run() of a mini-batch leaves where other calls find them, as text; "" if none were seen."""
    run = side_by_side(observations)
    names = sorted(str(file) for file in run.written_for.get(mini_batch.id, ()) if file in run.left)
    return f"Later calls find what run() leaves: {items_text(names, 1)}." if names else ""


def of_left_files(observations: Observations, mini_batch: SampleMiniBatch, finding: Finding) -> Finding:
    """A finding on results that depend on such files, with what they share."""
    return replace(
        finding,
        what=sentences(finding.what, files_left(observations, mini_batch)),
        fix="take what a result needs from its own item, or from files that no run() changes. Give the temporary files "
        "of each item a new folder: with tempfile.TemporaryDirectory() as folder.",
        cause=Cause(kind="run() depends on files of earlier mini-batches"),
    )


def traceback_of(answer: RunOutcome) -> str:
    failure = answer.ended.failure
    return "" if answer.rows is not None or failure is None else failure.traceback


def case_of_history(observations: Observations, mini_batches: Sequence[SampleMiniBatch], expected: RunOutcome) -> Case:
    """Mini-batches after which the last one must give the expected rows."""
    return Case(
        kind=observations.kind,
        mini_batches=tuple(mini_batch.payload for mini_batch in mini_batches),
        expected_rows=None if expected.rows is None else tuple(expected.rows),
        ignoring=observations.ignoring,
        identities=tuple((mini_batch.id, mini_batch.first_item) for mini_batch in mini_batches),
        partitions=tuple(mini_batch.partition for mini_batch in mini_batches),
    )


def dependence(observations: Observations) -> StateDependence | None:
    """What the results of the sample depend on apart from their items, or None; determined once."""
    return observations.remember("dependence", lambda: _find(observations))


def cause_of_losses(observations: Observations) -> Cause | None:
    """Why the job lost items: kept state, if checks found some and a fresh worker returns their results."""
    baseline = observations.baseline
    if observations.recalled(RESULTS_KEPT):
        return STATE_KEPT
    known = observations.recalled("dependence")
    if isinstance(known, StateDependence) and known.origin == "memory":
        lost = {attempt.mini_batch.id for attempt in baseline.losing_attempts}
        for mini_batch in observations.asked:
            orders = (observations.answering.forward, observations.answering.backward)
            if mini_batch.id in lost and any(order.rows(mini_batch) is not None for order in orders):
                return STATE_KEPT
    return baseline.cause_of_losses()


def _find(observations: Observations) -> StateDependence | None:
    if observations.screening.agrees:
        return None
    asked = observations.asked
    suspects = _suspects(observations, observations.backward)
    if suspects:
        ends = [mini_batch for mini_batch in suspects if mini_batch.id in (asked[0].id, asked[-1].id)]
        return _explain(observations, (ends or suspects)[0], observations.backward)
    if len(asked) % 2 == 0 or len(asked) == 1:
        return None
    # Backward, with an odd number of mini-batches each has the same parity of predecessors, so state that returns after
    # every second call is not seen. With a second worker that takes every other one it is; but the worker may be the
    # cause, so one worker alone has to show it too.
    if not _suspects(observations, side_by_side(observations).observation):
        return None
    rotated = observations.observe([*asked[1:], asked[0]])
    suspects = _suspects(observations, rotated)
    return _explain(observations, suspects[0], rotated) if suspects else None


def _suspects(observations: Observations, other: Observation) -> list[SampleMiniBatch]:
    """Mini-batches that give other rows than in order."""
    return [
        mini_batch
        for mini_batch in observations.asked
        if observations.first_difference(observations.forward.answer(mini_batch), other.answer(mini_batch))
    ]


def _explain(observations: Observations, mini_batch: SampleMiniBatch, other: Observation) -> StateDependence:
    """Why `other` gives other rows for a mini-batch than all of them in order."""
    asked = observations.asked
    position = [other.id for other in asked].index(mini_batch.id)
    orders = [order for order in (asked[:position], asked[:position:-1]) if order]
    with Generators() as generators, observations.entry.session(probe_limit=observations.probe_limit) as session:
        worker = _SteadyWorker(observations, session, generators)
        fresh = _known_fresh(observations, mini_batch)
        if fresh is None:
            fresh = worker.answer(mini_batch)
            worker.renew()
        history = _shortest(observations, worker, mini_batch, fresh, orders)
        if history is None:
            difference = observations.first_difference(
                observations.forward.answer(mini_batch), other.answer(mini_batch)
            )
            assert difference is not None
            return StateDependence(
                origin="random numbers" if generators.moved(session) else "unclear",
                mini_batch=mini_batch,
                before=tuple(orders[0]),
                fresh=fresh,
                warm=fresh,
                difference=difference,
            )
        worker.renew()
        # A fresh worker that answers like a warm one found state outside itself.
        in_files = observations.first_difference(fresh, worker.answer(mini_batch)) is not None
        if not in_files and len(history.before) == 1 and history.before[0].size > 1:
            with suppress(TooManyInitCalls):
                history = _one_item(observations, worker, mini_batch, fresh, history.before[0]) or history
        return StateDependence(
            origin="files" if in_files else "memory",
            mini_batch=mini_batch,
            before=history.before,
            fresh=fresh,
            warm=history.warm,
            difference=history.difference,
        )


def _known_fresh(observations: Observations, mini_batch: SampleMiniBatch) -> RunOutcome | None:
    """Answers of a fresh worker to the first and the last mini-batch, which were observed."""
    if mini_batch.id == observations.asked[0].id:
        return observations.forward.answer(mini_batch)
    return observations.backward.answer(mini_batch) if mini_batch.id == observations.asked[-1].id else None


class _SteadyWorker:
    """Worker 0 of a session, with random generators as in a fresh worker."""

    def __init__(self, observations: Observations, session: ProbeSession, generators: Generators) -> None:
        self._observations = observations
        self._session = session
        self._generators = generators
        self._workers = 0

    def renew(self) -> None:
        """Makes the next mini-batch the first one of a new worker, in the same folders."""
        self._observations.restore()
        self._session.renew()

    def answer(self, *mini_batches: SampleMiniBatch) -> RunOutcome:
        """The answer to the last of the mini-batches."""
        for mini_batch in mini_batches:
            self._session.start()
            if self._session.init_calls != self._workers:
                self._workers = self._session.init_calls
                self._generators.remember(self._session)
            else:
                self._generators.reset(self._session)
            result = self._observations.attempt(self._session, mini_batch)
        return answer_of(result.ended)


def _shortest(
    observations: Observations,
    worker: _SteadyWorker,
    mini_batch: SampleMiniBatch,
    fresh: RunOutcome,
    orders: Sequence[Sequence[SampleMiniBatch]],
) -> _History | None:
    """The fewest mini-batches before another one that change its answer; None if none do."""
    for before in _histories(orders):
        warm = worker.answer(*before, mini_batch)
        difference = observations.first_difference(fresh, warm)
        if difference is not None:
            return _History(tuple(before), warm, difference)
        worker.renew()
    return None


def _one_item(
    observations: Observations,
    worker: _SteadyWorker,
    mini_batch: SampleMiniBatch,
    fresh: RunOutcome,
    before: SampleMiniBatch,
) -> _History | None:
    """The same with only the first item of what came before; None if it takes more."""
    if before.partition:
        return None
    worker.renew()
    item = before.part(0)
    warm = worker.answer(item, mini_batch)
    difference = observations.first_difference(fresh, warm)
    return None if difference is None else _History((item,), warm, difference)


def _histories(orders: Sequence[Sequence[SampleMiniBatch]]) -> Iterator[Sequence[SampleMiniBatch]]:
    """Single mini-batches, then whole orders."""
    yield orders[0][-1:]
    yield from (order for order in orders if len(order) > 1)

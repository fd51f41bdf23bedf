"""Rows of the sample differ in two real worker processes.

Emulated workers share one interpreter, with one order of sets and one hash() of a string. So where this check is
selected, the two workers that all checks compare are processes, each with its own PYTHONHASHSEED. That costs no further
init().
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pytest_parallelrun.contract.bounds import MAX_REPEATED
from pytest_parallelrun.contract.check import SkipReason
from pytest_parallelrun.contract.dependence.state import on_service, traceback_of
from pytest_parallelrun.contract.entry.mini_batches import answer_of
from pytest_parallelrun.contract.entry.preconditions import (
    pass_unless_random,
    require_answers,
    skip_without_worker,
    startup_failure,
    why_no_worker,
)
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import shown_for_phase
from pytest_parallelrun.emulator.engines import check_possible
from pytest_parallelrun.emulator.errors import ParallelRunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.mini_batches import RunOutcome, SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import Failure

SEED = "PYTHONHASHSEED"
SEEDS = "1", "2"
"""Of two processes that differ in nothing else."""
FIX_OF_PROCESS = (
    "import and create whatever the script needs in the script itself or in init(): anything else that this process "
    "has is missing on the service"
)


def test_same_in_worker_processes(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """Two real worker processes with different hash seeds give the same rows."""
    __tracebackhide__ = True
    observations, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        require_answers(observations, check)
        if observations.entry.engine == "inprocess":
            observations = _with_processes(observations, check)
        screening = observations.screening
        if screening.pair is None or screening.backward is None:
            if screening.start_error is not None:
                _judge_start(observations, check, screening.start_error[1])
            check.cannot_decide("a third worker does not start, so there is nothing to compare")
        if not screening.agrees:
            mini_batch = next(_differing(observations), None)
            if mini_batch is not None:
                _judge(observations, check, mini_batch)
            else:
                observations.processes_agree = True
        pass_unless_random(observations, check)


def _with_processes(observations: Observations, check: Check) -> Observations:
    """The observations whose first two workers are processes: a new one if others have used emulated workers."""
    __tracebackhide__ = True
    entry = observations.entry
    try:
        check_possible("process", entry.entry, entry.settings)
    except ParallelRunError as error:
        check.cannot_decide(str(error))
    seconds = observations.baseline.busy
    if seconds > MAX_REPEATED:
        check.cannot_decide(
            f"run() takes {seconds:,.0f} s for the sample, and more than {MAX_REPEATED:g} s are not repeated in worker "
            "processes; --parallelrun-engine=process uses them for the whole gate"
        )
    return observations.comparing_processes()


def _judge_start(observations: Observations, check: Check, failure: Failure) -> NoReturn:
    """Fails if a process cannot import the script, as the baseline did; another check reports init()."""
    __tracebackhide__ = True
    again = startup_failure(observations.pair_entry.probe_startup()) if failure.phase != "init" else None
    if again is None or again.phase != failure.phase:
        check.cannot_decide(why_no_worker(failure))
    check.fail(
        Finding(
            what=f"The script can be imported in the process of pytest only: in a worker process {failure.error}",
            location=Location(phase=failure.phase),
            traceback=failure.traceback,
            service=shown_for_phase(failure.phase),
            fix=FIX_OF_PROCESS,
            cause=Cause.of_failure(failure),
        )
    )


def _differing(observations: Observations) -> Iterator[SampleMiniBatch]:
    """Mini-batches to which one of the two processes gave another answer than the third worker."""
    screening = observations.screening
    assert screening.pair is not None
    assert screening.backward is not None
    attempts = screening.pair.observation.attempts
    first = attempts[0][0]
    answers = [(mini_batch, result.ended) for mini_batch, result in attempts]
    for mini_batch, ended in (*answers, *((first, ended) for ended in screening.pair.again)):
        usual = screening.backward.answer(mini_batch) or answer_of(attempts[0][1].ended)
        if observations.first_difference(usual, answer_of(ended)) is not None:
            yield mini_batch


def _judge(observations: Observations, check: Check, mini_batch: SampleMiniBatch) -> None:
    """Asks fresh processes for a mini-batch that differed: fails if the difference is there again."""
    __tracebackhide__ = True
    assert observations.screening.pair is not None
    first, result = observations.screening.pair.observation.attempts[0]
    # It was the first one of its process, which had a seed of its own.
    known = answer_of(result.ended) if mini_batch is first else None
    one = known or _answer_of_process(observations, mini_batch, SEEDS[0])
    other = _answer_of_process(observations, mini_batch, SEEDS[1])
    difference = observations.first_difference(one, other)
    if difference is not None and known is not None:
        one = _answer_of_process(observations, mini_batch, SEEDS[0])
        difference = observations.first_difference(one, other)
    if difference is not None:
        again = (_answer_of_process(observations, mini_batch, seed) for seed in SEEDS)
        changed = [observations.first_difference(*both) is not None for both in zip((one, other), again, strict=True)]
        if any(changed):
            # It changes from run to run.
            return
        observations.cause_of_process = Cause(kind="results depend on the hash seed")
        check.fail(_of_seed(observations, mini_batch, one, other, difference))
    usual = answer_of(observations.observe([mini_batch]).attempts[0][1].ended)
    difference = observations.first_difference(usual, one)
    if difference is None:
        observations.processes_agree = True
        return
    if one.rows is None and usual.rows is not None:
        check.fail(_of_failure(mini_batch, one, difference))
    check.cannot_decide(
        SkipReason(
            f"for mini-batch {mini_batch.id} an emulated worker {difference[0]}, and every worker process "
            f"{difference[1]}",
            workers_differ=True,
        )
    )


def _answer_of_process(observations: Observations, mini_batch: SampleMiniBatch, seed: str) -> RunOutcome:
    """The answer of a fresh process with that hash seed, unless the job sets one."""
    redirected = observations.entry.redirected()
    observations.restore()
    with observations.pair_entry.session(
        probe_limit=observations.process_limit,
        arguments=redirected.arguments,
        environment_variables={SEED: seed, **redirected.environment},
    ) as session:
        return answer_of(observations.attempt(session, mini_batch).ended)


def _of_seed(
    observations: Observations,
    mini_batch: SampleMiniBatch,
    one: RunOutcome,
    other: RunOutcome,
    difference: tuple[str, str],
) -> Finding:
    return Finding(
        what=(
            f"Results depend on the worker process: for mini-batch {mini_batch.id} run() {difference[0]}; in a process "
            f"with another hash seed it {difference[1]}. Both processes gave the same again."
        ),
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
        traceback=traceback_of(other if other.rows is None else one),
        service=on_service("the order of a set and hash() of a string differ in every worker process", one, other),
        fix="sort a set before iterating over it, or use dict.fromkeys(), which keeps the order; use hashlib instead "
        "of hash() of a string",
        cause=observations.cause_of_process,
    )


def _of_failure(mini_batch: SampleMiniBatch, answer: RunOutcome, difference: tuple[str, str]) -> Finding:
    return Finding(
        what=f"run() works in the process of pytest only: for mini-batch {mini_batch.id} it {difference[0]} there; "
        f"in a worker process it {difference[1]}.",
        location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
        traceback=traceback_of(answer),
        service=on_service("every worker is a process of its own", answer),
        fix=FIX_OF_PROCESS,
        cause=Cause.of_attempt(answer.ended),
    )

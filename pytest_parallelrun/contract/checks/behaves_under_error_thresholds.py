"""In generated jobs, a retry loses items or the verdict does not follow from the thresholds."""

from __future__ import annotations

import os
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.dependence.kept_state import KeptState
from pytest_parallelrun.contract.entry.mini_batches import some_of
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.generation.examples import describe, jobs_to_draw, plain_jobs, settings_of_examples
from pytest_parallelrun.contract.generation.expected_counts import predict
from pytest_parallelrun.contract.generation.runner import FIXES, HARMLESS, conclude, require_valid_items
from pytest_parallelrun.contract.phrases import sentences, shown_for
from pytest_parallelrun.emulator.errors import FaultError
from pytest_parallelrun.emulator.splitting.model import PrebuiltInput, count_text
from pytest_parallelrun.strategies import Files

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.generation.examples import JobToTry
    from pytest_parallelrun.contract.generation.runner import ExampleRunner
    from pytest_parallelrun.emulator.events import AttemptEnded, Outcome
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.splitting.model import Partition, Payload

_OUTCOMES: dict[str, Outcome] = {
    "raises": "exception",
    "times_out": "timeout",
    "crashes": "crashed",
    "load_fails": "load_error",
}


@settings_of_examples()
@given(data=st.data())
def test_behaves_under_error_thresholds(
    parallelrun_examples: ExampleRunner, parallelrun_check: Check, data: st.DataObject
) -> None:
    """In generated jobs, counts, retries and verdict follow from the thresholds."""
    __tracebackhide__ = True
    runner = parallelrun_examples
    require_valid_items(runner, parallelrun_check)
    if not runner.edge_cases_pass:
        for plain in plain_jobs(runner):
            conclude(runner, parallelrun_check, partial(_judge, runner, plain))
        runner.edge_cases_pass = True
    job = data.draw(jobs_to_draw(runner), label="job")
    conclude(runner, parallelrun_check, lambda: _judge(runner, job))


def _judge(runner: ExampleRunner, job: JobToTry) -> Finding | None:
    """What is wrong with run() in this job; None if nothing is, or if no time is left."""
    return runner.judged(repr(job), lambda: _try(runner, job))


def _try(runner: ExampleRunner, job: JobToTry) -> Finding | None:
    payload = runner.build(job.recipe)
    if job.bad is not None:
        _make_unreadable(payload, job.bad)
    ends = list(accumulate(job.sizes))
    parts = [some_of(payload, end - size, size) for end, size in zip(ends, job.sizes, strict=True)]
    result = _run(runner, job, parts)
    culprit = _culprit(runner, job, result)
    finding = None
    if culprit is not None:
        finding = _confirmed(runner, job, parts, culprit, result)
    else:
        _hold_against_the_rules(job, parts, result, runner)
    if finding is None:
        runner.discard(payload)
    return finding


def _make_unreadable(payload: Payload, position: int) -> None:
    """Puts a folder in place of the file, which stops root too, unlike permissions."""
    assert isinstance(payload, list)
    path = payload[position]
    os.unlink(path)
    os.mkdir(path)


def _run(runner: ExampleRunner, job: JobToTry, parts: list[Payload]) -> JobResult:
    settings = job.settings.over(runner.observations.entry.settings)
    chosen = settings.replace(instance_count=1, max_concurrency_per_instance=1)
    input = PrebuiltInput(parts, kind=runner.observations.kind, partitions=_partitions(runner, job))
    return runner.run(input, chosen, job.faults)


def _partitions(runner: ExampleRunner, job: JobToTry) -> tuple[Partition, ...]:
    """The context of each mini-batch."""
    return tuple(runner.sample.partition_of(job.part(number)) for number in range(len(job.sizes)))


def _culprit(runner: ExampleRunner, job: JobToTry, result: JobResult) -> AttemptEnded | None:
    """The first attempt without a fault that returned too little."""
    for attempt in result.attempts:
        if attempt.fault is not None and attempt.fault.kind != "drops":
            continue
        allowed = HARMLESS if attempt.mini_batch.id == job.bad_mini_batch else runner.valid_outcomes
        if attempt.fault is not None:
            allowed = allowed | {"short"}
        if attempt.outcome not in allowed:
            return attempt
    return None


def _confirmed(
    runner: ExampleRunner, job: JobToTry, parts: list[Payload], culprit: AttemptEnded, result: JobResult
) -> Finding | None:
    """The finding, repeated on a fresh worker, because earlier jobs or a busy machine may be the cause."""
    history = ""
    if not runner.confirmed and runner.renew():
        second = _run(runner, job, parts)
        confirmed = _culprit(runner, job, second)
        if confirmed is not None:
            culprit, result = confirmed, second
            runner.confirmed = True
        elif culprit.outcome in ("timeout", "crashed"):
            return None
        else:
            history = ", on a worker that had other mini-batches before, and not on a fresh one"
    failure = culprit.failure
    assert failure is not None
    size = culprit.mini_batch.size
    earlier = [a for a in result.attempts if a.mini_batch.id == culprit.mini_batch.id and a.number < culprit.number]
    after = f" after {_before(earlier[-1])}" if earlier else ""
    unreadable = job.bad_mini_batch == culprit.mini_batch.id
    which = "a mini-batch with an item that cannot be read" if unreadable else "a valid mini-batch"
    warm = bool(earlier or history) and not unreadable
    kept = runner.kept_state() if warm else KeptState()
    return Finding(
        what=sentences(
            f"In a generated job, run() fails on {which}{after}{history}: {failure.error}",
            kept.evidence,
        ),
        location=Location(
            phase="run",
            mini_batch=culprit.mini_batch.id,
            items=_items(runner, job, culprit.mini_batch.id),
            attempt=culprit.number,
            attempts=job.settings.max_retries + 1,
        ),
        traceback=failure.traceback,
        counts=f"{count_text(size, 'item')} in, {count_text(culprit.returned or 0, 'result')} out; the job: "
        + result.status
        + (f" ({result.reason})" if result.reason else "")
        + f", {count_text(result.failed_items, 'item')} and "
        + f"{count_text(result.failed_mini_batches, 'mini-batch')} failed",
        service=shown_for(culprit.outcome),
        fix=kept.fix or _fix(culprit.outcome, unreadable=unreadable, again=bool(earlier or history)),
        cause=runner.cause_of_state(Cause.of_attempt(culprit)) if warm else runner.cause_of(culprit),
        case=Case(
            kind=runner.observations.kind,
            mini_batches=tuple(parts) * (2 if history else 1),
            partitions=_partitions(runner, job) * (2 if history else 1),
            settings=job.settings,
            faults=job.faults,
            expects="no_harm" if unreadable else "results",
        ),
    )


def _items(runner: ExampleRunner, job: JobToTry, number: int) -> str:
    """The items of a mini-batch, and which of them are unreadable."""
    items = describe(runner.sample, job.part(number))
    if job.bad is None or job.bad_mini_batch != number:
        return items
    assert isinstance(job.recipe, Files)
    return f"{items}; {job.recipe.items[job.bad].name} cannot be read"


def _before(attempt: AttemptEnded) -> str:
    if attempt.fault is None:
        return f"an attempt with the outcome {attempt.outcome}"
    lost = "lost its results on purpose" if attempt.fault.kind == "drops" else "was made to fail"
    return f"an attempt that {lost}"


def _fix(outcome: Outcome, *, unreadable: bool, again: bool) -> str:
    fix = FIXES.get(outcome, "")
    if outcome in ("timeout", "crashed"):
        return fix
    if unreadable:
        return (
            "return a list, a tuple or a DataFrame on every code path of run(), including except branches; raise, or "
            "return an error row, for an item that cannot be read"
        )
    if not again:
        return fix
    same = "do the same for the same items each time: do not remember what was done already, or undo it when it fails"
    return f"{fix}; and {same}" if outcome == "short" else same


def _hold_against_the_rules(job: JobToTry, parts: list[Payload], result: JobResult, runner: ExampleRunner) -> None:
    """The script did its part, so a difference would be a bug of the emulator."""
    recorded = {(a.mini_batch.id, a.number): a for a in result.attempts}

    def fate(mini_batch: int, number: int) -> tuple[Outcome, int]:
        attempt = recorded.get((mini_batch, number))
        if attempt is None:
            return "succeeded", len(parts[mini_batch])
        fault = attempt.fault
        if fault is not None and fault.kind in _OUTCOMES:
            return _OUTCOMES[fault.kind], 0
        if fault is not None and fault.kind == "returns":
            return ("short", 0) if fault.payload == [] else ("wrong_type", 0)
        if attempt.returned is None:
            return attempt.outcome, 0
        return ("short" if attempt.returned < len(parts[mini_batch]) else "succeeded"), attempt.returned

    predicted = predict([len(part) for part in parts], fate, result.settings, runner.observations.kind)
    differences = predicted.differences(result)
    if differences:
        raise FaultError(
            f"{'; '.join(differences)}. This is a mistake of pytest-parallelrun, not of the script; please report it "
            f"with this job: {job!r}"
        )

"""What a job that was made up shows: the counts, attempts and verdict must be those of the rules."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import Case
from pytest_parallelrun.contract.entry.mini_batches import some_of
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.generation.expected_counts import predict
from pytest_parallelrun.contract.generation.generated_mini_batches import FIXES, HARMLESS, describe
from pytest_parallelrun.contract.phrases import shown_for
from pytest_parallelrun.emulator.errors import FaultError
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import PrebuiltInput
from pytest_parallelrun.strategies import Files, Item, Rows, job_settings, recipes
from pytest_parallelrun.strategies.faults import draw_faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from pytest_parallelrun.contract.generation.runner import ExampleRunner, Recipe
    from pytest_parallelrun.emulator.events import AttemptEnded, Outcome
    from pytest_parallelrun.emulator.faults import FaultKind
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.setting_table import Profile
    from pytest_parallelrun.emulator.splitting.model import Partition, Payload
    from pytest_parallelrun.strategies import Sample

_OUTCOMES: dict[str, Outcome] = {
    "raises": "exception",
    "times_out": "timeout",
    "crashes": "crashed",
    "load_fails": "load_error",
}
MAX_FAULTS = 5
MAX_PARTITIONS = 3
"""Of a generated job, the smallest ones of the sample."""


@dataclass(frozen=True, kw_only=True)
class JobToTry:
    """A job of sound items.

    sizes: items of each mini-batch, one after the other. bad: position of an item that cannot be read, or None.
    """

    recipe: Recipe
    sizes: tuple[int, ...]
    settings: JobSettings
    faults: tuple[Fault, ...] = ()
    bad: int | None = None

    @property
    def bad_mini_batch(self) -> int | None:
        """Number of the mini-batch with the item that cannot be read, or None."""
        if self.bad is None:
            return None
        return next(number for number, end in enumerate(accumulate(self.sizes)) if self.bad < end)

    def part(self, number: int) -> Recipe:
        """The mini-batch of that number."""
        end = sum(self.sizes[: number + 1])
        first = end - self.sizes[number]
        if isinstance(self.recipe, Files):
            return Files(self.recipe.items[first:end])
        return Rows(self.recipe.rows[first:end])


_FAULTS: tuple[FaultKind, ...] = ("raises", "times_out", "crashes", "returns", "drops", "load_fails")
"""A second delivery is the business of retry_is_harmless."""
_LOSSES: tuple[FaultKind, ...] = ("drops",)
"""The one fault after which run() sees the same mini-batch again."""


def jobs_to_try(sample: Sample, profile: Profile, most_items: int) -> SearchStrategy[JobToTry]:
    """Jobs of up to so many items, with thresholds, faults at attempts that can be reached, and an unreadable file."""
    from hypothesis import strategies as st

    if sample.partitions:
        return _jobs_of_partitions(sample, profile)
    recipes_of_items = recipes(sample, max_size=most_items)
    settings = job_settings(profile=profile)
    sizes = [st.integers(1, most) for most in range(1, most_items + 1)]
    places = [st.none() | st.integers(0, last) if sample.kind == "files" else st.none() for last in range(most_items)]
    kinds = st.sampled_from([_FAULTS, _LOSSES])

    @st.composite
    def drawn(draw: DrawFn) -> JobToTry:
        recipe = draw(recipes_of_items)
        size = draw(sizes[recipe.size - 1])
        chosen = draw(settings)
        faults = draw_faults(draw, -(-recipe.size // size), chosen, draw(kinds), MAX_FAULTS)
        even = tuple(min(size, recipe.size - first) for first in range(0, recipe.size, size))
        return JobToTry(recipe=recipe, sizes=even, settings=chosen, faults=faults, bad=draw(places[recipe.size - 1]))

    return drawn()


def plain_jobs(sample: Sample, profile: Profile, *, most_results: int) -> tuple[JobToTry, ...]:
    """The plainest jobs in which run() is called again after something was lost.

    All results of the first mini-batch are lost once, of which there are at most `most_results`; and, with files, one
    cannot be read for good while another follows. They are tried whatever Hypothesis draws, so that a verdict is not
    left to a seed.
    """
    parts = sorted(sample.partitions.values(), key=len) or [(number,) for number in range(min(2, sample.size))]
    settings = JobSettings(rules="documented", max_retries=1, profile=None if profile == "v2" else profile)
    settings = settings.without_thresholds()
    # run() may return many rows for an item: one less would be no loss.
    lost = Fault.drops(most_results, mini_batch=0, attempt=1)
    jobs = [JobToTry(recipe=_recipe_of(sample, parts[:1]), sizes=_sizes(parts[:1]), settings=settings, faults=(lost,))]
    if sample.kind == "files":
        first = parts[:2]
        jobs.append(JobToTry(recipe=_recipe_of(sample, first), sizes=_sizes(first), settings=settings, bad=0))
    return tuple(jobs)


def _jobs_of_partitions(sample: Sample, profile: Profile) -> SearchStrategy[JobToTry]:
    """The same of whole partitions, each of which is a mini-batch."""
    from hypothesis import strategies as st

    parts = sorted(sample.partitions.values(), key=len)[:MAX_PARTITIONS]
    chosen_parts = st.lists(st.sampled_from(parts), min_size=1, max_size=len(parts), unique=True)
    settings = job_settings(profile=profile)
    kinds = st.sampled_from([_FAULTS, _LOSSES])

    @st.composite
    def drawn(draw: DrawFn) -> JobToTry:
        chosen = draw(chosen_parts)
        recipe = _recipe_of(sample, chosen)
        limits = draw(settings)
        faults = draw_faults(draw, len(chosen), limits, draw(kinds), MAX_FAULTS)
        bad = draw(st.none() | st.integers(0, recipe.size - 1)) if sample.kind == "files" else None
        return JobToTry(recipe=recipe, sizes=_sizes(chosen), settings=limits, faults=faults, bad=bad)

    return drawn()


def _recipe_of(sample: Sample, parts: Sequence[Sequence[int]]) -> Recipe:
    """Whole parts of the sample, by the numbers of their items."""
    numbers = [number for part in parts for number in part]
    if sample.kind == "files":
        return Files(tuple(Item(sample.names[number]) for number in numbers))
    return Rows(tuple(numbers))


def _sizes(parts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(len, parts))


def judge_job(bench: ExampleRunner, job: JobToTry) -> Finding | None:
    """What is wrong with run() in this job; None where nothing is, or it could not be tried any more."""
    return bench.judged(repr(job), lambda: _judge(bench, job))


def _judge(bench: ExampleRunner, job: JobToTry) -> Finding | None:
    payload = bench.build(job.recipe)
    if job.bad is not None:
        make_unreadable(payload, job.bad)
    ends = list(accumulate(job.sizes))
    parts = [some_of(payload, end - size, size) for end, size in zip(ends, job.sizes, strict=True)]
    result = _run(bench, job, parts)
    culprit = _culprit(bench, job, result)
    found = None
    if culprit is not None:
        found = _confirmed(bench, job, parts, culprit, result)
    else:
        _hold_against_the_rules(job, parts, result, bench)
    if found is None:
        bench.discard(payload)
    return found


def make_unreadable(payload: Payload, position: int) -> None:
    """Puts a folder where the file was: unlike permissions, that stops the administrator as well."""
    assert isinstance(payload, list)
    path = payload[position]
    os.unlink(path)
    os.mkdir(path)


def _run(bench: ExampleRunner, job: JobToTry, parts: list[Payload]) -> JobResult:
    settings = job.settings.over(bench.trials.entry.settings)
    chosen = settings.replace(instance_count=1, max_concurrency_per_instance=1)
    handed = PrebuiltInput(parts, kind=bench.trials.kind, partitions=_partitions(bench, job))
    return bench.run(handed, chosen, job.faults)


def _partitions(bench: ExampleRunner, job: JobToTry) -> tuple[Partition, ...]:
    """What the context tells of each mini-batch."""
    assert bench.sample is not None
    return tuple(bench.sample.partition_of(job.part(number)) for number in range(len(job.sizes)))


def _culprit(bench: ExampleRunner, job: JobToTry, result: JobResult) -> AttemptEnded | None:
    """The first attempt that no fault hit, and that did not do what it must."""
    bad = job.bad_mini_batch
    for attempt in result.attempts:
        if attempt.fault is not None and attempt.fault.kind != "drops":
            continue
        allowed = HARMLESS if attempt.mini_batch.id == bad else bench.enough
        if attempt.fault is not None:
            allowed = allowed | {"short"}
        if attempt.outcome not in allowed:
            return attempt
    return None


def _confirmed(
    bench: ExampleRunner, job: JobToTry, parts: list[Payload], culprit: AttemptEnded, result: JobResult
) -> Finding | None:
    """The finding, told by a fresh worker: jobs before this one, or a busy machine, may be the cause."""
    history = ""
    if not bench.confirmed and bench.renew():
        again = _run(bench, job, parts)
        confirmed = _culprit(bench, job, again)
        if confirmed is not None:
            culprit, result = confirmed, again
            bench.confirmed = True
        elif culprit.outcome in ("timeout", "crashed"):
            return None
        else:
            history = ", on a worker that had other jobs before, and not on a fresh one"
    failure = culprit.failure
    assert failure is not None
    size = culprit.mini_batch.size
    earlier = [a for a in result.attempts if a.mini_batch.id == culprit.mini_batch.id and a.number < culprit.number]
    after = f" after {_before(earlier[-1])}" if earlier else ""
    tries = job.settings.max_retries + 1
    unreadable = job.bad_mini_batch == culprit.mini_batch.id
    which = "a mini-batch with an item that cannot be read" if unreadable else "a sound mini-batch"
    return Finding(
        what=f"In a generated job run() does not hold for {which}{after}{history}: {failure.error}",
        location=Location(
            phase="run",
            mini_batch=culprit.mini_batch.id,
            items=_items(bench, job, culprit.mini_batch.id),
            attempt=culprit.number,
            attempts=tries,
        ),
        traceback=failure.traceback,
        counts=f"{size} item(s) in, {culprit.returned or 0} result(s) out; the job: {result.status}"
        + (f" ({result.reason})" if result.reason else "")
        + f", {result.failed_items} item(s) and {result.failed_mini_batches} mini-batch(es) failed",
        service=shown_for(culprit.outcome),
        fix=_fix(culprit.outcome, unreadable=unreadable, again=bool(earlier or history)),
        cause=Cause.of_attempt(culprit),
        case=Case(
            kind=bench.trials.kind,
            mini_batches=tuple(parts) * (2 if history else 1),
            partitions=_partitions(bench, job) * (2 if history else 1),
            settings=job.settings,
            faults=job.faults,
            expects="no_harm" if unreadable else "results",
        ),
    )


def _items(bench: ExampleRunner, job: JobToTry, number: int) -> str:
    """Those of a mini-batch, and which of them cannot be read."""
    items = describe(bench, job.part(number))
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
            "return a list, a tuple or a DataFrame on every way out of run(), also after an except; raise, or return "
            "an error row, for an item that cannot be read"
        )
    if not again:
        return fix
    same = "do the same for the same items each time: do not remember what was done already, or undo it when it fails"
    return f"{fix}; and {same}" if outcome == "short" else same


def _hold_against_the_rules(job: JobToTry, parts: list[Payload], result: JobResult, bench: ExampleRunner) -> None:
    """The script did all it must, so a difference would be a mistake of the emulator."""
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

    predicted = predict([len(part) for part in parts], fate, result.settings, bench.trials.kind)
    differences = predicted.differences(result)
    if differences:
        raise FaultError(
            f"{'; '.join(differences)}. This is a mistake of pytest-parallelrun, not of the script; please report it "
            f"with this job: {job!r}"
        )

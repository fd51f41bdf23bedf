"""Why attempts failed, for the findings on the job: the cause first, the verdict of the job in a line."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.bounds import MAX_SINGLES, MAX_TIMED_PROBE
from pytest_parallelrun.contract.cases.case import case_of
from pytest_parallelrun.contract.dependence.run_time import fix_of, once_in_init, run_time, safe_timeout
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.contract.entry.mini_batches import singles_of
from pytest_parallelrun.contract.entry.sample_attempts import MIN_PROBE
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.known_causes import hints
from pytest_parallelrun.contract.phrases import sentences, shown_for
from pytest_parallelrun.contract.wrong_input import wrong_kind_of_input
from pytest_parallelrun.emulator.events import seconds_text
from pytest_parallelrun.emulator.probe import WorkerStartError
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.dependence.run_time import RunTimeModel
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded, Frame, Outcome

_FAILS: dict[Outcome, str] = {
    "timeout": "run() takes too long",
    "crashed": "run() ends its worker process",
    "wrong_type": "run() returns no results",
    "load_error": "The input cannot be loaded",
}
PATIENCE = 3
"""Times the timeout that a single item gets, to tell a slow script from one that hangs."""
_QUICKER = "make run() quicker, or give the job a larger timeout"
MAX_OTHERS = 2
"""Other kinds of failure that a finding names."""


def finding_of_total_failure(observations: Observations, *, job: str, service: str) -> Finding:
    """The finding if run() fails for the whole sample.

    job: the outcome of the job, appended to its counts. service: what it shows besides the attempts.
    """
    entry, baseline = observations.entry, observations.baseline
    first = baseline.losing_attempts[0]
    failure = first.failure
    assert failure is not None
    result = baseline.result
    which = "the only mini-batch" if result.total_mini_batches == 1 else "every mini-batch"
    mistaken = wrong_kind_of_input(entry, baseline, first)
    evidence, fix = (mistaken.evidence, mistaken.fix) if mistaken is not None else cause_and_fix(observations, first)
    return Finding(
        what=sentences(
            f"{_FAILS.get(first.outcome, 'run() raises')} for {which}: {failure.error}",
            evidence,
            _other_kinds(baseline, first),
        ),
        location=baseline.location_of(first),
        traceback=failure.traceback,
        counts=f"{result.failed_mini_batches} of {count_text(result.total_mini_batches, 'mini-batch')} "
        f"and {result.failed_items} of {count_text(result.total_items, 'item')} failed, in "
        f"{count_text(len(result.attempts), 'attempt')}; {job}",
        service=f"{service}{shown_for(first.outcome)}",
        fix=fix,
        cause=baseline.cause_of_losses(),
        case=case_of(entry, first),
    )


def _other_kinds(baseline: Baseline, first: AttemptEnded) -> str:
    """The failures of other mini-batches that have another cause."""
    causes = {Cause.of_attempt(first): first}
    for attempt in baseline.losing_attempts:
        causes.setdefault(Cause.of_attempt(attempt), attempt)
    others = [attempt for attempt in list(causes.values())[1:] if attempt.failure is not None]
    texts = [f"Mini-batch {it.mini_batch.id} fails otherwise: {it.failure.error}" for it in others[:MAX_OTHERS]]  # type: ignore[union-attr]
    if len(others) > MAX_OTHERS:
        texts.append(f"Others fail in {len(others) - MAX_OTHERS} more ways.")
    return sentences(*texts)


def cause_and_fix(observations: Observations, attempt: AttemptEnded) -> tuple[str, str]:
    """What is known of the cause of a failed attempt, and what to do in the script; each may be ""."""
    baseline, failure = observations.baseline, attempt.failure
    known = hints(baseline.shown_failures(), observations.entry)
    if known or failure is None:
        return "", known
    if attempt.outcome == "timeout" and failure.phase == "run":
        with suppress(TooManyInitCalls, WorkerStartError):
            return _of_timeout(observations, attempt)
        return "", _QUICKER
    if attempt.outcome == "crashed":
        return "", "raise an exception instead of ending the process; if native code dies, check its input first"
    frame = failure.frame
    if frame is None:
        return "", ""
    what = f"correct {_place(frame)}, or its input"
    if baseline.nothing_succeeded:
        return "", f"{what}: it fails for every mini-batch, so no threshold helps"
    return "", f"{what}, or return an error row for an item that cannot be scored"


def _of_timeout(observations: Observations, attempt: AttemptEnded) -> tuple[str, str]:
    """Whether run() is slow or hangs, with the evidence."""
    limit, size = float(observations.entry.settings.timeout), attempt.mini_batch.size
    model = run_time(observations)
    if model is None:
        return "", _QUICKER
    if not model.in_time:
        return _of_one_item(observations, attempt, limit)
    if model.cut is not None:
        return _of_some_item(observations, model)
    fitting = model.items_within(limit)
    expected = model.seconds(size)
    return (
        f"It is slow and does not hang: {seconds_text(model.per_item)} per {model.noun} make {seconds_text(expected)} "
        f"for {count_text(size, model.noun)}, and {fitting:,} fit into {limit:g} s.",
        fix_of(model, limit, model.seconds(max(size, model.full_size)), attempt.failure),
    )


def _of_one_item(observations: Observations, attempt: AttemptEnded, limit: float) -> tuple[str, str]:
    """One item alone takes too long: it gets more time."""
    mini_batch = observations.timed_out[0]
    one = mini_batch if mini_batch.partition else mini_batch.part(0)
    patience = min(PATIENCE * limit, max(limit, MAX_TIMED_PROBE))
    # The processor time counts, and sleep that is simulated.
    with observations.entry.session(probe_limit=patience, timeout=math.ceil(10 * patience)) as session:
        ended = observations.attempt(session, one)[0]
    if ended.failure is None:
        timeout = f"timeout={safe_timeout(ended.running)}"
        split = attempt.mini_batch.size > 1 and observations.kind == "files"
        alone = f"mini_batch_size=1 and {timeout}" if split else f"{timeout} or more"
        return (
            f"It is slow and does not hang: {one.items()} alone takes {seconds_text(ended.running)}.",
            f"{once_in_init(None, attempt.failure)}set {alone}, or make run() quicker",
        )
    place = "" if ended.failure.frame is None else f", at {_place(ended.failure.frame)}, where it was interrupted"
    return (
        f"{one.items()} alone does not end with more time either: {ended.failure.error}",
        f"find the loop or the wait that does not end{place}. If it is only slow, set a timeout above {patience:.3g} s "
        f"for each {'file' if observations.kind == 'files' else 'row'}",
    )


def _of_some_item(observations: Observations, model: RunTimeModel) -> tuple[str, str]:
    """Other items are quick: the one that is not."""
    mini_batch = observations.timed_out[0]
    took = 0.0
    with observations.entry.session(probe_limit=MIN_PROBE) as session:
        for one in singles_of(mini_batch)[:MAX_SINGLES]:
            ended = observations.attempt(session, one)[0]
            if ended.outcome == "timeout":
                place = "" if ended.failure is None or ended.failure.frame is None else _place(ended.failure.frame)
                return (
                    f"{one.items()} alone does not end within {MIN_PROBE:g} s, and other items do.",
                    f"find the loop or the wait that does not end for {one.items()}" + (place and f", at {place}"),
                )
            took += ended.running
    return (
        f"Each of {count_text(min(mini_batch.size, MAX_SINGLES), model.noun)} ends alone, in {seconds_text(took)} in "
        "all; together they do not.",
        f"find what takes longer for several items than for each alone, or set {model.sized_by}={model.in_time}",
    )


def _place(frame: Frame) -> str:
    function = "" if frame.function.startswith("<") else f", in {frame.function}()"
    return f"line {frame.line} of {os.path.basename(frame.file)}{function}"

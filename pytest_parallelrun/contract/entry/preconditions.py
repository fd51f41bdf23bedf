"""When rows can be compared: checks must neither pass nor fail without evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from pytest_parallelrun.contract.check import SkipReason
from pytest_parallelrun.emulator.events import WorkerFailed
from pytest_parallelrun.emulator.probe import WorkerStartError

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.rows.comparison import NondeterministicValues
    from pytest_parallelrun.emulator.events import Failure, Phase
    from pytest_parallelrun.emulator.probe import StartupResult


_DIRECT_CHECKS: dict[Phase, str] = {"import": "entry_imports", "define": "entry_defines_run"}
"""Phase in which a worker fails -> the check that reports it; other checks refer to it."""


def why_no_worker(failure: Failure) -> SkipReason:
    """The common reason of all checks that need a worker if none starts."""
    direct = _DIRECT_CHECKS.get(failure.phase, "init_runs_in_every_worker")
    return SkipReason(f"no worker could start; see test_{direct}", failure.error)


@contextmanager
def skip_without_worker(check: Check) -> Iterator[None]:
    """Around a check that uses workers: if none starts, it cannot decide."""
    __tracebackhide__ = True
    try:
        yield
    except WorkerStartError as down:
        check.cannot_decide(why_no_worker(down.failure))


def skip_without_results(baseline: Baseline, check: Check) -> NoReturn:
    """Ends a check if run() never returned anything, with the common reason."""
    __tracebackhide__ = True
    result = baseline.result
    if not result.attempts:
        failure = next((event.failure for event in result.worker_failures), None)
        check.cannot_decide(SkipReason(str(result.reason)) if failure is None else why_no_worker(failure))
    direct = "job_completes" if result.status == "Failed" else "no_silent_losses"
    if any(attempt.outcome == "wrong_type" for attempt in result.attempts):
        direct = "returns_valid_type"
    failure = result.attempts[0].failure
    error = failure.error if failure else "it got no items"
    check.cannot_decide(SkipReason(f"run() fails for every mini-batch; see test_{direct}", error))


def rows_are_only_counted(observations: Observations, check: Check) -> bool:
    """Whether nothing is appended, on purpose or because the script writes its own files: results are only counted."""
    settings = observations.entry.settings
    if settings.output_action != "summary_only":
        return False
    if "output_action" in settings.explicit:
        check.note("what run() returns is only counted: output_action=summary_only was set")
        return True
    try:
        attempts = observations.forward.attempts
    except WorkerStartError:
        return False
    if not any(result.files.written for _, result in attempts):
        return False
    check.note("what run() returns is only counted: with output_action=summary_only the script writes its own files")
    return True


def require_answers(observations: Observations, check: Check) -> None:
    """Ends the check if run() returned no valid type for the sample."""
    __tracebackhide__ = True
    if not observations.answered:
        skip_without_results(observations.baseline, check)
    if observations.left_out:
        check.note(observations.left_out)


def skip_if_written_late(observations: Observations, check: Check) -> None:
    """Ends a check of the files that run() writes if its threads still write them after it has returned."""
    __tracebackhide__ = True
    pair = observations.screening.pair
    if pair is not None and pair.late:
        check.cannot_decide("threads write files after run() has returned; see test_no_silent_losses")


def require_rows(observations: Observations, check: Check) -> None:
    """Ends the check if there are no rows to compare."""
    __tracebackhide__ = True
    require_answers(observations, check)
    nondeterministic = observations.nondeterministic
    if nondeterministic is not None and nondeterministic.all_rows:
        check.cannot_decide(SkipReason(why_random(nondeterministic), workers_differ=True))
    rows = [observations.forward.rows(mini_batch) for mini_batch in observations.asked]
    if all(answer is None for answer in rows):
        check.cannot_decide("run() fails for every mini-batch at its first attempt, so there is nothing to compare")
    if not any(rows):
        check.cannot_decide("run() returns no rows, so there is nothing to compare")


def require_several(observations: Observations, check: Check) -> None:
    """Ends the check if the sample does not make two mini-batches."""
    __tracebackhide__ = True
    if len(observations.asked) < 2:
        check.cannot_decide("the sample has a single item, and two are needed to compare; see --parallelrun-input")


def pass_unless_random(observations: Observations, check: Check) -> None:
    """Ends a check that found nothing, if random values leave nothing to compare."""
    __tracebackhide__ = True
    nondeterministic = observations.nondeterministic
    if nondeterministic is None:
        return
    if not nondeterministic.harmless:
        check.cannot_decide(SkipReason(why_random(nondeterministic), workers_differ=True))
    check.note(f"times and generated ids were not compared: {nondeterministic}")


def why_random(values: NondeterministicValues) -> str:
    """The reason for not deciding on results that differ in any two runs."""
    return (
        f"results are not reproducible: two identical runs on fresh workers differ in {values}. To have this judged, "
        "seed random numbers from the item"
    )


def startup_failure(startup: StartupResult, worker: int = 0) -> Failure | None:
    """Why a worker did not start, None if it did."""
    event = startup.workers[worker]
    return event.failure if isinstance(event, WorkerFailed) else None

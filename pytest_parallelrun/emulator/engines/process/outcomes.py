"""From what a worker process says of an attempt, or from its end, to what became of the attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.engines.failures import describe_exception, retry_code
from pytest_parallelrun.emulator.engines.judging import judge_return, over_probe, over_time, short_by
from pytest_parallelrun.emulator.engines.process.worker_process import Handed
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, Outcome, Phase
from pytest_parallelrun.emulator.output import Written
from pytest_parallelrun.emulator.policy import classify_return
from pytest_parallelrun.emulator.worker.handing_over import CannotCross, decode

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines import Delivery
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.worker.messages import Message

INJECTED = ("raises", "times_out", "crashes", "returns", "load_fails")
"""Faults that need no worker process to happen."""

Wish = tuple[str, float]


class Limits:
    """How long an attempt may take. probe: seconds for generated mini-batches."""

    def __init__(self, settings: JobSettings, probe: float | None) -> None:
        self.timeout = float(settings.timeout)
        self.overhead = float(settings.task_overhead_timeout)
        self.whole_attempt = settings.rules.attempt_limit == "with_overhead"
        self.probe = probe

    def of_run(self, loading: float) -> float:
        """Seconds that run() has after so many for loading."""
        limit = self.timeout + self.overhead - loading if self.whole_attempt else self.timeout
        return limit if self.probe is None else min(limit, self.probe)

    def too_long_loading(self, loading: float) -> Failure | None:
        if self.whole_attempt or loading < self.overhead:
            return None
        return Failure("load", f"loading took longer than task_overhead_timeout = {self.overhead:g} s")

    def over(self, running: float, *, late: bool) -> Failure:
        """run() has taken too long. late: it came back by itself."""
        limit = self.timeout + self.overhead if self.whole_attempt else self.timeout
        if self.probe is not None and running < limit:
            return over_probe(self.probe)
        what = "timeout + task_overhead_timeout" if self.whole_attempt else "timeout"
        return over_time(f"{limit:g} s ({what})", late=late, ended="killed")


def ended(
    handed: Handed,
    worker: int,
    started: float,
    running: float,
    outcome: Outcome,
    failure: Failure | None,
    returned: int | None = None,
    value: object = None,
    written: Written | None = None,
) -> AttemptEnded:
    (mini_batch, number), fault, loading = handed
    return AttemptEnded(
        mini_batch,
        number,
        worker,
        outcome,
        returned,
        value,
        started,
        loading,
        running,
        failure,
        fault,
        written,
    )


def of_returned(handed: Handed, worker: int, started: float, message: Message, limits: Limits) -> AttemptEnded:
    """run() has returned (message RETURNED)."""
    _, running, count, wrong, value, blob, _, cannot, written, _ = message
    running = cast("float", running)
    if running >= limits.of_run(handed.loading):
        return ended(handed, worker, started, running, "timeout", limits.over(running, late=True))
    if count is None:
        return ended(handed, worker, started, running, "wrong_type", Failure("return", cast("str", wrong)))
    count = cast("int", count)
    if blob is not None and cannot is None:
        try:
            value = decode(cast("bytes", blob))
        except CannotCross as error:
            cannot = str(error)
    if cannot is not None:
        return ended(handed, worker, started, running, "exception", Failure("return", cast("str", cannot)))
    size = handed.delivery.mini_batch.size
    outcome = classify_return(count, size)
    failure = short_by(count, size) if outcome == "short" else None
    place = None if written is None else Written(*cast("tuple[str, int, int, str]", written))
    return ended(handed, worker, started, running, outcome, failure, count, value, place)


def of_raised(
    handed: Handed, worker: int, started: float, message: Message, limits: Limits
) -> tuple[AttemptEnded, Wish | None]:
    """run() has raised (message RAISED), and what the script asked for with a ParallelRunException."""
    running, phase, error, traceback, wish = cast("tuple[float, Phase, str, str, Wish | None]", message[1:6])
    if phase == "run" and running >= limits.of_run(handed.loading):
        return ended(handed, worker, started, running, "timeout", limits.over(running, late=True)), None
    outcome: Outcome = "load_error" if phase == "load" else "exception"
    may_retry = wish is None or wish[0] != "Retry.NoRetry"
    return ended(handed, worker, started, running, outcome, Failure(phase, error, traceback, may_retry)), wish


def of_fault(
    delivery: Delivery, fault: Fault, worker: int, started: float, limits: Limits
) -> tuple[AttemptEnded, Wish | None]:
    """A fault of INJECTED has happened."""
    size = delivery.mini_batch.size
    wish: Wish | None = None
    returned: int | None = None
    value: object = None
    running = 0.0
    failure: Failure | None
    outcome: Outcome
    if fault.kind == "raises":
        error = fault.exception()
        wish = retry_code(error)
        may_retry = wish is None or wish[0] != "Retry.NoRetry"
        outcome, failure = "exception", Failure("run", describe_exception(error), "", may_retry)
    elif fault.kind == "times_out":
        running = limits.of_run(0.0)
        outcome, failure = "timeout", limits.over(float("inf"), late=False)
    elif fault.kind == "crashes":
        outcome, failure = "crashed", Failure("run", f"the worker process died: injected by {fault}")
    elif fault.kind == "load_fails":
        outcome, failure = "load_error", Failure("load", f"injected by {fault}")
    else:
        outcome, returned, value, failure = judge_return(fault.payload, size)
    return ended(Handed(delivery, fault, 0.0), worker, started, running, outcome, failure, returned, value), wish

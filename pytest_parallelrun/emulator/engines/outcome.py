"""What is said of an attempt that came back, or did not come back in time, and of what a script left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.engines.process.worker_process import DispatchedTask
from pytest_parallelrun.emulator.engines.tracebacks import describe_exception, retry_code
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, Outcome, Phase
from pytest_parallelrun.emulator.output import Written, count_returned, returned_type, wrong_type_message
from pytest_parallelrun.emulator.policy import classify_return
from pytest_parallelrun.emulator.worker.result_serializer import SerializationError, decode

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.protocol import Task
    from pytest_parallelrun.emulator.engines.timeouts import AttemptLimits
    from pytest_parallelrun.emulator.faults import Fault
    from pytest_parallelrun.emulator.worker.messages import Message


_MAX_NAMED = 5


class JudgedReturn(NamedTuple):
    """What run() returned, judged. `value` is a copy of it, `results` their number; both None for a wrong type."""

    outcome: Outcome
    results: int | None
    value: object
    failure: Failure | None


def judge_return(value: object, size: int) -> JudgedReturn:
    """Holds what run() returned against the `size` items that it got."""
    count = count_returned(value)
    if count is None:
        failure = Failure("return", wrong_type_message(value), returned_type=returned_type(value))
        return JudgedReturn("wrong_type", None, None, failure)
    copy = list(value) if isinstance(value, (list, tuple)) else value.copy()  # type: ignore[attr-defined]
    outcome = classify_return(count, size)
    if outcome != "short":
        return JudgedReturn(outcome, count, copy, None)
    return JudgedReturn(outcome, count, copy, short_by(count, size))


def short_by(count: int, size: int) -> Failure:
    """run() returned fewer results than it got items."""
    return Failure("return", f"run() returned {count} result(s) for {size} item(s), {size - count} missing")


def left_running(threads: Sequence[str]) -> str:
    """What is said of threads that a script left, by their names."""
    return f"the script left {len(threads)} thread(s) running: {', '.join(threads[:_MAX_NAMED])}"


def left_open(files: Sequence[str]) -> str:
    """What is said of files that a script left open, by their paths."""
    return f"the script left {len(files)} file(s) open: {', '.join(files[:_MAX_NAMED])}"


INJECTED = ("raises", "times_out", "crashes", "returns", "load_fails")
"""Faults that need no worker process to happen."""

RetryRequest = tuple[str, float]


def ended(
    handed: DispatchedTask,
    worker: int,
    began: float,
    running: float,
    outcome: Outcome,
    failure: Failure | None,
    returned: int | None = None,
    value: object = None,
    written: Written | None = None,
) -> AttemptEnded:
    """An attempt whose run() began so many seconds after the job, or would have."""
    (mini_batch, number), fault, loading = handed[:3]
    return AttemptEnded(
        mini_batch,
        number,
        worker,
        outcome,
        returned,
        value,
        began - loading,
        loading,
        running,
        failure,
        fault,
        written,
    )


def of_returned(
    handed: DispatchedTask, worker: int, began: float, message: Message, limits: AttemptLimits
) -> AttemptEnded:
    """run() has returned (message RETURNED). began: when it was called, in seconds since the start of the job."""
    _, running, count, wrong, value, blob, _, cannot, written, _ = message
    running = cast("float", running)
    if running >= limits.of_run(handed.loading):
        return ended(handed, worker, began, running, "timeout", limits.killed_after(running, late=True))
    if count is None:
        return ended(handed, worker, began, running, "wrong_type", Failure("return", cast("str", wrong)))
    count = cast("int", count)
    if blob is not None and cannot is None:
        try:
            value = decode(cast("bytes", blob))
        except SerializationError as error:
            cannot = str(error)
    if cannot is not None:
        return ended(handed, worker, began, running, "exception", Failure("return", cast("str", cannot)))
    size = handed.delivery.mini_batch.size
    outcome = classify_return(count, size)
    failure = short_by(count, size) if outcome == "short" else None
    place = None if written is None else Written(*cast("tuple[str, int, int, str]", written))
    return ended(handed, worker, began, running, outcome, failure, count, value, place)


def of_raised(
    handed: DispatchedTask, worker: int, began: float, message: Message, limits: AttemptLimits
) -> tuple[AttemptEnded, RetryRequest | None]:
    """run() has raised (message RAISED), and what the script asked for with a ParallelRunException."""
    running, phase, error, traceback, retry_request = cast(
        "tuple[float, Phase, str, str, RetryRequest | None]", message[1:6]
    )
    if phase == "run" and running >= limits.of_run(handed.loading):
        return ended(handed, worker, began, running, "timeout", limits.killed_after(running, late=True)), None
    outcome: Outcome = "load_error" if phase == "load" else "exception"
    may_retry = retry_request is None or retry_request[0] != "Retry.NoRetry"
    return ended(handed, worker, began, running, outcome, Failure(phase, error, traceback, may_retry)), retry_request


def of_fault(
    delivery: Task, fault: Fault, worker: int, began: float, limits: AttemptLimits
) -> tuple[AttemptEnded, RetryRequest | None]:
    """A fault of INJECTED has happened."""
    size = delivery.mini_batch.size
    retry_request: RetryRequest | None = None
    returned: int | None = None
    value: object = None
    running = 0.0
    failure: Failure | None
    outcome: Outcome
    if fault.kind == "raises":
        error = fault.exception()
        retry_request = retry_code(error)
        may_retry = retry_request is None or retry_request[0] != "Retry.NoRetry"
        outcome, failure = "exception", Failure("run", describe_exception(error), "", may_retry)
    elif fault.kind == "times_out":
        running = limits.of_run(0.0)
        outcome, failure = "timeout", limits.over(late=False, ended="killed")
    elif fault.kind == "crashes":
        outcome, failure = "crashed", Failure("run", f"the worker process died: injected by {fault}")
    elif fault.kind == "load_fails":
        outcome, failure = "load_error", Failure("load", f"injected by {fault}")
    else:
        outcome, returned, value, failure = judge_return(fault.payload, size)
    return ended(
        DispatchedTask(delivery, fault, 0.0), worker, began, running, outcome, failure, returned, value
    ), retry_request

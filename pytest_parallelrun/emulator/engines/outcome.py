"""The outcome of an attempt, for all engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.engines.protocol import Task
from pytest_parallelrun.emulator.engines.tracebacks import failure_of
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, Outcome
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.output import Written, count_returned, returned_type, wrong_type_message
from pytest_parallelrun.emulator.policy import classify_return
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.emulator.worker.result_serializer import SerializationError, decode

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.timeouts import AttemptLimits
    from pytest_parallelrun.emulator.worker.messages import Raised, Returned


INJECTED = ("raises", "times_out", "crashes", "returns", "load_fails")
"""Faults that happen without a call of run()."""


class DispatchedTask(NamedTuple):
    """A task that was sent to a worker. loading: seconds for loading its mini-batch.

    packed: a table that the worker still has to unpack, which counts as loading.
    """

    task: Task
    fault: Fault | None
    loading: float
    packed: bool = False

    def ended(
        self, judgement: Judgement, *, worker: int, began: float, running: float, written: Written | None = None
    ) -> AttemptEnded:
        """The event. began: when run() was called, or would have been, in seconds since the start of the job."""
        return attempt_ended(
            self.task,
            judgement,
            fault=self.fault,
            worker=worker,
            started=began - self.loading,
            loading=self.loading,
            running=running,
            written=written,
        )


class Judgement(NamedTuple):
    """How an attempt ended. `value` is a copy of the result of run(), `returned` the number of its elements."""

    outcome: Outcome
    failure: Failure | None = None
    returned: int | None = None
    value: object = None

    def after_output(self, output: str) -> Judgement:
        """The same with what the attempt printed, which is kept where it failed."""
        return self if self.failure is None else self._replace(failure=self.failure._replace(output=output))


def attempt_ended(
    task: Task,
    judgement: Judgement,
    *,
    fault: Fault | None,
    worker: int,
    started: float,
    loading: float,
    running: float,
    written: Written | None = None,
) -> AttemptEnded:
    """The event. started: start of loading, in seconds since the start of the job."""
    outcome, failure, returned, value = judgement
    return AttemptEnded(
        mini_batch=task.mini_batch,
        number=task.number,
        worker=worker,
        outcome=outcome,
        returned=returned,
        value=value,
        started=started,
        loading=loading,
        running=running,
        failure=failure,
        fault=fault,
        written=written,
    )


def judge_value(value: object, size: int) -> Judgement:
    """What run() returned in this process for `size` items."""
    count = count_returned(value)
    if count is None:
        error = wrong_type_message(value)
        return Judgement("wrong_type", Failure(phase="return", error=error, returned_type=returned_type(value)))
    copy = list(value) if isinstance(value, (list, tuple)) else value.copy()  # type: ignore[attr-defined]
    return _judge_count(count, size, copy)


def _judge_count(count: int, size: int, value: object) -> Judgement:
    outcome = classify_return(count, size)
    failure = None
    if outcome == "short":
        error = f"run() returned {count_text(count, 'result')} for {count_text(size, 'item')}, {size - count:,} missing"
        failure = Failure(phase="return", error=error)
    return Judgement(outcome, failure, count, value)


def judge_returned(message: Returned, dispatched: DispatchedTask, limits: AttemptLimits) -> Judgement:
    """run() returned in a worker process."""
    if message.running >= limits.of_run(dispatched.loading):
        return Judgement("timeout", limits.killed_after(message.running, late=True))
    if message.failure is not None:
        return Judgement("wrong_type" if message.count is None else "exception", Failure.from_plain(message.failure))
    value = message.value
    if message.encoded is not None:
        try:
            value = decode(message.encoded)
        except SerializationError as error:
            return Judgement("exception", Failure(phase="return", error=str(error)))
    assert message.count is not None
    return _judge_count(message.count, dispatched.task.mini_batch.size, value)


def judge_raised(message: Raised, dispatched: DispatchedTask, limits: AttemptLimits) -> Judgement:
    """run() raised in a worker process, or unpacking its mini-batch did."""
    failure = Failure.from_plain(message.failure)
    if failure.phase == "load":
        return Judgement("load_error", failure)
    if message.running >= limits.of_run(dispatched.loading):
        return Judgement("timeout", limits.killed_after(message.running, late=True))
    return Judgement("exception", failure)


def judge_loading(failure: Failure | None, loading: float, limits: AttemptLimits) -> Judgement | None:
    """The mini-batch could not be loaded in time or at all; None if run() can start."""
    if failure is not None:
        return Judgement("load_error", failure)
    failure = limits.too_long_loading(loading)
    return None if failure is None else Judgement("timeout", failure)


def judge_fault(fault: Fault, size: int, timeout: Failure) -> Judgement:
    """A fault of INJECTED happened. timeout: the engine's message on an attempt that exceeds its limit."""
    if fault.kind == "raises":
        return Judgement("exception", failure_of("run", fault.exception()))
    if fault.kind == "times_out":
        return Judgement("timeout", timeout)
    if fault.kind == "crashes":
        return Judgement("crashed", Failure(phase="run", error=f"the worker process died: injected by {fault}"))
    if fault.kind == "load_fails":
        return Judgement("load_error", Failure(phase="load", error=f"injected by {fault}"))
    return judge_value(fault.payload, size)


def dropped_by(fault: Fault | None) -> int:
    """Number of results of an attempt to drop."""
    return cast("int", fault.payload) if fault is not None and fault.kind == "drops" else 0


def ends_worker(attempt: AttemptEnded, *, survives_faults: bool) -> bool:
    """Whether its worker is gone."""
    injected = attempt.fault is not None and attempt.fault.kind in ("times_out", "crashes")
    return attempt.outcome in ("timeout", "crashed") and not (injected and survives_faults)

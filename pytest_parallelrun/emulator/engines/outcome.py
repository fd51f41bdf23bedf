"""The limits and the outcome of an attempt, for all engines."""

from __future__ import annotations

import pickle
from typing import NamedTuple, cast

from pytest_parallelrun.emulator.clock import WAITING
from pytest_parallelrun.emulator.engines.protocol import Task
from pytest_parallelrun.emulator.engines.tracebacks import failure_of
from pytest_parallelrun.emulator.events import AttemptEnded, Failure, Outcome, Phase
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.output import Written, count_returned, returned_type, wrong_type_message
from pytest_parallelrun.emulator.policy import classify_return, init_limit
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import LoadError, MiniBatch, Splitter, count_text
from pytest_parallelrun.emulator.worker.messages import Raised, Returned
from pytest_parallelrun.emulator.worker.result_serializer import SerializationError, decode

INJECTED = ("raises", "times_out", "crashes", "returns", "load_fails")
"""Faults that happen without a call of run()."""


class AttemptLimits:
    """The limits of a job, in seconds. probe_limit: for run() of generated mini-batches.

    overhead: for loading, and for sending results. coming_up: for an import, init() or shutdown().
    """

    def __init__(self, settings: JobSettings, probe_limit: float | None = None) -> None:
        self.timeout = float(settings.timeout)
        self.overhead = float(settings.task_overhead_timeout)
        self.probe_limit = probe_limit
        self.coming_up = init_limit(self.timeout)
        self._whole_attempt = settings.rules.attempt_limit == "with_overhead"
        self._longest = self.timeout + self.overhead if self._whole_attempt else self.timeout

    def of_run(self, loading: float) -> float:
        """Seconds for run() after this many for loading."""
        return self._longest - loading if self._whole_attempt else self._longest

    def of_loading(self, so_far: float) -> float:
        return self.of_run(so_far) if self._whole_attempt else self.overhead - so_far

    def over_loading(self) -> Failure:
        if self._whole_attempt:
            return self.over(late=False, ended="killed")
        return Failure(phase="load", error=f"loading took longer than task_overhead_timeout = {self.overhead:g} s")

    def too_long_loading(self, loading: float) -> Failure | None:
        """The failure of a mini-batch after this many seconds of loading; None if run() can start."""
        return None if self._whole_attempt or loading < self.overhead else self.over_loading()

    def over_returning(self) -> Failure:
        """run() was in time, but its result did not arrive in time."""
        limit = f"task_overhead_timeout = {self.overhead:g} s"
        return Failure(phase="return", error=f"run() returned, but sending its result back took longer than {limit}")

    def over(
        self, *, late: bool, interruptions: int = 0, slept_ahead: float = 0.0, ended: str = "interrupted"
    ) -> Failure:
        """run() took too long. late: it returned by itself, afterwards.

        interruptions: number of interrupts; slept_ahead: seconds of skipped sleep. ended: what else was done to it.
        """
        limit_names = "timeout + task_overhead_timeout" if self._whole_attempt else "timeout"
        ending = "returned after" if late else f"was {ended} at"
        times = f"; it ignored {interruptions} interrupts" if interruptions > 1 else ""
        advice = "use --parallelrun-set clock=real if the script waits for an external system"
        skipped = f"; {slept_ahead:.3g} s of it is simulated sleep ({advice})" if slept_ahead else ""
        return Failure(
            phase="run", error=f"run() {ending} its limit of {self._longest:g} s ({limit_names}){skipped}{times}"
        )

    def killed_after(self, running: float, used: float = 0.0, *, late: bool = False) -> Failure:
        """The same in a worker process, after this many seconds, `used` of them on the processor."""
        if self.probe_limit is not None and running < self._longest:
            return over_probe(self.probe_limit, running, used)
        return self.over(late=late, ended="killed")

    def over_coming_up(self, phase: Phase) -> str:
        """The message on an import, init() or shutdown() that took too long."""
        return f"{phase} took longer than {self.coming_up:g} s (3 x timeout + 30)"


def over_probe(probe_limit: float, passed: float, used: float) -> Failure:
    """run() exceeded the limit for many mini-batches; the numbers are those of `probe_time_left`."""
    how = "waiting, not working: for a socket, a lock, a sleep or the like" if used < WAITING * passed else "working"
    return Failure(
        phase="run",
        error=f"run() was interrupted after {max(passed, probe_limit):.3g} s {how} (limit of generated mini-batches: "
        f"{probe_limit:.3g} s)",
    )


class DispatchedTask(NamedTuple):
    """A task that was given to a worker. loading: seconds for loading its mini-batch.

    packed: a table that the worker still has to unpack, which counts as loading.
    """

    task: Task
    fault: Fault | None
    loading: float = 0.0
    packed: bool = False

    @property
    def drops(self) -> int:
        """Number of results that a fault removes."""
        return cast("int", self.fault.payload) if self.fault is not None and self.fault.kind == "drops" else 0

    def ended(
        self, judgement: Judgement, *, worker: int, began: float, running: float, written: Written | None = None
    ) -> AttemptEnded:
        """The event. began: when run() was called, or would have been, in seconds since the start of the job."""
        return AttemptEnded(
            mini_batch=self.task.mini_batch,
            number=self.task.number,
            worker=worker,
            outcome=judgement.outcome,
            returned=judgement.returned,
            value=judgement.value,
            started=began - self.loading,
            loading=self.loading,
            running=running,
            failure=judgement.failure,
            fault=self.fault,
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


def load(splitter: Splitter, mini_batch: MiniBatch, *, pack: bool = False) -> tuple[object, Failure | None]:
    """The argument of run(), or why it could not be loaded. pack: pickled if it is not a list."""
    try:
        payload: object = splitter.load(mini_batch)
    except LoadError as error:
        return None, Failure(phase="load", error=str(error))
    if not pack or type(payload) is list:
        return payload, None
    try:
        return pickle.dumps(payload, 5), None
    except Exception as error:
        reason = f"the rows cannot be sent to a worker process: {type(error).__name__}: {error}"
        return None, Failure(phase="load", error=reason)


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


def ends_worker(attempt: AttemptEnded, *, survives_faults: bool) -> bool:
    injected = attempt.fault is not None and attempt.fault.kind in ("times_out", "crashes")
    return attempt.outcome in ("timeout", "crashed") and not (injected and survives_faults)

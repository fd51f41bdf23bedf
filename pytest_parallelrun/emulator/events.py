"""The events of a job, in order.

Result, explanations, reports and timeline are created from these. Times are seconds since the start of the job, on the
script's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.output import Written
from pytest_parallelrun.emulator.service.missing_api import StandInGap
from pytest_parallelrun.emulator.splitting.model import MiniBatch

Outcome = Literal["succeeded", "short", "exception", "timeout", "wrong_type", "crashed", "load_error"]
MiniBatchStatus = Literal["succeeded", "failed", "unfinished"]
JobStatus = Literal["Completed", "Failed"]
Phase = Literal["import", "define", "init", "load", "run", "return", "shutdown"]
"""Where something failed; "define": the script was imported and lacks run()."""


class Frame(NamedTuple):
    """A frame of the user's own code: `line` from 1."""

    file: str
    line: int
    function: str


class ErrorInfo(NamedTuple):
    """An exception as plain values.

    type: its class, with the module unless it is a builtin ("FileNotFoundError", "json.decoder.JSONDecodeError").
    That of an exit by argparse is "argparse.SystemExit", with its objection. path: OSError.filename.
    module: ImportError.name. errno: OSError.errno, otherwise 0.
    """

    type: str
    message: str
    path: str = ""
    module: str = ""
    errno: int = 0


class Failure(NamedTuple):
    """Why something failed: `error` in one line; `traceback` with the frames of the user's code, or "".

    retry_request: code and delay of a ParallelRunException, None of any other exception.
    chain: the exception that was raised, then those that it was raised from; () where none was raised.
    frames: the user's own frames of the first of them, the last is where it was raised. returned_type: what run()
    returned, where that is no legal type. output: the end of what the attempt printed, as far as its engine knows.
    """

    phase: Phase
    error: str
    traceback: str = ""
    retry_request: tuple[str, float] | None = None
    chain: tuple[ErrorInfo, ...] = ()
    frames: tuple[Frame, ...] = ()
    returned_type: str = ""
    output: str = ""

    @property
    def exception(self) -> str:
        return self.chain[0].type if self.chain else ""

    @property
    def kind(self) -> tuple[object, ...]:
        """Equal for failures of one kind; texts are not, as they contain seconds, paths and addresses."""
        return self.phase, self.exception, self.frame, self.returned_type

    @property
    def retry(self) -> bool:
        """False if the script asked for no retry."""
        return self.retry_request is None or self.retry_request[0] != "Retry.NoRetry"

    @property
    def frame(self) -> Frame | None:
        """The line of the user's code where it was raised."""
        return self.frames[-1] if self.frames else None

    def to_plain(self) -> dict[str, Any]:
        """As a worker process sends it; `from_plain` reads it."""
        return {
            **self._asdict(),
            "chain": [info._asdict() for info in self.chain],
            "frames": [frame._asdict() for frame in self.frames],
        }

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> Failure:
        chain = tuple(ErrorInfo(**info) for info in fields.get("chain", ()))
        frames = tuple(Frame(**frame) for frame in fields.get("frames", ()))
        return cls(**{**fields, "chain": chain, "frames": frames})


class WorkerStarted(NamedTuple):
    """A worker imported the script and its init() returned.

    files: sizes of the files in its working folder at that time, which are not output of run().
    """

    worker: int
    instance: int
    started: float
    duration: float
    files: Mapping[str, int] = {}


class WorkerFailed(NamedTuple):
    """A worker could not be started: its import or init() failed, or took too long."""

    worker: int
    instance: int
    started: float
    duration: float
    failure: Failure


class WorkerStopped(NamedTuple):
    """A worker ended: at the end of the job, or earlier, for the reason given."""

    worker: int
    reason: str
    failure: Failure | None = None


class AttemptEnded(NamedTuple):
    """An attempt at a mini-batch ended, with or without a call of run().

    returned: number of results, None if the type is invalid. value: a copy of them.
    started: start of loading. loading, running: seconds in loading and in run().
    written: where a worker process appended the results.
    """

    mini_batch: MiniBatch
    number: int
    worker: int
    outcome: Outcome
    returned: int | None
    value: object
    started: float
    loading: float
    running: float
    failure: Failure | None
    fault: Fault | None
    written: Written | None = None


class MiniBatchEnded(NamedTuple):
    """A mini-batch ended, without further retries; `succeeded` and `failed` count items."""

    mini_batch: MiniBatch
    status: MiniBatchStatus
    succeeded: int
    failed: int


class JobEnded(NamedTuple):
    """`reason` contains the numbers; `exceeded` names the exceeded threshold, if any."""

    status: JobStatus
    reason: str | None
    exceeded: str | None
    duration: float


Event = WorkerStarted | WorkerFailed | WorkerStopped | AttemptEnded | MiniBatchEnded | JobEnded | StandInGap


class Progress(NamedTuple):
    """Processed mini-batches, their total (None while a table is being split), and the elapsed seconds."""

    processed: int
    total: int | None
    elapsed: float

    def __str__(self) -> str:
        """Source: recorded runs. The estimate assumes constant speed."""
        if not self.processed:
            return "No task has been processed yet."
        of = "" if self.total is None else f" of {self.total}"
        text = f"Processed {self.processed}{of} mini batches in {in_hours(self.elapsed)}."
        if self.total is None:
            return text
        remaining = self.elapsed / self.processed * (self.total - self.processed)
        return f"{text} Estimated remaining time {in_hours(remaining)}."


def in_hours(seconds: float) -> str:
    """Such as "5:02:14", in whole seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


SHORTEST = 1e-4
"""Seconds; less is not known exactly."""


def seconds_text(seconds: float) -> str:
    """Seconds with three significant digits."""
    if 0 < seconds < SHORTEST:
        return "less than 0.1 ms"
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"

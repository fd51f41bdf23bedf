"""What happens in a job, in the order in which it happens.

Result, explanations, report and timeline are all made from these; nothing is collected twice. Times are
seconds since the start of the job, on the clock of the workers.
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
    """One exception, as values that outlive it.

    type: its class, with the module where that is no builtin ("FileNotFoundError", "json.decoder.JSONDecodeError").
    path: OSError.filename. module: ImportError.name. errno: OSError.errno, 0 where there is none.
    """

    type: str
    message: str
    path: str = ""
    module: str = ""
    errno: int = 0


class Failure(NamedTuple):
    """Why something failed: `error` in one line, `traceback` with the frames of the user's code, or "", for people.

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
        """The class of the exception that was raised, "" where none was."""
        return self.chain[0].type if self.chain else ""

    @property
    def retry(self) -> bool:
        """False where the script asked not to be tried again."""
        return self.retry_request is None or self.retry_request[0] != "Retry.NoRetry"

    @property
    def frame(self) -> Frame | None:
        """The line of the user's code where it was raised."""
        return self.frames[-1] if self.frames else None

    def to_plain(self) -> dict[str, Any]:
        """As it crosses from a worker process; `from_plain` is the way back."""
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

    files: what was in its working folder then, with sizes: no output of run().
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
    """One call of run() for a mini-batch, or an attempt at one.

    returned: number of results, None when there were none of a legal type. value: a copy of them.
    started: when loading it began, as if that had been right before run(). loading, running: seconds spent on loading
    the mini-batch, which ends where run() begins, and in run(). written: where a worker process has
    appended the results.
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
    """A mini-batch will not be tried again; `succeeded` and `failed` count items."""

    mini_batch: MiniBatch
    status: MiniBatchStatus
    succeeded: int
    failed: int


class JobEnded(NamedTuple):
    """`reason` has the arithmetic; `exceeded` names the setting that was exceeded, if one was."""

    status: JobStatus
    reason: str | None
    exceeded: str | None
    duration: float


Event = WorkerStarted | WorkerFailed | WorkerStopped | AttemptEnded | MiniBatchEnded | JobEnded | StandInGap


class Progress(NamedTuple):
    """Mini-batches that were processed, of how many (None while a table is being split), after so many seconds."""

    processed: int
    total: int | None
    elapsed: float

    def __str__(self) -> str:
        """Source: recorded runs; the estimate takes what is to come to be like what was."""
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

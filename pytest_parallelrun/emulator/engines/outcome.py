"""What is said of an attempt that came back, or did not come back in time, and of what a script left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pytest_parallelrun.emulator.events import Failure, Outcome
from pytest_parallelrun.emulator.output import count_returned, wrong_type_message
from pytest_parallelrun.emulator.policy import classify_return

_MOST_NAMED = 5


class Returned(NamedTuple):
    """What run() returned, judged. `value` is a copy of it, `results` their number; both None for a wrong type."""

    outcome: Outcome
    results: int | None
    value: object
    failure: Failure | None


def judge_return(value: object, size: int) -> Returned:
    """Holds what run() returned against the `size` items that it got."""
    count = count_returned(value)
    if count is None:
        return Returned("wrong_type", None, None, Failure("return", wrong_type_message(value)))
    copy = list(value) if isinstance(value, (list, tuple)) else value.copy()  # type: ignore[attr-defined]
    outcome = classify_return(count, size)
    if outcome != "short":
        return Returned(outcome, count, copy, None)
    return Returned(outcome, count, copy, short_by(count, size))


def short_by(count: int, size: int) -> Failure:
    """run() returned fewer results than it got items."""
    return Failure("return", f"run() returned {count} result(s) for {size} item(s), {size - count} missing")


def over_time(
    limit: str, *, late: bool, interruptions: int = 0, slept_ahead: float = 0.0, ended: str = "interrupted"
) -> Failure:
    """run() took too long. limit: such as "60 s (timeout)". late: it came back on its own, afterwards.

    interruptions: how often it was interrupted; slept_ahead: seconds of sleep that were skipped. ended: what was done
    to it otherwise.
    """
    how = "returned after" if late else f"was {ended} at"
    times = f", {interruptions} times in vain" if interruptions > 1 else ""
    advice = "if the script waits for something outside, --parallelrun-set clock=real"
    skipped = f", {slept_ahead:.3g} s of it skipped sleep; {advice}" if slept_ahead else ""
    return Failure("run", f"run() {how} its limit of {limit}{times}{skipped}")


def over_probe(probe: float) -> Failure:
    """run() took longer than mini-batches may of which many are tried."""
    return Failure("run", f"run() was interrupted after {probe:.3g} s, the limit of generated mini-batches")


def left_running(threads: Sequence[str]) -> str:
    """What is said of threads that a script left, by their names."""
    return f"the script left {len(threads)} thread(s) running: {', '.join(threads[:_MOST_NAMED])}"


def left_open(files: Sequence[str]) -> str:
    """What is said of files that a script left open, by their paths."""
    return f"the script left {len(files)} file(s) open: {', '.join(files[:_MOST_NAMED])}"

"""Limits of an attempt, and the messages if it exceeds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.clock import WAITING
from pytest_parallelrun.emulator.events import Failure, Phase
from pytest_parallelrun.emulator.policy import init_limit

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.settings import JobSettings


def over_time(
    limit: str, *, late: bool, interruptions: int = 0, slept_ahead: float = 0.0, ended: str = "interrupted"
) -> Failure:
    """run() took too long. limit: such as "60 s (timeout)". late: it returned by itself, afterwards.

    interruptions: number of interrupts; slept_ahead: seconds of skipped sleep. ended: what else was done to it.
    """
    ending = "returned after" if late else f"was {ended} at"
    times = f"; it ignored {interruptions} interrupts" if interruptions > 1 else ""
    advice = "use --parallelrun-set clock=real if the script waits for an external system"
    skipped = f"; {slept_ahead:.3g} s of it is simulated sleep ({advice})" if slept_ahead else ""
    return Failure(phase="run", error=f"run() {ending} its limit of {limit}{skipped}{times}")


def over_probe(probe_limit: float, passed: float, used: float) -> Failure:
    """run() exceeded the limit for many mini-batches; the numbers are those of `probe_time_left`."""
    how = "waiting, not working: for a socket, a lock, a sleep or the like" if used < WAITING * passed else "working"
    return Failure(
        phase="run",
        error=f"run() was interrupted after {max(passed, probe_limit):.3g} s {how} (limit of generated mini-batches: "
        f"{probe_limit:.3g} s)",
    )


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
        """Seconds left for loading."""
        return self.of_run(so_far) if self._whole_attempt else self.overhead - so_far

    def over_loading(self) -> Failure:
        """Loading has taken too long."""
        if self._whole_attempt:
            return self.over(late=False, ended="killed")
        return Failure(phase="load", error=f"loading took longer than task_overhead_timeout = {self.overhead:g} s")

    def too_long_loading(self, loading: float) -> Failure | None:
        """The failure of a mini-batch after this many seconds of loading; None if run() can start."""
        return None if self._whole_attempt or loading < self.overhead else self.over_loading()

    def over_returning(self) -> Failure:
        """run() was in time, but its result did not arrive in time."""
        limit = f"task_overhead_timeout = {self.overhead:g} s"
        error = f"run() returned, but sending its result back took longer than {limit}"
        return Failure(phase="return", error=error)

    def over(
        self, *, late: bool, interruptions: int = 0, slept_ahead: float = 0.0, ended: str = "interrupted"
    ) -> Failure:
        """run() took too long; the arguments are those of `over_time`."""
        limit_names = "timeout + task_overhead_timeout" if self._whole_attempt else "timeout"
        return over_time(
            f"{self._longest:g} s ({limit_names})",
            late=late,
            interruptions=interruptions,
            slept_ahead=slept_ahead,
            ended=ended,
        )

    def killed_after(self, running: float, used: float = 0.0, *, late: bool = False) -> Failure:
        """The same in a worker process, after this many seconds, `used` of them on the processor.

        late: it returned before it was killed.
        """
        if self.probe_limit is not None and running < self._longest:
            return over_probe(self.probe_limit, running, used)
        return self.over(late=late, ended="killed")

    def over_coming_up(self, phase: Phase) -> str:
        """The message on an import, init() or shutdown() that took too long."""
        return f"{phase} took longer than {self.coming_up:g} s (3 x timeout + 30)"

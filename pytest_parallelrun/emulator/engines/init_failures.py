"""How often workers may fail to come up: the limits of the service, counted for an instance and for the job.

Source: the article on debugging the ParallelRunStep. Failures count while no worker comes up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.policy import INIT_GRACE, init_failures_allowed, job_init_failures_allowed

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.events import Failure
    from pytest_parallelrun.emulator.settings import JobSettings


class InitFailures:
    """The failures of each instance, and of the job, since a worker of it was last up."""

    def __init__(self, settings: JobSettings) -> None:
        self._instances = settings.instance_count
        self._workers = settings.max_concurrency_per_instance
        self._of_instance = [0] * settings.instance_count
        self._of_job = 0
        self._last: Failure | None = None

    def add(self, instance: int, failure: Failure) -> None:
        """A worker of that instance did not come up."""
        self._of_instance[instance] += 1
        self._of_job += 1
        self._last = failure

    def forget(self, instance: int | None) -> None:
        """A worker of the instance is up; None: one of the job."""
        if instance is None:
            self._of_job = 0
        else:
            self._of_instance[instance] = 0

    def given_up(self, instance: int, elapsed: float, *, starting: int = 0) -> bool:
        """Whether no further worker is started there; elapsed: seconds since the start of the job.

        starting: workers of the instance of which it is not known yet, and which may be the last ones.
        """
        if self._of_instance[instance] + starting >= init_failures_allowed(self._workers):
            return True
        allowed = job_init_failures_allowed(self._instances, self._workers)
        return elapsed > INIT_GRACE and self._of_job >= allowed

    def reason(self) -> str:
        """Why there is no worker left."""
        if self._last is None or not self._of_job:
            return "the script stopped all workers (ParallelRunException with Retry.StopProcess)"
        what = "init()" if self._last.phase == "init" else "loading the entry script"
        return (
            f"{what} failed {self._of_job} time(s) and no worker is left; an instance is given up after "
            f"3 x max_concurrency_per_instance = {init_failures_allowed(self._workers)} failures. "
            f"Last error: {self._last.error}"
        )

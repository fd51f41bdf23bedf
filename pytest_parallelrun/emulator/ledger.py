"""The running counts of a job: attempts in, rulings and exceeded thresholds out; and of workers that do not start.

The job keeps one ledger; a second one, fed with the recorded attempts, gives the verdict under other rules.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from pytest_parallelrun.emulator.events import Failure, JobStatus, Outcome
from pytest_parallelrun.emulator.policy import (
    INIT_GRACE,
    Exceeded,
    Limits,
    Ruling,
    Tally,
    exceeded_threshold,
    init_failures_allowed,
    job_init_failures_allowed,
    rule_on_attempt,
)
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting.model import InputKind, MiniBatch, count_text


@dataclass(frozen=True, kw_only=True)
class JobOutcome:
    """The outcome of a job under a set of rules; reason: why it fails.

    missing_items: failed items that were lost in mini-batches that did not fail.
    """

    status: JobStatus
    reason: str | None
    failed_items: int
    failed_mini_batches: int
    missing_items: int


class Ledger:
    """Counts of mini-batches and items, kept by the rules of `settings`."""

    def __init__(self, settings: JobSettings, kind: InputKind, total_mini_batches: int | None) -> None:
        rules = settings.rules
        self.total_mini_batches = total_mini_batches
        self.processed = 0
        self.succeeded_mini_batches = 0
        self.failed_mini_batches = 0
        self.succeeded_items = 0
        self.failed_items = 0
        self.missing_items = 0
        self._max_attempts = settings.max_retries + 1
        self._short_return = rules.short_return
        self._pending_counts = rules.threshold_check == "pending"
        self._given_up_is_one = rules.failed_unit == "partition" and kind == "tabular"
        self._awaiting_retry: set[int] = set()
        self._limits = Limits(
            error_threshold=settings.error_threshold,
            mini_batch_error_threshold=settings.mini_batch_error_threshold,
            allowed_failed_percent=settings.allowed_failed_percent,
        )
        self._unlimited = self._limits == Limits()

    def record(
        self,
        mini_batch: MiniBatch,
        outcome: Outcome,
        *,
        number: int,
        returned: int | None,
        failure: Failure | None = None,
    ) -> Ruling:
        """Counts an attempt with this outcome; the ruling says whether its mini-batch ended with it."""
        ruling = rule_on_attempt(
            outcome,
            number=number,
            max_attempts=self._max_attempts,
            size=mini_batch.size,
            returned=returned,
            short_return=self._short_return,
            retry_allowed=failure is None or failure.retry,
        )
        if ruling.retry:
            self._awaiting_retry.add(mini_batch.id)
            return ruling
        if ruling.failed and self._given_up_is_one and outcome != "short":
            ruling = ruling._replace(failed_items=1)
        if self._awaiting_retry:
            self._awaiting_retry.discard(mini_batch.id)
        self.processed += 1
        self.succeeded_items += ruling.succeeded
        self.failed_items += ruling.failed_items
        if ruling.failed:
            self.failed_mini_batches += 1
        else:
            self.succeeded_mini_batches += 1
            self.missing_items += ruling.failed_items
        return ruling

    def without_thresholds(self) -> Ledger:
        """A copy that continues counting, and that nothing exceeds."""
        other = copy(self)
        other._awaiting_retry = set(self._awaiting_retry)
        other._unlimited = True
        return other

    def outcome(self, reason: str | None) -> JobOutcome:
        """The counts of a job that fails for this reason, or completes without one."""
        return JobOutcome(
            status="Completed" if reason is None else "Failed",
            reason=reason,
            failed_items=self.failed_items,
            failed_mini_batches=self.failed_mini_batches,
            missing_items=self.missing_items,
        )

    def exceeded(self) -> Exceeded | None:
        """The threshold that is exceeded now. Under threshold_check "pending", mini-batches waiting for a retry count
        too.
        """
        if self._unlimited:
            return None
        failed = self.failed_mini_batches
        if self._pending_counts:
            failed += len(self._awaiting_retry)
        return exceeded_threshold(Tally(self.failed_items, failed, self.total_mini_batches), self._limits)


class InitFailures:
    """The failures of each instance, and of the job, since a worker of it last ran."""

    def __init__(self, settings: JobSettings) -> None:
        self._instances = settings.instance_count
        self._workers = settings.max_concurrency_per_instance
        self._of_instance = [0] * settings.instance_count
        self._of_job = 0
        self._last: Failure | None = None

    def add(self, instance: int, failure: Failure) -> None:
        self._of_instance[instance] += 1
        self._of_job += 1
        self._last = failure

    def forget(self, instance: int | None) -> None:
        """A worker of the instance runs; None: one of the job."""
        if instance is None:
            self._of_job = 0
        else:
            self._of_instance[instance] = 0

    def given_up(self, instance: int, elapsed: float, *, starting: int = 0) -> bool:
        """Whether no further worker is started there; elapsed: seconds since the start of the job.

        starting: workers of the instance that are still starting, and may be the last ones.
        """
        if self._of_instance[instance] + starting >= init_failures_allowed(self._workers):
            return True
        allowed = job_init_failures_allowed(self._instances, self._workers)
        return elapsed > INIT_GRACE and self._of_job >= allowed

    def reason(self) -> str:
        if self._last is None or not self._of_job:
            return "the script stopped all workers (ParallelRunException with Retry.StopProcess)"
        cause = "init()" if self._last.phase == "init" else "loading the entry script"
        return (
            f"{cause} failed {count_text(self._of_job, 'time')}, so no worker is left (limit: 3 x "
            f"max_concurrency_per_instance = {init_failures_allowed(self._workers)} failures for each instance). "
            f"Last error: {self._last.error}"
        )

"""The decisions of the service as pure functions: counts in, decision out. No clock, no threads, no state.

Sources: the articles on parallel jobs and their YAML reference; where these and the observed service differ, `Rules`
decides.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from pytest_parallelrun.emulator.events import Outcome
from pytest_parallelrun.emulator.rules import ShortReturn
from pytest_parallelrun.emulator.splitting.model import count_text


class Ruling(NamedTuple):
    """The meaning of an attempt for its mini-batch. `succeeded` and `failed_items` are its counts if it ends."""

    retry: bool
    failed: bool
    succeeded: int
    failed_items: int


def classify_return(returned: int, size: int) -> Outcome:
    """More results than items are valid, so only fewer have an outcome of their own."""
    return "short" if returned < size else "succeeded"


def rule_on_attempt(
    outcome: Outcome,
    *,
    number: int,
    max_attempts: int,
    size: int,
    returned: int | None,
    short_return: ShortReturn,
    retry_allowed: bool = True,
) -> Ruling:
    """Whether the mini-batch is retried, and its counts after this attempt.

    number: of this attempt, from 1. max_attempts: of a mini-batch, 1 + max_retries.
    The last attempt decides the counts: an exception, a timeout, a crash, a load error or a wrong type fails all items,
    a short return the missing ones.
    """
    if outcome == "succeeded":
        return Ruling(retry=False, failed=False, succeeded=size, failed_items=0)
    retry = retry_allowed and number < max_attempts
    if outcome == "short":
        kept = returned or 0
        if short_return == "items_only":
            return Ruling(retry=False, failed=False, succeeded=kept, failed_items=size - kept)
        return Ruling(retry=retry, failed=True, succeeded=kept, failed_items=size - kept)
    return Ruling(retry=retry, failed=True, succeeded=0, failed_items=size)


class Tally(NamedTuple):
    """The counts that are compared with thresholds. `total_mini_batches`: None until all are known."""

    failed_items: int
    failed_mini_batches: int
    total_mini_batches: int | None


class Limits(NamedTuple):
    """The three thresholds; -1 and 100 percent switch one off. 0 allows no failure."""

    error_threshold: int = -1
    mini_batch_error_threshold: int = -1
    allowed_failed_percent: float = 100


NO_RESULT = (
    "no item succeeded, so there is no row to append: with output_action append_row the service fails such a "
    "job whatever the thresholds (NoResultToAppendError)"
)


class Exceeded(NamedTuple):
    """An exceeded threshold, and its numbers as text."""

    setting: str
    arithmetic: str


def exceeded_threshold(tally: Tally, limits: Limits) -> Exceeded | None:
    """The first threshold that a count is greater than."""
    failed, batches, total = tally
    if 0 <= limits.error_threshold < failed:
        return Exceeded(
            "error_threshold",
            f"{count_text(failed, 'failed item')} > error_threshold {limits.error_threshold}",
        )
    if 0 <= limits.mini_batch_error_threshold < batches:
        return Exceeded(
            "mini_batch_error_threshold",
            f"{count_text(batches, 'failed mini-batch')} > "
            f"mini_batch_error_threshold {limits.mini_batch_error_threshold}",
        )
    percent = limits.allowed_failed_percent
    # Exact arithmetic: 57 of 10,000 do not exceed 0.57 percent, although as floats they do.
    if percent < 100 and batches and total and batches * 100 > Fraction(repr(percent)) * total:
        return Exceeded(
            "allowed_failed_percent",
            f"{batches} of {count_text(total, 'mini-batch')} failed = {100 * batches / total:.4g} % > "
            f"allowed_failed_percent {percent:g}",
        )
    return None


def init_failures_allowed(workers_per_instance: int) -> int:
    """Failed init() calls that stop an instance none of whose workers is running.

    Source: the article on debugging the ParallelRunStep, 3 x process_count_per_node.
    """
    return 3 * workers_per_instance


def job_init_failures_allowed(instances: int, workers_per_instance: int) -> int:
    """Failed init() calls of a job older than INIT_GRACE seconds that stop it (same article)."""
    return 2 * instances * workers_per_instance


INIT_GRACE = 120.0


def init_limit(timeout: float) -> float:
    """Seconds for init(), after which the service sees no progress (same article)."""
    return 3 * timeout + 30

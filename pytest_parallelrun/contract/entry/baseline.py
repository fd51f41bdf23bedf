"""The one run of the whole sample that the checks of an entry share, under the job's own settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.phrases import items_text, rows_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.sample_copy import SampleCopy
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.result import JobResult
    from pytest_parallelrun.emulator.splitting.model import ItemName


@dataclass(frozen=True)
class Baseline:
    """The result of that run on a copy of the sample, and what checks ask of it. seconds: that it really took."""

    result: JobResult
    sample: SampleCopy
    seconds: float = math.inf

    @property
    def first_mini_batch_works(self) -> bool:
        """Whether run() returned something legal for mini-batch 0 at its first attempt."""
        return any(
            attempt.mini_batch.id == 0 and attempt.number == 1 and attempt.returned is not None
            for attempt in self.result.attempts
        )

    def items(self, attempt: AttemptEnded) -> str:
        """Names of the items of an attempt's mini-batch; rows of a table as a range."""
        names = self.item_names(attempt)
        return rows_text(names) if self.result.splitter_kind != "files" else items_text(names)

    def item_names(self, attempt: AttemptEnded) -> tuple[ItemName, ...]:
        """The items of an attempt's mini-batch one by one."""
        names = self.result.names_of(attempt.mini_batch)
        return tuple(self.sample.item_name(name) for name in names)

    def explain(self) -> str:
        """The job in words."""
        return self.sample.without_root(self.result.explain())

    def first_error(self) -> str:
        """The first error of an attempt, told where no item at all succeeded, or ''."""
        if self.result.succeeded_items:
            return ""
        failure = next((attempt.failure for attempt in self.result.attempts if attempt.failure is not None), None)
        return "" if failure is None else f"No item succeeded. The first error: {failure.error}"

    def why_nothing_returned(self) -> str:
        """Why there is no return value to judge."""
        if not self.result.attempts:
            return f"run() was never called: {self.result.reason}"
        failure = self.result.attempts[0].failure
        return f"run() never returned anything to count: {failure.error if failure else 'it got no items'}"

    def first_traceback(self) -> str:
        """The first traceback of the user's code in this run, or ''."""
        failures = [
            *(event.failure for event in self.result.worker_failures),
            *(attempt.failure for attempt in self.result.attempts if attempt.failure is not None),
        ]
        return next((failure.traceback for failure in failures if failure.traceback), "")

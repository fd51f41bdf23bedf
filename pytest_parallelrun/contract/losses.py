"""The finding for a sample of which every mini-batch fails: its cause first, the verdict of the job in a line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.cases.case import case_of
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.known_causes import hints
from pytest_parallelrun.contract.phrases import sentences, shown_for
from pytest_parallelrun.contract.wrong_input import wrong_kind_of_input
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure, Outcome

_FAILS: dict[Outcome, str] = {
    "timeout": "run() takes too long",
    "crashed": "run() ends its worker process",
    "wrong_type": "run() returns no results",
    "load_error": "The input cannot be loaded",
}


def finding_of_total_failure(entry: EntryUnderTest, baseline: Baseline, *, job: str, service: str) -> Finding:
    """The finding if run() fails for the whole sample.

    job: the outcome of the job, appended to its counts. service: what it shows besides the attempts.
    """
    first = baseline.losing_attempts[0]
    failure = first.failure
    assert failure is not None
    result = baseline.result
    which = "the only mini-batch" if result.total_mini_batches == 1 else "every mini-batch"
    others = {attempt.failure.error for attempt in baseline.losing_attempts if attempt.failure is not None}
    mistaken = wrong_kind_of_input(entry, baseline, first)
    known = mistaken.fix if mistaken is not None else hints(baseline.shown_failures(), entry)
    return Finding(
        what=sentences(
            f"{_FAILS.get(first.outcome, 'run() raises')} for {which}: {failure.error}",
            "" if mistaken is None else mistaken.evidence,
            f"Other mini-batches fail with other errors, of {len(others)} in all." if len(others) > 1 else "",
        ),
        location=baseline.location_of(first),
        traceback=failure.traceback,
        counts=f"{result.failed_mini_batches} of {count_text(result.total_mini_batches, 'mini-batch')} "
        f"and {result.failed_items} of {count_text(result.total_items, 'item')} failed, in "
        f"{count_text(len(result.attempts), 'attempt')}; {job}",
        service=f"{service}{shown_for(first.outcome)}",
        fix=known or _at_the_line(first, failure),
        cause=baseline.cause_of_losses(),
        case=case_of(entry, first),
    )


def _at_the_line(attempt: AttemptEnded, failure: Failure) -> str:
    frame = failure.frame
    if attempt.outcome == "timeout":
        return "find the loop or the wait that does not end, or give the job a larger timeout"
    if attempt.outcome == "crashed":
        return "raise an exception instead of ending the process; if native code dies, check its input first"
    if frame is None:
        return ""
    function = "" if frame.function.startswith("<") else f", in {frame.function}()"
    return (
        f"correct line {frame.line} of {os.path.basename(frame.file)}{function}, or what it is given: every mini-batch "
        "meets it, whatever the thresholds"
    )

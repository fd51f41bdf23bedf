"""Run() is missing, has the wrong parameters, is async or a generator; init() takes parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.entry.observers import SeenFunctions
from pytest_parallelrun.contract.entry.preconditions import startup_failure, why_no_worker
from pytest_parallelrun.contract.finding import Cause, Finding
from pytest_parallelrun.contract.phrases import shown_for_phase

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest


def test_entry_defines_run(parallelrun_entry: EntryUnderTest, parallelrun_check: Check) -> None:
    """run(mini_batch) or run(mini_batch, context) exists, init() takes nothing, run() returns its results."""
    __tracebackhide__ = True
    startup = parallelrun_entry.probe_startup(init=False, observer=SeenFunctions)
    failure = startup_failure(startup)
    if failure is not None and failure.phase == "define":
        parallelrun_check.fail(
            Finding(what=failure.error, service=shown_for_phase("define"), cause=Cause.of_failure(failure)),
        )
    if failure is not None:
        parallelrun_check.cannot_decide(why_no_worker(failure))
    problems, default = cast("tuple[list[str], str | None]", startup.observed[0])
    if problems:
        parallelrun_check.fail(Finding(what="\n".join(problems)))
    if default is not None:
        parallelrun_check.advise(
            "Azure ML passes the mini-batch context as the second positional argument of run(), so the default of "
            f"'{default}' is never used. Make it a module variable or a keyword-only parameter, after a '*'."
        )

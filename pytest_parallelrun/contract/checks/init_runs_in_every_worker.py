"""The init() of a second worker fails or disturbs the first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.preconditions import startup_failure, why_no_worker
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.known_causes import hints
from pytest_parallelrun.contract.phrases import sentences, shown_for, shown_for_phase
from pytest_parallelrun.emulator.folders import is_in_job_folder

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure


def test_init_runs_in_every_worker(
    parallelrun_entry: EntryUnderTest,
    parallelrun_check: Check,
    parallelrun_observations: Observations | None,
) -> None:
    """A second worker starts on the same machine, and the first one still works."""
    __tracebackhide__ = True
    first, second, attempt = _two_workers(parallelrun_entry, parallelrun_observations)
    if first is not None and first.phase != "init":
        parallelrun_check.cannot_decide(why_no_worker(first))
    if first is not None or second is not None:
        failure = second or first
        which = "init() fails" if first else "init() fails in the second worker of a machine"
        assert failure is not None
        parallelrun_check.fail(
            Finding(
                what=f"{which}: {failure.error}",
                location=Location(phase="init"),
                traceback=failure.traceback,
                counts="" if first else "every worker process calls init(), several at a time on each machine",
                service=shown_for_phase("init"),
                fix=sentences(
                    _on_existing(failure, in_first=first is not None),
                    hints([failure], parallelrun_entry),
                ),
                cause=Cause.of_failure(failure),
            )
        )
    if attempt is not None and attempt.failure is not None and attempt.outcome != "short":
        alone = parallelrun_entry.probe_startup(first_attempt=True).attempt
        if alone is None or (alone.failure is not None and alone.outcome != "short"):
            parallelrun_check.cannot_decide(
                "run() fails intermittently, also with a single worker, so the second init() may not be the cause: "
                f"{attempt.failure.error}"
            )
        parallelrun_check.fail(
            Finding(
                what=f"After the init() of a second worker, run() of the first one fails: {attempt.failure.error}",
                location=Location(phase="run", mini_batch=attempt.mini_batch.id),
                traceback=attempt.failure.traceback,
                service=shown_for(attempt.outcome),
                fix="It succeeds while the first worker is alone: the two share something, such as a file, that "
                "init() creates again. Give it a name that is unique to the process.",
                cause=Cause.of_attempt(attempt),
            )
        )


def _two_workers(
    entry: EntryUnderTest, observations: Observations | None
) -> tuple[Failure | None, Failure | None, AttemptEnded | None]:
    """Why one of two workers did not start, and the first attempt of the first one, if there is a sample."""
    if observations is None or not observations.asked:
        startup = entry.probe_startup(workers=2)
        return startup_failure(startup, 0), startup_failure(startup, 1), None
    screening = observations.screening
    attempt = screening.first_attempt
    if screening.start_error is None:
        return None, None, attempt
    worker, failure = screening.start_error
    return (failure, None, None) if worker == 0 else (None, failure, None)


def _on_existing(failure: Failure, *, in_first: bool) -> str:
    """The meaning of a FileExistsError in init(); only a later worker can meet an earlier one."""
    if failure.exception != "FileExistsError":
        return ""
    path = failure.chain[0].path
    sentences = ["It exists already." if in_first else "An earlier worker made it."]
    # Every worker process has its own folder, so only an absolute path can meet that of another run.
    if os.path.isabs(path) and not is_in_job_folder(path):
        sentences.append(
            f"'{path}' lies outside the folders of the job: every later run on the same machine fails as well."
        )
    return " ".join([*sentences, "Create folders with os.makedirs(path, exist_ok=True)."])

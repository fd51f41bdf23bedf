"""The script cannot be imported the way a worker imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.preconditions import startup_failure
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.known_causes import hints
from pytest_parallelrun.contract.phrases import shown_for_phase

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest


def test_entry_imports(parallelrun_entry: EntryUnderTest, parallelrun_check: Check) -> None:
    """The script can be imported the way a worker imports it."""
    __tracebackhide__ = True
    failure = startup_failure(parallelrun_entry.probe_startup(init=False))
    if failure is None or failure.phase != "import":
        return
    alone = startup_failure(parallelrun_entry.probe_startup(init=False, runtime_arguments=False))
    if alone is None or alone.phase != "import":
        parallelrun_check.cannot_decide(
            f"only the runtime's own arguments make it fail ({failure.error}); see test_accepts_runtime_arguments"
        )
    entry = parallelrun_entry.entry
    parallelrun_check.fail(
        Finding(
            what=f"A worker cannot import the entry script: {failure.error}",
            location=Location(
                phase="import",
                detail=f" of '{entry.module_name}'; of your folders only the code root '{entry.code_root}' is on "
                "sys.path, and the working folder is another one",
            ),
            traceback=failure.traceback,
            service=shown_for_phase("import"),
            fix=hints([failure], parallelrun_entry),
            cause=Cause.of_failure(failure),
        )
    )

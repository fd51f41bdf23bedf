"""The runtime's own arguments in sys.argv break the script."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.entry.observers import RecordedParsers, abbreviated, misplaced
from pytest_parallelrun.contract.entry.preconditions import startup_failure
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import ERROR_LOG

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observers import Parsing
    from pytest_parallelrun.emulator.probe import StartupResult


def _parsings(rehearsal: StartupResult) -> tuple[list[Parsing], list[str]]:
    """What RecordedParsers told of the one worker; nothing where it died."""
    return cast("tuple[list[Parsing], list[str]]", rehearsal.observed[0]) if rehearsal.observed else ([], [])


def test_accepts_runtime_arguments(parallelrun_entry: EntryUnderTest, parallelrun_check: Check) -> None:
    """Import and init() work with the runtime's own arguments in sys.argv, and read their own from it."""
    __tracebackhide__ = True
    rehearsed = parallelrun_entry.probe_startup(observer=RecordedParsers)
    own = parallelrun_entry.probe_startup(observer=RecordedParsers, runtime_arguments=False)
    failure, failure_without = startup_failure(rehearsed), startup_failure(own)
    (with_runtime, complaints), (without, _) = _parsings(rehearsed), _parsings(own)
    if failure is not None:
        if failure_without is not None:
            parallelrun_check.cannot_decide(
                f"{failure_without.phase} fails without the runtime's arguments too: {failure_without.error}"
            )
        parallelrun_check.fail(
            Finding(
                what=f"The script works with its own arguments alone, and fails in {failure.phase} when the runtime's "
                f"are in sys.argv: {failure.error}"
                + "".join(f"\nargparse says: {complaint}" for complaint in complaints[-1:]),
                location=Location(phase=failure.phase),
                traceback=failure.traceback,
                service=f"exit code 42, the usage text of argparse in {ERROR_LOG}",
                fix="The service puts its own arguments before yours. Use "
                "`args, _ = parser.parse_known_args()`, with ArgumentParser(allow_abbrev=False).",
                cause=Cause.of_failure(failure),
            )
        )
    taken = abbreviated(with_runtime, without)
    if taken:
        parallelrun_check.fail(
            Finding(
                what="\n".join(
                    f"argparse takes the runtime's {flag} for your {option}, of which it is the beginning: "
                    f"{option} becomes {got!r} where it should be {wanted!r}."
                    for flag, option, got, wanted in taken
                ),
                service="nothing: the script goes on with a value that nobody gave it",
                fix="Make the parser with ArgumentParser(allow_abbrev=False).",
            )
        )
    positional = misplaced(with_runtime, without)
    if positional:
        parallelrun_check.fail(
            Finding(
                what="\n".join(
                    f"Your positional argument {name!r} gets {got!r}, which is among the runtime's own arguments"
                    + (f", where it should get {wanted!r}." if wanted is not None else "; yours has none.")
                    for name, got, wanted in positional
                ),
                service="nothing: the script goes on with a value that nobody gave it",
                fix="The service puts its own arguments before yours, so positions mean nothing. Use an option: "
                + ", ".join(f'parser.add_argument("--{name}")' for name, _, _ in positional)
                + ".",
            )
        )

"""The runtime's own arguments in sys.argv break the script."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.entry.observers import RecordedParsers
from pytest_parallelrun.contract.entry.preconditions import startup_failure, why_no_worker
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import ERROR_LOG
from pytest_parallelrun.emulator.arguments import PASSED_BY_THE_RUNTIME

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observers import Parsing
    from pytest_parallelrun.emulator.probe import StartupResult


# The thresholds are the user's own arguments as well, so they are not in that set.
RUNTIME_FLAGS = sorted(
    {*PASSED_BY_THE_RUNTIME, "--allowed_failed_count", "--allowed_failed_percent", "--error_threshold"}
)


def test_accepts_runtime_arguments(parallelrun_entry: EntryUnderTest, parallelrun_check: Check) -> None:
    """Import and init() work with the runtime's own arguments in sys.argv, and read their own from it."""
    __tracebackhide__ = True
    with_runtime_arguments = parallelrun_entry.probe_startup(observer=RecordedParsers)
    without_them = parallelrun_entry.probe_startup(observer=RecordedParsers, runtime_arguments=False)
    failure, failure_without = startup_failure(with_runtime_arguments), startup_failure(without_them)
    (with_runtime, complaints), (without, _) = _parsings(with_runtime_arguments), _parsings(without_them)
    if failure is not None:
        if failure_without is not None:
            parallelrun_check.cannot_decide(why_no_worker(failure_without))
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
    taken = _abbreviated(with_runtime, without)
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
    positional = _misplaced(with_runtime, without)
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


def _parsings(startup: StartupResult) -> tuple[list[Parsing], list[str]]:
    """What RecordedParsers saw in the one worker; nothing where it died."""
    return cast("tuple[list[Parsing], list[str]]", startup.observed[0]) if startup.observed else ([], [])


class Taken(NamedTuple):
    """A flag of the runtime that argparse took for an option of the script."""

    flag: str
    option: str
    got: object
    wanted: object


class Misplaced(NamedTuple):
    """A positional argument of the script that got a value of the runtime. `wanted`: None where none was given."""

    name: str
    got: object
    wanted: object


def _abbreviated(with_runtime: Sequence[Parsing], without: Sequence[Parsing]) -> list[Taken]:
    """The runtime's flags that changed a value because they begin like an option of the script.

    An option that the script declares under the very name of a runtime's flag reads it on purpose.
    """
    taken = []
    for parsed, expected in zip(with_runtime, without, strict=False):
        if not parsed.allow_abbrev:
            continue
        for flag in RUNTIME_FLAGS:
            if flag in parsed.options:
                continue
            for option, dest in parsed.options.items():
                got, wanted = parsed.values.get(dest), expected.values.get(dest)
                if option.startswith(flag) and got != wanted:
                    taken.append(Taken(flag, option, got, wanted))
    return taken


def _misplaced(with_runtime: Sequence[Parsing], without: Sequence[Parsing]) -> list[Misplaced]:
    """The positional arguments that took what the runtime put before the script's own.

    A parsing that failed without the runtime's arguments lacked the script's own.
    """
    misplaced = []
    for parsed, expected in zip_longest(with_runtime, without[: len(with_runtime)]):
        for name in parsed.positionals:
            got, wanted = parsed.values.get(name), None if expected is None else expected.values.get(name)
            if got != wanted:
                misplaced.append(Misplaced(name, got, wanted))
    return misplaced

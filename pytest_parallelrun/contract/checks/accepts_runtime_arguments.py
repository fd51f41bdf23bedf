"""The runtime's own arguments in sys.argv break the script."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.entry.parsings import RecordedParsers
from pytest_parallelrun.contract.entry.preconditions import startup_failure, why_no_worker
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import ERROR_LOG
from pytest_parallelrun.emulator.arguments import PASSED_BY_THE_RUNTIME
from pytest_parallelrun.emulator.folders import without_job_folder

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.entry.parsings import Parsing


# The thresholds can be the user's own arguments too, so they are not in this set.
RUNTIME_FLAGS = sorted(
    {*PASSED_BY_THE_RUNTIME, "--allowed_failed_count", "--allowed_failed_percent", "--error_threshold"}
)


def test_accepts_runtime_arguments(
    parallelrun_entry: EntryUnderTest, parallelrun_observations: Observations | None, parallelrun_check: Check
) -> None:
    """Import and init() work with the runtime's arguments in sys.argv, and read the script's own."""
    __tracebackhide__ = True
    pair = None if parallelrun_observations is None else parallelrun_observations.screening.pair
    if pair is not None:
        failure, with_runtime = None, _parsings(pair.observed)
    else:
        startup = parallelrun_entry.probe_startup(observer=RecordedParsers)
        failure, with_runtime = startup_failure(startup), _parsings(startup.observed)
    if failure is None and not any(parsed.positionals or _alike(parsed) for parsed in with_runtime):
        # No argument can be taken for another.
        return
    without_them = parallelrun_entry.probe_startup(observer=RecordedParsers, runtime_arguments=False)
    failure_without, without = startup_failure(without_them), _parsings(without_them.observed)
    if failure is not None:
        if failure_without is not None:
            parallelrun_check.cannot_decide(why_no_worker(failure_without))
        parallelrun_check.fail(
            Finding(
                what=f"The script fails during {failure.phase} on the extra arguments that Azure ML adds to sys.argv: "
                f"{failure.error}",
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
                    f"argparse reads the runtime's {flag} as an abbreviation of your {option}: "
                    f"{option} becomes {got!r} where it should be {wanted!r}."
                    for flag, option, got, wanted in taken
                ),
                service="no error: the script runs with a value you never passed",
                fix="Make the parser with ArgumentParser(allow_abbrev=False).",
            )
        )
    positional = _misplaced(with_runtime, without)
    if positional:
        parallelrun_check.fail(
            Finding(
                what="\n".join(
                    f"Your positional argument {name!r} is filled by one of the runtime's own arguments: {got!r}"
                    + (f" instead of {wanted!r}." if wanted is not None else "; you passed none.")
                    for name, got, wanted in positional
                ),
                service="no error: the script runs with a value you never passed",
                fix="The service puts its own arguments before yours, so positions mean nothing. Use an option: "
                + ", ".join(f'parser.add_argument("--{name}")' for name, _, _ in positional)
                + ".",
            )
        )


def _parsings(observed: Sequence[object]) -> list[Parsing]:
    """What RecordedParsers saw in the first worker, with paths like those of any other job; nothing if it died."""
    parsings = cast("list[Parsing]", observed[0]) if observed else []
    return [parsed._replace(values={**parsed.values, **_without_job_folders(parsed)}) for parsed in parsings]


def _without_job_folders(parsed: Parsing) -> dict[str, object]:
    return {name: without_job_folder(value) for name, value in parsed.values.items() if isinstance(value, str)}


class Taken(NamedTuple):
    """A runtime flag that argparse took for an option of the script."""

    flag: str
    option: str
    got: object
    wanted: object


class Misplaced(NamedTuple):
    """A positional argument that got a value of the runtime. `wanted`: None if none was given."""

    name: str
    got: object
    wanted: object


def _abbreviated(with_runtime: Sequence[Parsing], without: Sequence[Parsing]) -> list[Taken]:
    """The runtime's flags that changed a value because they abbreviate an option of the script.

    An option with the exact name of a runtime flag reads it on purpose.
    """
    taken = []
    for parsed, expected in zip(with_runtime, without, strict=False):
        for flag, option in _alike(parsed):
            dest = parsed.options[option]
            got, wanted = parsed.values.get(dest), expected.values.get(dest)
            if dest in parsed.given and got != wanted:
                taken.append(Taken(flag, option, got, wanted))
    return taken


def _alike(parsed: Parsing) -> list[tuple[str, str]]:
    """The runtime's flags that abbreviate an option of the script, with that option."""
    flags = [flag for flag in RUNTIME_FLAGS if flag not in parsed.options] if parsed.allow_abbrev else []
    return [(flag, option) for flag in flags for option in parsed.options if option.startswith(flag)]


def _misplaced(with_runtime: Sequence[Parsing], without: Sequence[Parsing]) -> list[Misplaced]:
    """The positional arguments that got the runtime's values.

    If parsing failed without the runtime's arguments, the script's own were missing.
    """
    misplaced = []
    for parsed, expected in zip_longest(with_runtime, without[: len(with_runtime)]):
        for name in parsed.positionals:
            got, wanted = parsed.values.get(name), None if expected is None else expected.values.get(name)
            if name in parsed.given and got != wanted:
                misplaced.append(Misplaced(name, got, wanted))
    return misplaced

"""Does a worker come up? Import, run(), the runtime's arguments, init() in every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pytest_parallelrun.contract.entry.observers import RecordedParsers, SeenFunctions, abbreviated, misplaced
from pytest_parallelrun.contract.finding import Cause, Finding, Location
from pytest_parallelrun.contract.phrases import ERROR_LOG, exists_already, hints, shown_for, shown_for_phase
from pytest_parallelrun.emulator.events import WorkerFailed

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observers import Parsing
    from pytest_parallelrun.emulator.events import Failure
    from pytest_parallelrun.emulator.probe import StartupResult


def _failure(rehearsal: StartupResult, worker: int = 0) -> Failure | None:
    event = rehearsal.workers[worker]
    return event.failure if isinstance(event, WorkerFailed) else None


def test_entry_imports(parallelrun_entry: EntryUnderTest, parallelrun_check: Check) -> None:
    """The import succeeds the way a worker imports."""
    __tracebackhide__ = True
    failure = _failure(parallelrun_entry.probe_startup(runtime_arguments=False, init=False))
    if failure is None or failure.phase != "import":
        return
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
            fix=_sentences(parallelrun_entry.where_is(failure.error), hints(failure.error, entry)),
            cause=Cause.of_failure(failure),
        )
    )


def test_entry_defines_run(parallelrun_entry: EntryUnderTest, parallelrun_check: Check) -> None:
    """run(mini_batch) or run(mini_batch, context) is there, init() takes nothing, run() returns its results."""
    __tracebackhide__ = True
    rehearsal = parallelrun_entry.probe_startup(init=False, runtime_arguments=False, observer=SeenFunctions)
    failure = _failure(rehearsal)
    if failure is not None and failure.phase == "define":
        parallelrun_check.fail(
            Finding(what=failure.error, service=shown_for_phase("define"), cause=Cause.of_failure(failure)),
        )
    if failure is not None:
        parallelrun_check.cannot_decide("the script does not import; see test_entry_imports")
    problems, default = cast("tuple[list[str], str | None]", rehearsal.observed[0])
    if problems:
        parallelrun_check.fail(Finding(what="\n".join(problems)))
    if default is not None:
        parallelrun_check.advise(
            f"The second parameter of run() gets the context of the mini-batch, whatever its name: '{default}' never "
            "has its default on the service. Make it a module variable or a keyword-only parameter, after a '*'."
        )


def _parsings(rehearsal: StartupResult) -> tuple[list[Parsing], list[str]]:
    """What RecordedParsers told of the one worker; nothing where it died."""
    return cast("tuple[list[Parsing], list[str]]", rehearsal.observed[0]) if rehearsal.observed else ([], [])


def test_accepts_runtime_arguments(parallelrun_entry: EntryUnderTest, parallelrun_check: Check) -> None:
    """Import and init() work with the runtime's own arguments in sys.argv, and read their own from it."""
    __tracebackhide__ = True
    rehearsed = parallelrun_entry.probe_startup(observer=RecordedParsers)
    own = parallelrun_entry.probe_startup(observer=RecordedParsers, runtime_arguments=False)
    failure, failure_without = _failure(rehearsed), _failure(own)
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


def test_init_runs_in_every_worker(
    parallelrun_entry: EntryUnderTest, parallelrun_check: Check, parallelrun_baseline: Baseline | None
) -> None:
    """A second worker on the same machine comes up, and the first one still works."""
    __tracebackhide__ = True
    first_works = parallelrun_baseline is not None and parallelrun_baseline.first_mini_batch_works
    rehearsal = parallelrun_entry.probe_startup(workers=2, first_attempt=first_works)
    first, second = _failure(rehearsal, 0), _failure(rehearsal, 1)
    if first is not None and first.phase != "init":
        parallelrun_check.cannot_decide(f"no worker comes up: {first.error}")
    if first is not None or second is not None:
        failure = second or first
        which = "init() fails in the first worker" if first else "init() fails in the second worker of a machine"
        assert failure is not None
        parallelrun_check.fail(
            Finding(
                what=f"{which}: {failure.error}",
                location=Location(phase="init"),
                traceback=failure.traceback,
                counts="" if first else "every worker process calls init(), several at a time on each machine",
                service=shown_for_phase("init"),
                fix=_sentences(
                    _on_existing(failure.error, in_first=first is not None),
                    hints(failure.error, parallelrun_entry.entry),
                ),
                cause=Cause.of_failure(failure),
            )
        )
    attempt = rehearsal.attempt
    if attempt is not None and attempt.failure is not None and attempt.outcome != "short":
        alone = parallelrun_entry.probe_startup(first_attempt=True).attempt
        if alone is None or (alone.failure is not None and alone.outcome != "short"):
            parallelrun_check.cannot_decide(
                "run() fails at times, also while there is one worker alone, so it need not be the second init(): "
                f"{attempt.failure.error}"
            )
        parallelrun_check.fail(
            Finding(
                what=f"After the init() of a second worker, run() of the first one fails: {attempt.failure.error}",
                location=Location(phase="run", mini_batch=attempt.mini_batch.id),
                traceback=attempt.failure.traceback,
                service=shown_for(attempt.outcome),
                fix="It succeeds while the first worker is alone: the two share something, such as a file, that "
                "init() makes anew. Give it a name that is unique to the process.",
                cause=Cause.of_attempt(attempt),
            )
        )


def _sentences(*texts: str) -> str:
    return "\n".join(filter(None, texts))


def _on_existing(error: str, *, in_first: bool) -> str:
    """What a FileExistsError in an init() means; an earlier worker can only have been there for a later one."""
    if not error.startswith("FileExistsError"):
        return ""
    outside = exists_already(error)
    which = "It exists already." if in_first else "An earlier worker made it."
    return " ".join(filter(None, [which, outside, "Create folders with os.makedirs(path, exist_ok=True)."]))

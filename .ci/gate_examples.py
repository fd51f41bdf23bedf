"""Gates every example script as a user would, and compares the report with expected.json.

python .ci/gate_examples.py                      all of them
python .ci/gate_examples.py sound/ iris_table    those with one of these texts in their name
python .ci/gate_examples.py --seeds 20           only what Hypothesis generates, once with each of 20 seeds
python .ci/gate_examples.py --engine process     with worker processes
"""

# ruff: noqa: T201  # printing is what it is for

from __future__ import annotations

import argparse
import atexit
import importlib
import importlib.util
import json
import os
import pkgutil
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "example_scripts"
GENERATED = ("handles_generated_mini_batches", "behaves_under_error_thresholds")
"""The checks that Hypothesis drives."""
CHECKS = "pytest_parallelrun.contract.checks"
PRELOADED = ("pandas", "hypothesis.strategies", "pytest", "pytest_parallelrun.plugin")
"""Imported once with the checks, before the process of each gate is forked: that takes half of the time of a gate."""
SLEEPING = ("flawed/close_to_the_timeout",)
"""Examples that sleep, which takes its time in worker processes: in hundreds of mini-batches, many minutes."""


MAX_INIT_CALLS = 30
MAX_OF_VALID = 8
"""Calls of init() for a valid example, worker processes included."""


class Expected(TypedDict):
    """An expected.json. `{scratch}` in an option is a folder that is removed afterwards.

    needs: packages without which the example is left out. failed, advice: exactly the checks with that outcome.
    job: some of its counts. max_init_calls: instead of MAX_OF_VALID, at most 10 for random results.
    """

    options: list[str]
    needs: NotRequired[list[str]]
    verdict: str
    failed: list[str]
    advice: list[str]
    job: dict[str, object]
    max_init_calls: NotRequired[int]


class Check(TypedDict):
    """A check of the JSON report, as far as it is compared."""

    name: str
    outcome: str


class Report(TypedDict):
    """An entry of the JSON report, as far as it is compared."""

    verdict: str
    init_calls: int
    job: dict[str, object] | None
    checks: list[Check]


@dataclass(frozen=True)
class Gated:
    """What came of one example. differences: a line for each."""

    name: str
    verdict: str
    init_calls: int
    output: str
    differences: list[str]
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of folder names; all examples without")
    parser.add_argument("--seeds", type=int, default=0, metavar="N", help="how many seeds to try")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="the first of them")
    parser.add_argument("--engine", default="inprocess", metavar="NAME", help="who executes attempts")
    arguments = parser.parse_args()
    files = sorted(EXAMPLES.rglob("expected.json"))
    if arguments.names:
        files = [file for file in files if any(part in name_of(file) + "/" for part in arguments.names)]
    left_out = [file for file in files if _missing(file)]
    for file in left_out:
        print(f"left out, without {', '.join(_missing(file))}: {name_of(file)}")
    files = [file for file in files if file not in left_out]
    if arguments.engine != "inprocess":
        files = [file for file in files if name_of(file) not in SLEEPING]
    if not files:
        print("there is no such example below example_scripts")
        return 1
    drawn = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    runs = [(file, seed) for seed in drawn or [None] for file in files]
    failures = 0
    valid: Counter[int] = Counter()
    for gated in gate_all(runs, arguments.engine):
        good = "FAILED" if gated.differences else "ok    "
        print(f"{good}  {gated.seconds:5.1f} s  {gated.init_calls:3} init() calls  {gated.name}: {gated.verdict}")
        if not (arguments.seeds or gated.name.startswith("flawed/")):
            valid[gated.init_calls] += 1
        if gated.differences:
            failures += 1
            print(gated.output, *gated.differences, sep="\n")
        # What a forked process finds unwritten it would write too.
        sys.stdout.flush()
    for calls, number in sorted(valid.items()):
        print(f"{calls:3} init() calls: {number} valid examples")
    print(f"{len(runs)} runs of {len(files)} examples, {failures} not as expected")
    return 1 if failures else 0


def _missing(file: Path) -> list[str]:
    """Packages that an example needs and that are not installed here."""
    needs: list[str] = json.loads(file.read_text(encoding="utf-8")).get("needs", [])
    return [name for name in needs if importlib.util.find_spec(name) is None]


def name_of(file: Path) -> str:
    """The folder of an expected.json, below example_scripts."""
    return file.parent.relative_to(EXAMPLES).as_posix()


def gate_all(runs: Sequence[tuple[Path, int | None]], engine: str) -> Iterator[Gated]:
    """Gates as many examples at once as there are processors."""
    for name in PRELOADED:
        importlib.import_module(name)
    for check in pkgutil.iter_modules(importlib.import_module(CHECKS).__path__, f"{CHECKS}."):
        importlib.import_module(check.name)
    waiting = list(runs)
    running: dict[int, Gate] = {}
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            gate = Gate(*waiting.pop(0), engine)
            running[gate.start()] = gate
        process, status = os.wait()
        yield running.pop(process).end(os.waitstatus_to_exitcode(status))


class Gate:
    """pytest for one example, in a process of its own; with a seed only the checks that Hypothesis drives."""

    def __init__(self, file: Path, seed: int | None, engine: str) -> None:
        self._file, self._seed, self._engine = file, seed, engine
        self._expected: Expected = json.loads(file.read_text(encoding="utf-8"))

    def start(self) -> int:
        """The id of the process."""
        self._started = time.monotonic()
        # No TemporaryDirectory: the forked process would remove it at its end.
        self._folder = folder = tempfile.mkdtemp()
        self._report = Path(folder, "report.json")
        self._log = Path(folder, "log.txt")
        options = [option.replace("{scratch}", folder) for option in self._expected["options"]]
        # The folder: a job definition names its script, the options need not.
        arguments = [str(self._file.parent), *options, f"--parallelrun-report={self._report}"]
        arguments += [f"--parallelrun-engine={self._engine}"]
        # What is imported already keeps its asserts as they are.
        arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        # The flaws of the examples are not to be annotated in a CI run of this project.
        ci = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "TF_BUILD")
        environment = {name: value for name, value in os.environ.items() if name not in ci}
        # None profits from what another one found, and without a seed all runs are the same.
        environment["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        arguments += [f"--hypothesis-profile={'ci' if self._seed is None else 'default'}"]
        if self._seed is not None:
            arguments += [f"--hypothesis-seed={self._seed}", "-k", " or ".join(GENERATED)]
        with warnings.catch_warnings():
            # Python 3.12 counts the threads of NumPy's library.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        return process or _run_pytest(arguments, environment, self._log)

    def end(self, code: int) -> Gated:
        """The process ended with this exit code."""
        expected, seed = self._expected, self._seed
        report: Report | None = None
        if self._report.is_file():
            [report] = json.loads(self._report.read_text(encoding="utf-8"))["entries"]
        differences = ["no report was written"]
        if report is not None:
            is_flawed = name_of(self._file).startswith("flawed/")
            differences = list(compare(expected, report, is_flawed=is_flawed, generated_only=seed is not None))
        wanted = 1 if any(failed in GENERATED or seed is None for failed in expected["failed"]) else 0
        if code != wanted:
            differences.append(f"exit code: expected {wanted}, got {code}")
        output = self._log.read_text(encoding="utf-8", errors="replace")
        shutil.rmtree(self._folder, ignore_errors=True)
        return Gated(
            name=name_of(self._file) if seed is None else f"{name_of(self._file)}, seed {seed}",
            verdict=expected["verdict"],
            init_calls=0 if report is None else report["init_calls"],
            output=output,
            differences=differences,
            seconds=time.monotonic() - self._started,
        )


def _run_pytest(arguments: list[str], environment: Mapping[str, str], log: Path) -> NoReturn:
    """What `python -m pytest` does, in a process that was forked for it, which ends here."""
    code = 70
    try:
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(ROOT)
        sys.path[0] = str(ROOT)
        sys.argv = ["pytest", *arguments]
        import pytest

        code = int(pytest.main(arguments))
        atexit._run_exitfuncs()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def compare(expected: Expected, report: Report, *, is_flawed: bool, generated_only: bool) -> Iterator[str]:
    """A line for each difference."""
    for outcome, names in (("failed", expected["failed"]), ("advice", expected["advice"])):
        wanted = [name for name in names if name in GENERATED or not generated_only]
        got = [check["name"] for check in report["checks"] if check["outcome"] == outcome]
        if sorted(got) != sorted(wanted):
            yield f"{outcome}: expected {wanted}, got {got}"
    if generated_only:
        return
    if report["verdict"] != expected["verdict"]:
        yield f"verdict: expected {expected['verdict']}, got {report['verdict']}"
    for name, value in expected["job"].items():
        job = report["job"] or {}
        if job.get(name) != value:
            yield f"job, {name}: expected {value}, got {job.get(name)}"
    most = MAX_INIT_CALLS if is_flawed else expected.get("max_init_calls", MAX_OF_VALID)
    if report["init_calls"] > most:
        yield f"init() calls: expected at most {most}, got {report['init_calls']}"


if __name__ == "__main__":
    sys.exit(main())

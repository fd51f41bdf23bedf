"""Gates every example script as a user would, and compares the report with expected.json.

python .ci/gate_examples.py                      all of them
python .ci/gate_examples.py sound/ iris_table    those with one of these texts in their name
python .ci/gate_examples.py --seeds 20           only what Hypothesis generates, once with each of 20 seeds
python .ci/gate_examples.py --engine process     with worker processes
"""

# ruff: noqa: T201  # printing is what it is for

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "example_scripts"
GENERATED = ("handles_generated_mini_batches", "behaves_under_error_thresholds")
"""The checks that Hypothesis drives."""
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
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for gated in pool.map(lambda run: gate(*run, arguments.engine), runs):
            good = "FAILED" if gated.differences else "ok    "
            print(
                f"{good}  {gated.seconds:5.1f} s  {gated.init_calls:3} init() calls  {gated.name}: {gated.verdict}",
                flush=True,
            )
            if not (arguments.seeds or gated.name.startswith("flawed/")):
                valid[gated.init_calls] += 1
            if gated.differences:
                failures += 1
                print(gated.output, *gated.differences, sep="\n")
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


def gate(file: Path, seed: int | None, engine: str) -> Gated:
    """Runs pytest for one example; with a seed only the checks that Hypothesis drives."""
    expected: Expected = json.loads(file.read_text(encoding="utf-8"))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        options = [option.replace("{scratch}", folder) for option in expected["options"]]
        # The folder: a job definition names its script, the options need not.
        command = [sys.executable, "-m", "pytest", str(file.parent), *options, f"--parallelrun-report={path}"]
        command += [f"--parallelrun-engine={engine}"]
        # The flaws of the examples are not to be annotated in a CI run of this project.
        ci = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "TF_BUILD")
        environment = {name: value for name, value in os.environ.items() if name not in ci}
        # None profits from what another one found, and without a seed all runs are the same.
        environment["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        command += [f"--hypothesis-profile={'ci' if seed is None else 'default'}"]
        if seed is not None:
            command += [f"--hypothesis-seed={seed}", "-k", " or ".join(GENERATED)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        report: Report | None = None
        if path.is_file():
            [report] = json.loads(path.read_text(encoding="utf-8"))["entries"]
    differences = ["no report was written"]
    if report is not None:
        is_flawed = name_of(file).startswith("flawed/")
        differences = list(compare(expected, report, is_flawed=is_flawed, generated_only=seed is not None))
    wanted = 1 if any(failed in GENERATED or seed is None for failed in expected["failed"]) else 0
    if done.returncode != wanted:
        differences.append(f"exit code: expected {wanted}, got {done.returncode}")
    name = name_of(file) if seed is None else f"{name_of(file)}, seed {seed}"
    return Gated(
        name=name,
        verdict=expected["verdict"],
        init_calls=0 if report is None else report["init_calls"],
        output=done.stdout,
        differences=differences,
        seconds=time.monotonic() - started,
    )


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

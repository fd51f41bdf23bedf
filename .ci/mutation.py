"""Mutation tests of the modules whose every decision counts: changes them in small ways, and counts who notices.

    python .ci/mutation.py [policy] [splitting] [job] [--jobs N]

Needs `pip install mutmut==3.8.1`, and a system with fork. Works in a copy of the checkout, and prints every mutant
that no test of its target fails on. Those that differ in nothing that shows count as survivors too, so that the
score is nobody's judgement. Exit code 1 where less than 90 % of the mutants of a target were killed.
"""

# ruff: noqa: T201  # printing is what it is for

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WANTED = 90
"""Percent of the mutants of a target."""

TARGETS = {
    "policy": (["pytest_parallelrun/emulator/policy.py"], ["tests/emulator/test_policy.py"]),
    "splitting": (["pytest_parallelrun/emulator/splitting/*"], ["tests/emulator/splitting"]),
    # Without the model and the state machine, which find by chance and take ten times as long as these.
    "job": (
        ["pytest_parallelrun/emulator/job.py", "pytest_parallelrun/emulator/scheduler.py"],
        [
            "tests/emulator/test_arguments.py",
            "tests/emulator/test_job.py",
            "tests/emulator/test_job_engine.py",
            "tests/emulator/test_job_output.py",
            "tests/emulator/test_job_set_up.py",
            "tests/emulator/test_job_thresholds.py",
            "tests/emulator/test_folders.py",
            "tests/emulator/test_logs.py",
            "tests/emulator/test_output.py",
            "tests/emulator/test_progress.py",
            "tests/emulator/test_recorded_runs.py",
        ],
    ),
}
"""What is mutated, and the tests that are to notice."""

OPTIONS = ["--override-ini=addopts=", "-pno:cacheprovider", "-pmutation_plugin", "--hypothesis-profile=mutation"]

PLUGIN = """
import signal

import pytest
from hypothesis import Phase, settings

# The same examples for every mutant and in every run, fewer than else; of a failure it only matters that there is one.
ci = settings.get_profile("ci")
settings.register_profile("mutation", ci, max_examples=25, phases=[Phase.explicit, Phase.generate])


def pytest_collection_modifyitems(items):
    # The first failure ends a mutant: quick tests go first.
    items.sort(key=lambda item: getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    # Many mutants never end. This is time of the processor: a busy machine kills nobody.
    signal.setitimer(signal.ITIMER_PROF, 6)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
"""

KILLED = {1, 3}
TIMED_OUT = {-27, -24, 24, 36, 152, 255, -9}
"""Exit codes of mutants that a limit of time ended: that of a test, above, or of mutmut for all of them."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation tests.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="mutants that are tested at once")
    options = parser.parse_args()
    targets: list[str] = options.targets or list(TARGETS)
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"{', '.join(sorted(unknown))}: give some of {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory() as scratch:
        enough = [run(target, Path(scratch, target), options.jobs) for target in targets]
    return 0 if all(enough) else 1


def run(target: str, folder: Path, jobs: int) -> bool:
    """Tests the mutants of a target, prints what came of it, and tells whether enough were killed."""
    mutated, tests = TARGETS[target]
    settings = {
        "source_paths": ["pytest_parallelrun"],
        "only_mutate": mutated,
        "pytest_add_cli_args": OPTIONS,
        "pytest_add_cli_args_test_selection": tests,
        "also_copy": ["mutation_plugin.py"],
        "timeout_multiplier": ["10"],
    }
    for name in ("pytest_parallelrun", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", folder)
    (folder / "mutation_plugin.py").write_text(PLUGIN, encoding="utf-8")
    lines = ["[mutmut]", *(f"{name}=\n    " + "\n    ".join(values) for name, values in settings.items())]
    (folder / "setup.cfg").write_text("\n".join([*lines, ""]), encoding="utf-8")
    mutmut = Path(sys.executable).with_name("mutmut")
    subprocess.run([mutmut, "run", f"--max-children={jobs}"], cwd=folder, check=True, stdout=sys.stderr)

    total = killed = 0
    for file, codes in results(folder):
        noticed = sum(code in KILLED | TIMED_OUT for code in codes.values())
        timed_out = sum(code in TIMED_OUT for code in codes.values())
        print(f"{file}: {noticed} of {len(codes)} mutants killed, {timed_out} of them by the time limit")
        for name, code in codes.items():
            if code not in KILLED | TIMED_OUT:
                shown = subprocess.run(
                    [mutmut, "show", name], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
                )
                print(f"exit code {code}", shown.stdout, sep="\n")
        total += len(codes)
        killed += noticed
    print(f"{target}: {killed} of {total} mutants killed = {100 * killed / total:.1f} %, wanted {WANTED} %")
    return 100 * killed >= WANTED * total


def results(folder: Path) -> Iterator[tuple[str, dict[str, int | None]]]:
    """Of each mutated file the exit codes of its mutants by their names."""
    for path in sorted((folder / "mutants").rglob("*.py.meta")):
        codes: dict[str, int | None] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        if codes:
            yield path.name.removesuffix(".meta"), codes


if __name__ == "__main__":
    sys.exit(main())

"""How many generated examples find the flaws of `generated_flaws.py`, with ten seeds each.

python -m tests.benchmarks.examples_needed                    a table of all of them
python -m tests.benchmarks.examples_needed "two copies"       of those with one of these texts
python -m tests.benchmarks.examples_needed --verify           whether no other check finds them
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from pytest_parallelrun._check_hooks import finding_in
from pytest_parallelrun._collection import contract_module
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.contract.check import Check
from pytest_parallelrun.contract.entry.baseline import run_baseline
from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
from pytest_parallelrun.contract.entry.observations import Observations
from pytest_parallelrun.contract.entry.questions import QUESTIONS
from pytest_parallelrun.contract.generation.runner import ExampleRunner
from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from pytest_parallelrun.emulator.settings import JobSettings
from tests.benchmarks.generated_flaws import FLAWS, SETTINGS, WRITERS, Flaw

GENERATED = tuple(check for check in CHECKS if check.name.startswith(("handles_generated", "behaves_under")))
NUMBERS = (5, 10, 15, 20, 30, 50, 100)
SEEDS = 10


class Study:
    """One script with its sample and what the gate knows of it by the time the generated checks run."""

    def __init__(self, flaw: Flaw, folder: Path) -> None:
        script, work = folder / "score.py", folder / "work"
        script.write_text(flaw.source, encoding="utf-8")
        work.mkdir()
        found = find_entry(script, None)
        assert isinstance(found, EntryFile)
        self.entry = EntryUnderTest(
            entry=found,
            settings=JobSettings(**SETTINGS[flaw.sample]),  # type: ignore[arg-type]
            arguments=(),
            models={},
            sample=str(WRITERS[flaw.sample](folder)),
            folder=work,
        )
        self.observations = Observations(self.entry, run_baseline(self.entry), QUESTIONS)
        self.tests = contract_module("score.py", GENERATED)

    def always(self) -> bool:
        """Whether what is tried in any case shows the flaw, whatever is drawn."""
        return any(self.fails(check.name, 1, 0) for check in GENERATED)

    def only_drawn(self) -> None:
        """From now on, nothing is tried but what is drawn."""
        self.observations._remembered.update({"edge cases": (), "plain jobs": ()})

    def fails(self, name: str, number: int, seed: int) -> bool:
        """Whether that check finds the flaw in so many examples."""
        inner = getattr(self.tests, f"test_{name}").hypothesis.inner_test
        chosen = hypothesis.settings(
            max_examples=number,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        test: Any = hypothesis.seed(seed)(chosen(given(data=st.data())(inner)))
        self.entry.init_calls.total = 0
        runner, check = ExampleRunner(self.observations), Check(strict=False)
        try:
            test(parallelrun_examples=runner, parallelrun_check=check)
        except Exception as error:
            if finding_in(error) is None:
                raise
            return True
        finally:
            runner.close()
        return False


@contextmanager
def study_of(flaw: Flaw) -> Iterator[Study]:
    with tempfile.TemporaryDirectory() as folder:
        yield Study(flaw, Path(folder))


def found_by_others(flaw: Flaw) -> list[str]:
    """The other checks that fail or give advice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "score.py").write_text(flaw.source, encoding="utf-8")
        options = [f"--parallelrun-set={key}={value}" for key, value in SETTINGS[flaw.sample].items()]
        pytest.main(
            [
                f"--rootdir={folder}",
                f"--parallelrun-entry={folder}/score.py",
                f"--parallelrun-input={WRITERS[flaw.sample](folder)}",
                f"--parallelrun-report={folder}/gate.json",
                *options,
                *("-q", "-pno:cacheprovider", "--no-header", "--no-summary"),
                *("-k", " and ".join(f"not {check.name}" for check in GENERATED)),
                str(folder),
            ]
        )
        [report] = json.loads((folder / "gate.json").read_text(encoding="utf-8"))["entries"]
    return [check["name"] for check in report["checks"] if check["outcome"] in ("failed", "advice")]


def verify(flaws: Sequence[Flaw]) -> int:
    wrong = 0
    for flaw in flaws:
        others = found_by_others(flaw)
        wrong += bool(others)
        print(f"@ {flaw.sample}: {flaw.says}: {', '.join(others) or 'no other check finds it'}", flush=True)
    return wrong


def measure(flaws: Sequence[Flaw], numbers: Sequence[int]) -> None:
    print("| script | " + " | ".join(map(str, numbers)) + " | seconds |", flush=True)
    for flaw in flaws:
        began = time.process_time()
        counts = ["always"] * len(numbers)
        with study_of(flaw) as study:
            if not study.always():
                study.only_drawn()
                able = [check.name for check in GENERATED]
                if not any(study.fails(able[1], max(numbers), seed) for seed in range(3)):
                    # Few flaws are of jobs, whose items are valid.
                    del able[1]
                found = [sum(any(study.fails(c, n, seed) for c in able) for seed in range(SEEDS)) for n in numbers]
                counts = list(map(str, found))
        seconds = time.process_time() - began
        print(f"| {flaw.sample}: {flaw.says} | {' | '.join(counts)} | {seconds:.1f} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", help="parts of what the flaws say; all of them without")
    parser.add_argument("--verify", action="store_true", help="gate each script once with all other checks")
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS, help="of examples")
    arguments = parser.parse_args()
    flaws = [f for f in FLAWS if not arguments.texts or any(t in f"{f.sample}: {f.says}" for t in arguments.texts)]
    if arguments.verify:
        return verify(flaws)
    measure(flaws, arguments.numbers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Hypothesis stays the user's: seeds, profiles, statistics and the example database work as everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import hypothesis
import pytest

from pytest_parallelrun.contract.generation.examples import EXAMPLES
from tests.conftest import Run, Write

# Items in the order of their names are always tried: this shows in what is drawn alone.
RETURNS_NONE_FOR_ANOTHER_ORDER = """
    def run(mini_batch):
        return [1] * len(mini_batch) if mini_batch == sorted(mini_batch) else None
"""
ONE = ("-k", "handles_generated")
# The database of this process is not that of the project in question.
hypothesis.settings.register_profile("plain", database=None)
PLAIN = "--hypothesis-profile=plain"


@pytest.fixture
def few_edge_cases() -> None:
    """All of them are tried here."""


@pytest.fixture
def flawed(project: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    # On a build server Hypothesis takes the profile "ci", which keeps no database.
    for name in ("CI", "TF_BUILD", "GITHUB_ACTIONS", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    write("score.py", RETURNS_NONE_FOR_ANOTHER_ORDER)
    return project


def drawn(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("mini-batch: ")]


def test_the_smallest_mini_batch_is_shown_as_it_can_be_pasted(flawed: Path, gate: Run) -> None:
    result = gate(*ONE, PLAIN)
    (line,) = drawn(result)
    # Two items are the fewest that show it.
    assert line.count("Item(") == 2
    result.stdout.no_fnmatch_line("*parallelrun_entry=*")
    result.stdout.no_fnmatch_line("*Traceback*hypothesis*")


@pytest.mark.slow
def test_the_saved_case_is_the_smallest_one(flawed: Path, gate: Run) -> None:
    gate(*ONE, PLAIN, "--parallelrun-save=cases")
    items = flawed / "cases" / "score" / "handles_generated_mini_batches" / "items"
    assert len([path for path in items.rglob("*") if path.is_file()]) == 2


def test_statistics_are_shown(flawed: Path, gate: Run) -> None:
    result = gate(*ONE, PLAIN, "--hypothesis-show-statistics")
    result.stdout.fnmatch_lines(["score.py::test_handles_generated_mini_batches:", "*during generate phase*"])


def test_a_seed_makes_two_runs_the_same(project: Path, gate: Run, write: Write) -> None:
    # The script notes what it gets; the mini-batches of both runs are compared.
    write(
        "score.py",
        """
        import os

        def run(mini_batch):
            print("got", [os.path.basename(path) for path in mini_batch])
            return list(mini_batch)
        """,
    )
    options = (*ONE, PLAIN, "--hypothesis-seed=5", "-s")
    first, second = (re.findall(r"got \[.*\]", gate(*options).stdout.str()) for _ in range(2))
    assert len(first) > 10
    assert first == second


@pytest.mark.parametrize(("profile", "most"), [("three", 3), ("ci", EXAMPLES)])
def test_only_a_profile_of_the_user_decides_how_many_mini_batches_are_made(
    project: Path, gate: Run, write: Write, profile: str, most: int
) -> None:
    write(
        "conftest.py",
        """
        from hypothesis import settings
        settings.register_profile("three", max_examples=3, database=None)
        """,
    )
    result = gate(*ONE, f"--hypothesis-profile={profile}", "--hypothesis-show-statistics")
    (found,) = re.findall(r"(\d+) passing", result.stdout.str())
    assert most - 1 <= int(found) <= most


@pytest.mark.slow
def test_the_database_has_the_failing_example_at_hand_in_the_next_run(flawed: Path, pytester: pytest.Pytester) -> None:
    command = ("--parallelrun-entry=score.py", "--parallelrun-input=data", "--hypothesis-show-statistics", *ONE)
    pytester.runpytest_subprocess(*command).stdout.fnmatch_lines(["*during generate phase*"])
    assert (flawed / ".hypothesis").is_dir()
    pytester.runpytest_subprocess(*command).stdout.fnmatch_lines(["*during reuse phase*"])


def test_hypothesis_reads_no_constants_of_the_plugin(project: Path, pytester: pytest.Pytester) -> None:
    # It would, as long as the plugin is installed in place, and take a second of each gate for it.
    pytester.runpytest_subprocess("--parallelrun-entry=score.py", "--parallelrun-input=data", *ONE)
    read = [path.read_text(encoding="utf-8") for path in (project / ".hypothesis/constants").glob("*")]
    assert not [text for text in read if "/pytest_parallelrun/" in text.splitlines()[0]]


def test_warnings_that_pytest_turns_into_errors_reach_no_check(project: Path, gate: Run, write: Write) -> None:
    # A worker that lived longer than a test would have the filters that pytest sets for the next one.
    write(
        "score.py",
        """
        import warnings

        def run(mini_batch):
            warnings.warn("old", DeprecationWarning)
            return list(mini_batch)
        """,
    )
    names = "same_in or independent or handles_generated or behaves_under"
    result = gate("-k", names, "-W", "error", PLAIN)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*a process of its own*")

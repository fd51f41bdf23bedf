from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL, assert_gated


@pytest.fixture
def nested(project: Path, write: Write) -> Path:
    """src/pipeline/score.py, which needs src/helpers.py."""
    write("src/helpers.py", "def shout(text):\n    return text.upper()\n")
    write(
        "src/pipeline/score.py",
        "from helpers import shout\n\ndef run(mini_batch):\n    return [shout(path) for path in mini_batch]\n",
    )
    return project


def run_nested(run_pytest: Run, *arguments: str) -> pytest.RunResult:
    return run_pytest("--parallelrun-entry=src/pipeline/score.py", "--parallelrun-input=data", *arguments)


def test_without_it_only_the_folder_of_the_script_is_importable(nested: Path, run_pytest: Run) -> None:
    result = run_nested(run_pytest, "-k", "entry_imports")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*No module named 'helpers'*"])


def test_it_is_the_folder_that_the_script_imports_from(nested: Path, run_pytest: Run) -> None:
    assert_gated(run_nested(run_pytest, "--parallelrun-code=src"), TOTAL)


def test_the_script_is_imported_by_its_dotted_name_below_it(nested: Path, run_pytest: Run, write: Write) -> None:
    write("src/pipeline/score.py", "def run(mini_batch):\n    return [__name__ for _ in mini_batch]\n")
    run_nested(
        run_pytest, "--parallelrun-code=src", "--parallelrun-output=out", "--parallelrun-set=output_action=append_row"
    )
    assert (nested / "out" / "parallel_run_step.txt").read_text() == "pipeline.score\n" * 3


def test_the_ini_twin_is_used(nested: Path, pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_code = src")
    assert_gated(run_nested(run_pytest), TOTAL)


def test_the_command_line_wins_over_the_ini_file(nested: Path, pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_code = src/pipeline")
    assert_gated(run_nested(run_pytest, "--parallelrun-code=src"), TOTAL)


def test_it_holds_for_a_script_that_a_test_names_in_a_call(nested: Path, run_pytest: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        def test_it(parallelrun):
            assert parallelrun("src/pipeline/score.py", "data").status == "Completed"
            assert not parallelrun("src/pipeline/score.py", "data").failed_items
        """,
    )
    run_pytest("--parallelrun-code=src", "test_mine.py").assert_outcomes(passed=1)

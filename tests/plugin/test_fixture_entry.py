from __future__ import annotations

from pathlib import Path

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL


def test_it_is_the_entry_of_the_options(project: Path, gate: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        def test_it(parallelrun_entry):
            assert parallelrun_entry.entry.label == "score.py"
            assert parallelrun_entry.job().succeeded_items == 3
            assert parallelrun_entry.job(["data/item_2.txt"], mini_batch_size=5).rows == ["item_2.txt: 2"]
        """,
    )
    gate("-k", "test_it").assert_outcomes(passed=1, deselected=TOTAL)


def test_a_test_runs_for_each_entry_there_is(project: Path, gate: Run, write: Write) -> None:
    write("other.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    write("test_mine.py", "def test_it(parallelrun_entry):\n    assert parallelrun_entry.job().succeeded_items == 3\n")
    result = gate("--parallelrun-entry=other.py", "-k", "test_it", "-v")
    result.assert_outcomes(passed=2, deselected=2 * TOTAL)
    result.stdout.fnmatch_lines(["*::test_it[[]score.py] PASSED*", "*::test_it[[]other.py] PASSED*"])


def test_with_one_entry_the_test_keeps_its_id(project: Path, gate: Run, write: Write) -> None:
    write("test_mine.py", "def test_it(parallelrun_entry): pass\n")
    result = gate("--collect-only", "-q")
    assert "test_mine.py::test_it" in result.outlines


def test_it_can_be_used_inside_given(project: Path, gate: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        from hypothesis import given, settings, strategies as st

        @settings(max_examples=5, deadline=None, database=None)
        @given(size=st.integers(1, 5))
        def test_it(parallelrun_entry, size):
            assert parallelrun_entry.job(mini_batch_size=size).succeeded_items == 3
        """,
    )
    gate("-k", "test_it").assert_outcomes(passed=1, deselected=TOTAL)


def test_it_takes_the_entry_of_the_marker(project: Path, run_pytest: Run, write: Write) -> None:
    write(
        "test_mine.py",
        """
        import pytest

        @pytest.mark.parallelrun(entry="score.py", input="data", mini_batch_size=2)
        def test_it(parallelrun_entry):
            assert parallelrun_entry.job().total_mini_batches == 2
        """,
    )
    run_pytest().assert_outcomes(passed=1)


def test_without_an_entry_the_test_fails_and_says_how_to_give_one(project: Path, run_pytest: Run, write: Write) -> None:
    write("test_mine.py", "def test_it(parallelrun_entry): pass\n")
    result = run_pytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the fixture parallelrun_entry needs --parallelrun-entry=PATH or @pytest.mark.*"])


def test_a_job_without_any_input_says_how_to_give_one(project: Path, run_pytest: Run, write: Write) -> None:
    write("test_mine.py", "def test_it(parallelrun_entry):\n    parallelrun_entry.job()\n")
    result = run_pytest("--parallelrun-entry=score.py", "-k", "test_it")
    result.assert_outcomes(failed=1, deselected=TOTAL)
    result.stdout.fnmatch_lines(["*there is no input: give --parallelrun-input=PATH.*"])


def test_a_conftest_beside_the_script_can_replace_it(project: Path, gate: Run, write: Write) -> None:
    write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="module")
        def parallelrun_entry(parallelrun_entry):
            print("replaced")
            return parallelrun_entry
        """,
    )
    result = gate("-s", "-k", "entry_imports")
    result.assert_outcomes(passed=1, deselected=TOTAL - 1)
    result.stdout.fnmatch_lines(["*replaced*"])

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.conftest import WHOLE
from tests.plugin.counts import NEED_INPUT, TOTAL, WITHOUT_INPUT


@pytest.fixture
def advised(project: Path, write: Write) -> Path:
    """Its one flaw is worth advice: the loss of a result, which a threshold set on purpose allows."""
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if '2' not in p.rpartition('_')[2]]\n")
    return project


ALLOWED = ("--parallelrun-set=error_threshold=1", "-k", "one_result or silent")


def test_without_it_advice_is_a_pass(advised: Path, gate: Run) -> None:
    result = gate(*ALLOWED)
    result.assert_outcomes(passed=2, deselected=TOTAL - 2)
    result.stdout.fnmatch_lines(["score.py: passed: 2 checks, 1 advice, *"])


def test_with_it_advice_fails(advised: Path, gate: Run) -> None:
    result = gate(*ALLOWED, "--parallelrun-strict")
    result.assert_outcomes(passed=1, failed=1, deselected=TOTAL - 2)
    result.stdout.fnmatch_lines(["(advice, which fails under --parallelrun-strict)"])


def test_with_it_a_check_that_could_not_be_made_fails(project: Path, run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-entry=score.py", "--parallelrun-strict", *WHOLE)
    result.assert_outcomes(passed=WITHOUT_INPUT, failed=NEED_INPUT)
    result.stdout.fnmatch_lines(["could not be checked: there is no sample input*"])


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--parallelrun-strict",), 1)])
def test_with_it_an_entry_whose_sample_was_not_judged_fails(
    project: Path, gate: Run, options: tuple[str, ...], code: int
) -> None:
    result = gate("-k", "entry_imports", *options)
    result.assert_outcomes(passed=1, deselected=TOTAL - 1)
    assert result.ret == code
    result.stdout.fnmatch_lines([f"score.py: {'failed' if code else 'incomplete'}: 1 check, *"])


def test_with_it_a_sound_script_passes(project: Path, gate: Run) -> None:
    gate("--parallelrun-strict", "-k", "returns or completes").assert_outcomes(passed=4, deselected=TOTAL - 4)


def test_the_ini_twin_is_used(advised: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_strict = true")
    gate(*ALLOWED).assert_outcomes(passed=1, failed=1, deselected=TOTAL - 2)


def test_advice_is_no_warning_that_could_become_an_error(advised: Path, gate: Run) -> None:
    gate(*ALLOWED, "-W", "error").assert_outcomes(passed=2, deselected=TOTAL - 2)

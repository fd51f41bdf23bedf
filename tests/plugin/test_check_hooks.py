"""What Hypothesis adds to a finding, without a run of it."""

from __future__ import annotations

import builtins

import pytest

import pytest_parallelrun
from pytest_parallelrun._check_hooks import MAX_EXAMPLE_LINES, example_of, finding_in
from pytest_parallelrun.contract.check import CheckFailed
from pytest_parallelrun.contract.finding import Finding

OURS = pytest_parallelrun.__path__[0]


def failed(what: str = "run() raises", *notes: str) -> CheckFailed:
    error = CheckFailed(Finding(what=what))
    error.__notes__ = list(notes)  # type: ignore[attr-defined]
    return error


class Several(Exception):
    """As an exception group has them, which Python 3.10 lacks."""

    def __init__(self, *parts: BaseException) -> None:
        super().__init__("several")
        self.exceptions = parts


class FlakyFailure(Several):
    """Named as that of Hypothesis."""


def test_a_finding_alone_is_itself() -> None:
    error = failed()
    assert finding_in(error) is error


def test_any_other_exception_holds_none() -> None:
    assert finding_in(ValueError("a mistake of the check")) is None


def test_of_several_findings_the_others_are_named() -> None:
    found = finding_in(Several(failed("first"), Several(failed("second")), failed("first")))
    assert found is not None
    assert str(found) == "first\n(Hypothesis also found: second)"


def test_a_mistake_beside_a_finding_does_not_go_unseen() -> None:
    assert finding_in(Several(failed(), ValueError("a mistake of the check"))) is None


def test_a_finding_that_did_not_come_again_is_told_as_such() -> None:
    found = finding_in(FlakyFailure(failed("run() raises"), RuntimeError("not again")))
    assert found is not None
    assert "run() raises\n(the same mini-batch did not show it again" in str(found)


def test_a_real_exception_group_is_looked_into() -> None:
    group = getattr(builtins, "ExceptionGroup", None)
    if group is None:
        pytest.skip("Python 3.10 has no exception groups")
    error = failed()
    assert finding_in(group("Hypothesis found 1 distinct failure", [error])) is error


def test_without_notes_there_is_no_example() -> None:
    assert example_of(CheckFailed(Finding(what="x"))) == ""


def test_what_was_drawn_is_shown_and_what_fixtures_gave_is_not() -> None:
    call = (
        "Falsifying example: test_it(\n    parallelrun_entry=EntryUnderTest(\n        entry=1,\n    ),\n"
        "    recipe=Files(\n        items=(),\n    ),\n    parallelrun_check=<Check>,\n)"
    )
    shown = "Falsifying example: test_it(\n    recipe=Files(\n        items=(),\n    ),\n)"
    assert example_of(failed("x", call, "Draw 1: [3]")) == f"{shown}\nDraw 1: [3]"


def test_a_call_that_tells_nothing_is_left_out() -> None:
    call = "Failing test case: test_it(\n    parallelrun_entry=1,\n    data=data(...),\n)"
    assert example_of(failed("x", call, "Draw 1: [3]")) == "Draw 1: [3]"


def test_lines_of_this_package_explain_nothing() -> None:
    ours = f"        {OURS}/contract/checks/handles_generated_mini_batches.py:76"
    start = "Explanation:\n    These lines were always and only run by failing examples:"
    assert example_of(failed("x", f"{start}\n{ours}")) == ""
    assert example_of(failed("x", f"{start}\n{ours}\n        /user/score.py:5")) == f"{start}\n        /user/score.py:5"


def test_a_decorator_for_a_test_that_is_not_the_users_is_left_out() -> None:
    assert example_of(failed("x", "You can reproduce this example by adding @reproduce_failure('6', b'AA')")) == ""


def test_a_long_example_is_cut() -> None:
    lines = example_of(failed("x", "\n".join(map(str, range(100))))).splitlines()
    assert len(lines) == MAX_EXAMPLE_LINES
    assert lines[-1] == "..."

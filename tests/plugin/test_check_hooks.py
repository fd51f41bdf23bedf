"""What Hypothesis adds to a finding, without a run of it."""

from __future__ import annotations

import builtins

import pytest

from pytest_parallelrun._check_hooks import MAX_EXAMPLE_LINES, example_of, finding_in
from pytest_parallelrun.contract.check import CheckFailed
from pytest_parallelrun.contract.finding import Finding


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
    call = "Failing test case: test_it(\n    parallelrun_entry=Entry(\n        1,\n    ),\n    data=data(...),\n)"
    decorator = "You can reproduce this example by adding @reproduce_failure('6', b'AA')"
    assert example_of(failed("x", call, "Draw 1: [3]", decorator)) == "Draw 1: [3]"


def test_a_long_example_is_cut() -> None:
    lines = "\n".join(map(str, range(100)))
    shown = example_of(failed("x", f"Draw 1: {lines}")).splitlines()
    assert len(shown) == MAX_EXAMPLE_LINES
    assert shown[-1] == "..."

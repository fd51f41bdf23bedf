"""Generated checks have a function of their own for each entry; the others are imported once."""

from __future__ import annotations

from pytest_parallelrun._collection import REPLAY, contract_module
from pytest_parallelrun.contract import CHECKS

GENERATED = {"handles_generated_mini_batches", "behaves_under_error_thresholds"}


def test_two_entries_share_no_function_of_hypothesis() -> None:
    checks = [*CHECKS, REPLAY]
    first, second = (contract_module(entry, checks) for entry in ("a.py", "b.py"))
    names = [f"test_{check.name}" for check in checks]
    assert {name for name in names if getattr(first, name) is not getattr(second, name)} == {
        f"test_{name}" for name in GENERATED
    }

"""The modules of the checks are executed anew for each entry, while no module of their name is known to Python."""

from __future__ import annotations

import sys

import pytest

from pytest_parallelrun._collection import CHECKS_PACKAGE, REPLAY, contract_module
from pytest_parallelrun.contract import CHECKS, CheckSpec

ALL = pytest.mark.parametrize("check", [*CHECKS, REPLAY], ids=lambda check: check.name)


@ALL
def test_a_check_is_executed_without_being_imported(check: CheckSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    # A dataclass in it would look for its module.
    monkeypatch.delitem(sys.modules, f"{CHECKS_PACKAGE}.{check.name}", raising=False)
    module = contract_module("score.py", [check])
    assert getattr(module, f"test_{check.name}").__module__ == f"{CHECKS_PACKAGE}.{check.name}"
    assert f"{CHECKS_PACKAGE}.{check.name}" not in sys.modules


@ALL
def test_two_entries_never_share_a_test_function(check: CheckSpec) -> None:
    name = f"test_{check.name}"
    first, second = (getattr(contract_module(entry, [check]), name) for entry in ("a.py", "b.py"))
    assert first is not second

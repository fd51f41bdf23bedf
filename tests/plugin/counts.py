"""How many tests a gate has."""

from __future__ import annotations

import pytest

from pytest_parallelrun.contract import CHECKS

TOTAL = sum(not check.needs_environment for check in CHECKS)
"""Where nobody names an environment."""
WITH_ENVIRONMENT = len(CHECKS)
"""Where the job file names one."""
WITHOUT_INPUT = sum(not check.needs_input for check in CHECKS if not check.needs_environment)
NEED_INPUT = TOTAL - WITHOUT_INPUT


def assert_gated(result: pytest.RunResult, tests: int) -> None:
    """All of so many tests ran, and none failed; which checks can decide anything depends on the script."""
    outcomes = result.parseoutcomes()
    assert outcomes.keys() <= {"passed", "skipped"}, outcomes
    assert sum(outcomes.values()) == tests, outcomes

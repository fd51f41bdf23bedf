"""How many tests a gate has."""

from __future__ import annotations

import pytest

from pytest_parallelrun.contract import CHECKS

ALWAYS = [check for check in CHECKS if not check.needs_environment and not check.needs_golden]
NAMES = [check.name for check in ALWAYS]
TOTAL = len(NAMES)
"""Where nobody names an environment or golden output."""
WITH_ENVIRONMENT = sum(not check.needs_golden for check in CHECKS)
"""Where the job file names an environment."""
WITHOUT_INPUT = sum(not check.needs_input for check in ALWAYS)
NEED_INPUT = TOTAL - WITHOUT_INPUT


def assert_gated(result: pytest.RunResult, tests: int) -> None:
    """There were so many tests, and none failed; which checks can decide anything depends on the script."""
    outcomes = result.parseoutcomes()
    assert outcomes.keys() <= {"passed", "skipped", "deselected"}, outcomes
    assert outcomes["passed"]
    assert sum(outcomes.values()) == tests, outcomes

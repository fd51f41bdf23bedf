"""How many tests a gate has."""

from __future__ import annotations

from pytest_parallelrun.contract import CHECKS

TOTAL = len(CHECKS)
WITHOUT_INPUT = sum(not check.needs_input for check in CHECKS)
NEED_INPUT = TOTAL - WITHOUT_INPUT

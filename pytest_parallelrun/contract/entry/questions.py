"""What checks ask a fresh worker, or the one that is asked everything first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.corruption.items import CORRUPTION, ask_corruption
from pytest_parallelrun.contract.dependence.run_time import TIMES, ask_times

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.observations import Ask

QUESTIONS: Mapping[str, Ask] = {CORRUPTION: ask_corruption, TIMES: ask_times}

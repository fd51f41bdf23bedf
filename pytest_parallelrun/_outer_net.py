"""The limit of pytest-timeout around each generated test, for what the timeout of the emulated job cannot end."""

from __future__ import annotations

import os

import pytest

from pytest_parallelrun._collection import entry_module_of
from pytest_parallelrun.emulator.settings import JobSettings

WITHOUT_WAITING = 600
"""Seconds for all that a test does beside waiting for mini-batches: import, init(), copies of the sample."""
LONGEST_MINI_BATCHES = 10
"""Mini-batches in one test that may take all their time and all their tries."""
GENERATION = 300
"""Seconds for the mini-batches that Hypothesis makes, where no budget says more."""


def outer_net(settings: JobSettings, budget: float | None) -> float:
    """Seconds that one generated test may take: a job within its limits is never cut short by it in practice."""
    waiting = LONGEST_MINI_BATCHES * settings.timeout * (settings.max_retries + 1)
    return WITHOUT_WAITING + waiting + max(GENERATION, budget or 0)


class OuterNet:
    """Puts the limit around the generated tests, where the user has not set one."""

    def __init__(self, budget: float | None) -> None:
        self._budget = budget

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if config.getoption("timeout", None) is not None or _timeout_in_ini(config) or debugging(config):
            return
        for item in items:
            module = entry_module_of(item)
            if module is not None and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(outer_net(module.plan.settings, self._budget)))


def debugging(config: pytest.Config) -> bool:
    """Whether somebody may be at the prompt of a debugger, for whom no time runs."""
    return bool(config.getoption("usepdb", False) or config.getoption("trace", False))


def _timeout_in_ini(config: pytest.Config) -> bool:
    try:
        return bool(config.getini("timeout")) or "PYTEST_TIMEOUT" in os.environ
    except ValueError:
        # pytest-timeout was switched off with -p no:timeout.
        return True

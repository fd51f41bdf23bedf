"""Without an optional package, a test that needs it is skipped: `pytest.importorskip(NAME)`.

With the variable FAIL_WITHOUT_PACKAGES, as in CI, it fails: all of them are installed there, and none may be left out.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

VARIABLE = "FAIL_WITHOUT_PACKAGES"
AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return failed_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return failed_in_ci((yield))


def failed_in_ci(report: AnyReport) -> AnyReport:
    """The report, failed if an optional package is missing where all must be there."""
    if os.environ.get(VARIABLE) and report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if "could not import " in reason:
            report.outcome = "failed"
            report.longrepr = f"{reason.removeprefix('Skipped: ')} ({VARIABLE} is set)"
    return report

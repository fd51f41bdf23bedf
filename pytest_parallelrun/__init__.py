"""Run and check entry scripts of Azure ML parallel jobs under pytest.

Public names are resolved on first use: pytest imports this package in every run, which must load neither pandas nor
Hypothesis.
"""

from __future__ import annotations

# No `typing`, and importlib only when needed: a worker process imports this package before its script.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pytest_parallelrun import strategies as strategies
    from pytest_parallelrun.contract.cases.saved_case import load_case as load_case
    from pytest_parallelrun.emulator.faults import Fault as Fault
    from pytest_parallelrun.emulator.result import JobResult as JobResult
    from pytest_parallelrun.emulator.rules import Rules as Rules
    from pytest_parallelrun.emulator.settings import JobSettings as JobSettings
    from pytest_parallelrun.job_files.parallel_job import ParallelJob as ParallelJob

_HOMES = {
    "Fault": "pytest_parallelrun.emulator.faults",
    "JobResult": "pytest_parallelrun.emulator.result",
    "JobSettings": "pytest_parallelrun.emulator.settings",
    "ParallelJob": "pytest_parallelrun.job_files.parallel_job",
    "Rules": "pytest_parallelrun.emulator.rules",
    "load_case": "pytest_parallelrun.contract.cases.saved_case",
}

__all__ = ["Fault", "JobResult", "JobSettings", "ParallelJob", "Rules", "load_case", "strategies"]


def __getattr__(name: str) -> object:
    import importlib

    if name == "strategies":
        return importlib.import_module("pytest_parallelrun.strategies")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

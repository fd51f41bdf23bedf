"""Collects the generated tests below the entry script: `score.py::test_job_completes`.

A script has no tests, so its path is added to the arguments of pytest, and where pytest would create a Module for it,
an EntryModule takes its place.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._entries import EntryPlan
from pytest_parallelrun._options import command_line_values, usage_error
from pytest_parallelrun.contract import CHECKS, CheckSpec

if TYPE_CHECKING:
    from typing_extensions import Self


CHECKS_PACKAGE = "pytest_parallelrun.contract.checks"

REPLAY = CheckSpec(name="replay", needs_input=False, finds="a saved finding is still there")
"""What is collected for an entry with --parallelrun-replay."""


def add_to_arguments(config: pytest.Config, plans: Sequence[EntryPlan]) -> None:
    """Makes pytest visit the entries, unless an argument already includes them.

    If given a folder and a file in it, pytest 8 visits only the file and would skip the user's own tests. Workers of
    pytest-xdist read the command line themselves, so they get the same list.
    """
    if any(plan.replay is not None for plan in plans):
        # Run only this one, not the user's own tests.
        config.args[:] = [str(plan.entry.path) for plan in plans]
        return
    named = {_path_of(argument, config) for argument in config.args}
    paths = [plan.entry.path for plan in plans]
    config.args.extend(str(path) for path in paths if named.isdisjoint((path, *path.parents)))


def _path_of(argument: str, config: pytest.Config) -> Path:
    return Path(os.path.abspath(os.path.join(config.invocation_params.dir, argument.partition("::")[0])))


class EntryModule(pytest.Module):
    """The generated tests of one entry script."""

    plan: EntryPlan

    @classmethod
    def of(cls, parent: pytest.Collector, plan: EntryPlan, name: str | None = None) -> Self:
        # Explicit: for a file outside rootdir pytest creates an empty node id, and two would collide.
        module: Self = cls.from_parent(parent, path=plan.entry.path, nodeid=plan.nodeid, name=name)
        module.plan = plan
        return module

    def _getobj(self) -> ModuleType:
        checks = checks_of(self.plan)
        if self.config.option.collectonly:
            return listed_module(self.plan, checks)
        return contract_module(self.plan.nodeid, checks)


class EntrySteps(pytest.File):
    """An entry script used by several steps of a job file: `score.py::step::test_job_completes`."""

    plans: Sequence[EntryPlan]

    @classmethod
    def of(cls, parent: pytest.Collector, plans: Sequence[EntryPlan]) -> Self:
        steps: Self = cls.from_parent(parent, path=plans[0].entry.path, nodeid=plans[0].target.script_id)
        steps.plans = plans
        return steps

    def collect(self) -> list[EntryModule]:
        return [EntryModule.of(self, plan, name=plan.step.name) for plan in self.plans if plan.step is not None]


class EntryPackage(pytest.Package):
    """A package that contains an entry.

    pytest imports the __init__.py of a package before a test below it, to look for setup_module(). Only the emulated
    worker may import it, because its code root may differ.
    """

    @staticmethod
    def suits(init: Path) -> bool:
        """Whether it has no setup or teardown that the user's own tests need."""
        if not init.is_file():
            return False
        text = init.read_text(encoding="utf-8", errors="replace").lower()
        return not any(name in text for name in ("setup_module", "setupmodule", "teardown_module", "teardownmodule"))

    def setup(self) -> None:
        pass


def checks_of(plan: EntryPlan) -> tuple[CheckSpec, ...]:
    """The checks of an entry whose requirements are met, or the saved case."""
    if plan.replay is not None:
        return (REPLAY,)
    return tuple(
        check
        for check in CHECKS
        if (plan.environment is not None or not check.needs_environment)
        and (plan.golden is not None or not check.needs_golden)
    )


def contract_module(nodeid: str, checks: Sequence[CheckSpec] = CHECKS) -> ModuleType:
    """A module with the test functions of the checks, in order.

    Hypothesis stores what it knows of a test with its function, so a shared function would replay the failures of one
    entry on another: modules of generated tests are executed again.
    """
    merged = ModuleType("pytest_parallelrun_gate")
    merged.__doc__ = f"Generated tests of {nodeid}"
    load_hypothesis()
    for check in checks:
        name = f"test_{check.name}"
        function = getattr(importlib.import_module(f"{CHECKS_PACKAGE}.{check.name}"), name)
        if getattr(function, "is_hypothesis_test", False):
            function = getattr(_execute(check.name), name)
        setattr(merged, name, function)
    return merged


def listed_module(plan: EntryPlan, checks: Sequence[CheckSpec]) -> ModuleType:
    """The same tests for --collect-only, which runs none: importing the checks would take half of its time.

    They start at the first line of the script, where editors show them.
    """
    merged = ModuleType("pytest_parallelrun_gate")
    for check in checks:

        def listed(parallelrun_entry: object) -> None:
            raise NotImplementedError

        listed.__code__ = listed.__code__.replace(co_filename=str(plan.entry.path), co_firstlineno=1)
        listed.__doc__ = f"Finds that {check.finds}."
        setattr(merged, f"test_{check.name}", listed)
    return merged


def _execute(check: str) -> ModuleType:
    spec = importlib.util.find_spec(f"{CHECKS_PACKAGE}.{check}")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry_module_of(node: pytest.Item | pytest.Collector) -> EntryModule | None:
    """The EntryModule of a test, None for the user's own tests."""
    return node.getparent(EntryModule)


class Collection:
    """The hooks that put an EntryModule where pytest finds an entry; registered if there are entries."""

    def __init__(self, plans: Sequence[EntryPlan]) -> None:
        self._plans: dict[Path, list[EntryPlan]] = {}
        for plan in plans:
            self._plans.setdefault(plan.entry.path, []).append(plan)
        self._way = {path for entry in self._plans for path in (entry, *entry.parents)}
        self._opened: set[Path] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        collectors = yield
        plans = self._plans.get(file_path)
        if plans is None:
            return collectors
        others = [collector for collector in collectors if not _is_test_module(collector)]
        if len(plans) == 1:
            return [EntryModule.of(parent, plans[0]), *others]
        return [EntrySteps.of(parent, plans), *others]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if path in self._way and EntryPackage.suits(path / "__init__.py"):
            return EntryPackage.from_parent(parent, path=path)
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> Generator[None, bool | None, bool | None]:
        """Opens folders that pytest would skip, such as build/, for the entry only."""
        ignored = yield
        if collection_path in self._way:
            if ignored:
                self._opened.add(collection_path)
            return False
        # Often there are none, and of a sample pytest may ask for 100,000 files.
        below = bool(self._opened) and not self._opened.isdisjoint(collection_path.parents)
        return ignored or (True if below else None)


class SampleNeedsUse:
    """Refuses an input on the command line that is no sample of an entry, and that no test can ask for."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        names = {name for item in session.items for name in getattr(item, "fixturenames", ())}
        if session.config.option.collectonly or not names.isdisjoint(("parallelrun", "parallelrun_factory")):
            return
        [*_, sample] = command_line_values(session.config, "input")
        raise usage_error(f"{sample}: no entry is given, so nothing is gated. Add --parallelrun-entry=PATH.")


def _is_test_module(collector: pytest.Collector) -> bool:
    """Whether it is the collector of a file's tests; that of its doctests is a Module too."""
    return isinstance(collector, pytest.Module) and type(collector).__name__ != "DoctestModule"


def load_hypothesis() -> None:
    """Imports Hypothesis without pytest's import hook."""
    if "hypothesis.strategies" in sys.modules:
        return
    hooks = [finder for finder in sys.meta_path if type(finder).__name__ == "AssertionRewritingHook"]
    before = list(sys.meta_path)
    sys.meta_path[:] = [finder for finder in before if finder not in hooks]
    try:
        import hypothesis.strategies  # noqa: F401 - imported for its effect on sys.modules
    finally:
        sys.meta_path[:] = before

"""Runs a generated test as a check, and handles its finding: accepted, or saved for replay."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from pytest_parallelrun._acceptance import accepting
from pytest_parallelrun._collection import EntryModule, checks_of, entry_module_of
from pytest_parallelrun._configuration import RunConfiguration
from pytest_parallelrun._saved_cases import CaseSaver
from pytest_parallelrun._show import explain_command
from pytest_parallelrun.contract.check import CheckFailed
from pytest_parallelrun.contract.confirmation import Confirmation
from pytest_parallelrun.contract.entry.init_calls import TooManyInitCalls
from pytest_parallelrun.emulator.settings import JobSettings

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.finding import Finding
    from pytest_parallelrun.contract.generation.runner import ExampleRunner


LAST_GENERATED = "behaves_under_error_thresholds"
"""The check after which the worker of generated mini-batches ends."""

MAX_EXAMPLE_LINES = 12
"""Maximum lines of a Hypothesis example that are shown."""

DRAWN = "Draw "
"""How Hypothesis starts a note on a value of `data.draw()`."""


class CheckHooks:
    """The hook around each generated test; registered if there are entries."""

    def __init__(self, config: pytest.Config, configuration: RunConfiguration) -> None:
        self._acceptances = configuration.acceptances
        self._case_saver = CaseSaver(config, configuration.save)
        self._confirmations: dict[str, Confirmation] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self) -> None:
        # Hypothesis reads what is loaded by now.
        _hide_from_hypothesis()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        module = entry_module_of(pyfuncitem)
        if module is None:
            return (yield)
        if getattr(pyfuncitem.obj, "is_hypothesis_test", False):
            _hide_from_hypothesis()
        arguments = pyfuncitem.funcargs
        check, shared = cast("Check", arguments["parallelrun_check"]), arguments.get("parallelrun_examples")
        subject = cast("EntryUnderTest", arguments["parallelrun_entry"])
        check.begin(next(spec for spec in checks_of(module.plan) if pyfuncitem.name == f"test_{spec.name}"))
        if check.spec.needs_input and module.plan.sample.paths is None:
            check.cannot_decide(module.plan.sample.no_input)
        confirmation = self._confirmations.setdefault(module.plan.nodeid, Confirmation(subject))
        if confirmation.serves(check, arguments):
            arguments.update(confirmation.with_processes(arguments))
        function = cast("Callable[..., object]", pyfuncitem.obj)
        names = list(inspect.signature(function).parameters)
        given = {name: arguments[name] for name in names}
        try:
            try:
                with _as_finding(check):
                    result = yield
            except (CheckFailed, pytest.skip.Exception):
                if not confirmation.rescues(check, given):
                    raise
                # In the streams of the item, because closing the worker of generated mini-batches prints there.
                arguments.update(confirmation.with_processes(arguments))
                given = {name: arguments[name] for name in names}
                with _as_finding(check):
                    result = function(**given)
            if check.advice is not None:
                confirmed = confirmation.confirm(function, given, check, CheckFailed(check.advice))
                check.advice = None if confirmed is None else confirmed.finding
        except CheckFailed as failed:
            with _same_statistics(pyfuncitem):
                confirmed = confirmation.confirm(function, given, check, failed)
            if confirmed is None:
                # Reports read the job from here.
                arguments.update(confirmation.with_processes(arguments))
                return True
            finding = replace(
                confirmed.finding.after_gaps(subject.gaps),
                example=confirmed.finding.example or example_of(failed),
                explained=explain_command(check.spec.name),
            )
            if self._is_accepted(module, check, finding):
                return True
            failed.finding = self._case_saver.keep(module.plan, check.spec.name, finding)
            raise
        finally:
            for runner in {shared, given.get("parallelrun_examples"), arguments.get("parallelrun_examples")} - {None}:
                # Others are of worker processes, and of this test. In this process, a worker would keep what pytest
                # sets anew for each test: warnings, environment, logging.
                of_processes = subject.engine != "inprocess" and not confirmation.switched
                keep = runner is shared and of_processes and check.spec.name != LAST_GENERATED
                cast("ExampleRunner", runner).end_test(keep=keep)
        if check.advice is not None and not self._is_accepted(module, check, check.advice):
            advice = check.advice if check.advice.cause is None else check.advice.after_gaps(subject.gaps)
            finding = replace(advice, explained=explain_command(check.spec.name))
            check.advice = self._case_saver.keep(module.plan, check.spec.name, finding, test=False)
        return result

    def _is_accepted(self, module: EntryModule, check: Check, finding: Finding) -> bool:
        acceptance = accepting(self._acceptances, module.plan.nodeid, check.spec.name)
        if acceptance is None:
            return False
        check.accepted = finding, acceptance.reason
        return True


def _hide_from_hypothesis() -> None:
    """Keep Hypothesis from reading the constants of this package: it takes a second if the package is a checkout.

    They are of no use for the mini-batches of a script. There is no public switch for it.
    """
    from hypothesis.internal.conjecture import providers

    own = (module for name, module in list(sys.modules.items()) if name.partition(".")[0] == __package__)
    getattr(providers, "_seen_modules", set[int]()).update(map(id, own))


@contextmanager
def _same_statistics(item: pytest.Function) -> Iterator[None]:
    """Around a second run of a test: --hypothesis-show-statistics shows the statistics of the first run."""
    name = "hypothesis_statistics"
    statistics = getattr(item, name, None)
    yield
    if statistics is not None:
        setattr(item, name, statistics)


@contextmanager
def _as_finding(check: Check) -> Iterator[None]:
    """Around a check: it ends with a finding, skipped, or with another exception."""
    try:
        yield
    except TooManyInitCalls as error:
        check.cannot_decide(str(error))
    except Exception as error:
        failed = finding_in(error)
        if failed is None or failed is error:
            raise
        raise failed from None


def finding_in(error: BaseException) -> CheckFailed | None:
    """The finding in an exception; Hypothesis groups several, or one that it could not reproduce.

    None if the group contains anything else, which must be shown.
    """
    if isinstance(error, CheckFailed):
        return error
    parts = [finding_in(part) for part in getattr(error, "exceptions", ())]
    findings = [part for part in parts if part is not None]
    if not findings or (len(findings) < len(parts) and type(error).__name__ != "FlakyFailure"):
        return None
    first, *others = findings
    others = [other for other in others if other.finding.what != first.finding.what]
    if others:
        first.finding = first.finding.saying("Hypothesis also found: " + "; ".join(o.finding.what for o in others))
    elif type(error).__name__ == "FlakyFailure":
        first.finding = first.finding.saying("the same mini-batch did not show it again when it was run once more")
    return first


def example_of(failed: CheckFailed) -> str:
    """What was drawn for the smallest Hypothesis example; "" if there is none.

    Its other notes describe arguments of the check, which are fixtures.
    """
    drawn = [note for note in getattr(failed, "__notes__", ()) if note.startswith(DRAWN)]
    lines = "\n".join(drawn).splitlines()
    if len(lines) > MAX_EXAMPLE_LINES:
        lines[MAX_EXAMPLE_LINES - 1 :] = ["..."]
    return "\n".join(lines)


TEST_SECONDS = 600
"""Seconds for everything in a test except mini-batches: import, init(), copies of the sample."""
MAX_SLOW_MINI_BATCHES = 10
"""Mini-batches in a test that may use all their attempts and all their time."""
GENERATION_SECONDS = 300
"""Seconds for generated mini-batches if there is no budget."""


def outer_timeout(settings: JobSettings, budget: float | None) -> float:
    """Seconds for one generated test; a job within its limits is never interrupted."""
    waiting = MAX_SLOW_MINI_BATCHES * settings.timeout * (settings.max_retries + 1)
    return TEST_SECONDS + waiting + max(GENERATION_SECONDS, budget or 0)


class OuterTimeout:
    """Sets a timeout for the generated tests unless the user has set one."""

    def __init__(self, budget: float | None) -> None:
        self._budget = budget

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if config.getoption("timeout", None) is not None or _timeout_in_ini(config) or debugging(config):
            return
        for item in items:
            module = entry_module_of(item)
            if module is not None and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(outer_timeout(module.plan.settings, self._budget)))


def debugging(config: pytest.Config) -> bool:
    """Whether somebody may be in a debugger, which stops all timeouts."""
    return bool(config.getoption("usepdb", False) or config.getoption("trace", False))


def _timeout_in_ini(config: pytest.Config) -> bool:
    try:
        return bool(config.getini("timeout")) or "PYTEST_TIMEOUT" in os.environ
    except ValueError:
        # pytest-timeout is disabled with -p no:timeout.
        return True

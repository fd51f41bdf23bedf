"""From the reports of pytest to the reports of the gate. The controller of pytest-xdist alone writes them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._accept import judge_acceptances
from pytest_parallelrun._collect import entry_module_of
from pytest_parallelrun._gate import Gate
from pytest_parallelrun.contract.check import CheckFailed
from pytest_parallelrun.report.json_report import write_json
from pytest_parallelrun.report.records import CheckOutcome, CheckRecord, EntryReport, job_facts
from pytest_parallelrun.report.secrets import Redaction
from pytest_parallelrun.report.terminal import acceptance_lines, first_line, summary_lines

if TYPE_CHECKING:
    from pathlib import Path

    from _pytest._io import TerminalWriter

    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.observing.baseline import Baseline
    from pytest_parallelrun.contract.observing.subject import EntryUnderTest

# Set on a report, an attribute of plain values travels with it from a worker of pytest-xdist.
_ATTRIBUTE = "parallelrun"


class _ToldFinding:
    """A finding as pytest shows it: whole among the failures, its first line where failures are listed.

    Given a plain text, pytest repeats all of it in the short summary when it runs on CI.
    """

    def __init__(self, text: str, *, by_line: bool) -> None:
        self._text = text
        self._by_line = by_line
        self.reprcrash = _FirstLine(first_line(text))

    def __str__(self) -> str:
        return self._text

    def toterminal(self, tw: TerminalWriter) -> None:
        # Under --tb=line pytest writes the crash itself.
        if not self._by_line:
            tw.line(self._text)


@dataclass(frozen=True)
class _FirstLine:
    """What pytest reads of a crash: for its short summary, `--tb=line` and JUnit's message."""

    message: str

    def __str__(self) -> str:
        return self.message


class Reporting:
    """Collects a record for each check as it ends, and writes summary and report files in the end."""

    def __init__(self, config: pytest.Config, gate: Gate) -> None:
        self._files = gate.reports
        plans = gate.plans()
        self._reports = {plan.nodeid: EntryReport(entry=plan.nodeid) for plan in plans}
        self._redactions = {
            plan.nodeid: Redaction(plan.settings.environment_variables, plan.arguments.argv) for plan in plans
        }
        self._is_controller = not hasattr(config, "workerinput")
        self._unwritten: dict[Path, str] = {}
        self._acceptances = gate.accept
        self._by_line = config.getoption("tbstyle", default="auto") == "line"
        self._told: dict[tuple[str, str], str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        module = entry_module_of(item)
        if module is None:
            return report
        redaction = self._redactions[module.plan.nodeid]
        if call.excinfo is not None:
            if isinstance(call.excinfo.value, CheckFailed):
                report.longrepr = redaction.text(str(call.excinfo.value))
            elif isinstance(report.longrepr, tuple):
                path, line, reason = report.longrepr
                report.longrepr = path, line, redaction.text(reason)
        if report.when == "call" or report.outcome != "passed":
            record = _record(item, call, report, module.plan.nodeid)
            setattr(report, _ATTRIBUTE, redaction.values(record.as_json()))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        values = getattr(report, _ATTRIBUTE, None)
        if values is not None and self._is_controller:
            record = CheckRecord(**values)
            self._reports[record.entry].add(record)
            self._refer_to_the_same_cause(record, report)
            if isinstance(report.longrepr, str) and report.failed:
                report.longrepr = _ToldFinding(report.longrepr, by_line=self._by_line)  # type: ignore[assignment]

    def _refer_to_the_same_cause(self, record: CheckRecord, report: pytest.TestReport) -> None:
        """What several checks found is told once; the message of the record stays whole."""
        if record.outcome != "failed" or not record.cause:
            return
        teller = self._told.setdefault((record.entry, record.cause), record.name)
        if teller != record.name:
            report.longrepr = f"{first_line(record.message)}\nthe same cause as {teller}, told there"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        reports = [report for report in self._reports.values() if report.checks]
        if not self._is_controller or not reports:
            return
        terminalreporter.write_sep("=", "parallelrun")
        for report in reports:
            for line in summary_lines(report):
                terminalreporter.write_line(line)
        for line in acceptance_lines(judge_acceptances(self._acceptances, list(self._reports.values()))):
            terminalreporter.write_line(line)
        for path in self._files:
            if path in self._unwritten:
                terminalreporter.write_line(f"report {path} cannot be written: {self._unwritten[path]}", red=True)
            else:
                terminalreporter.write_line(f"report: {path}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self._is_controller or session.config.option.collectonly:
            return
        if session.exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR):
            for report in self._reports.values():
                report.interrupted = True
        for path in self._files:
            try:
                reports = list(self._reports.values())
                write_json(path, reports, judge_acceptances(self._acceptances, reports))
            except OSError as error:
                # Whoever waits for the report must not take the run for a good one.
                self._unwritten[path] = error.strerror or str(error)
                session.exitstatus = pytest.ExitCode.USAGE_ERROR


def _record(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, entry: str) -> CheckRecord:
    arguments = getattr(item, "funcargs", {})
    check: Check | None = arguments.get("parallelrun_check")
    baseline: Baseline | None = arguments.get("parallelrun_baseline")
    subject: EntryUnderTest | None = arguments.get("parallelrun_entry")
    outcome: CheckOutcome = "skipped" if report.skipped else "failed" if report.failed else "passed"
    message = cause = reason = ""
    error = None if call.excinfo is None else call.excinfo.value
    if report.skipped and isinstance(report.longrepr, tuple):
        message = report.longrepr[2].removeprefix("Skipped: ")
    elif report.failed:
        message = report.longreprtext
        cause = error.finding.cause if isinstance(error, CheckFailed) else ""
    elif check is not None and check.accepted is not None:
        found, reason = check.accepted
        outcome, message, cause = "accepted", found.text(), found.cause
    elif check is not None and check.advice is not None:
        outcome, message, cause = "advice", check.advice.text(), check.advice.cause
    return CheckRecord(
        entry=entry,
        name=item.name.removeprefix("test_"),
        outcome=outcome,
        message=message,
        cause=cause,
        reason=reason,
        notes=() if check is None else tuple(check.notes),
        init_calls=0 if subject is None else subject.cost.take(),
        duration=report.duration,
        job=None if baseline is None else job_facts(baseline.result),
    )

"""Turns pytest's reports into the reports of the gate. With pytest-xdist, only the controller writes them."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_parallelrun._acceptance import judged
from pytest_parallelrun._collection import checks_of, entry_module_of
from pytest_parallelrun._configuration import RunConfiguration
from pytest_parallelrun._entries import EntryPlan, RunEntries
from pytest_parallelrun._show import explain_command, page_of
from pytest_parallelrun.contract.check import CheckFailed
from pytest_parallelrun.report.ci import ci_parts, on_ci, script_location, source_around
from pytest_parallelrun.report.files import INSTALL, write_report
from pytest_parallelrun.report.records import (
    AcceptanceRecord,
    CheckOutcome,
    CheckRecord,
    EntryReport,
    job_facts,
    setting_records,
)
from pytest_parallelrun.report.sanitize import (
    defused,
    masked_arguments,
    masked_text,
    printable,
    printable_line,
    visible,
)
from pytest_parallelrun.report.terminal import Style, acceptance_lines, summary_lines
from pytest_parallelrun.report.trace import trace_of

if TYPE_CHECKING:
    from _pytest._io import TerminalWriter

    from pytest_parallelrun._forecasting import Forecasting
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.finding import Cause, Finding

# Attributes with plain values set on a report are sent along by a worker of pytest-xdist.
_RECORD = "parallelrun"
_ENTRY = "parallelrun_entry"
_FORECAST = "parallelrun_forecast"

MARKUP: dict[Style, dict[str, bool]] = {
    "plain": {},
    "good": {"green": True, "bold": True},
    "bad": {"red": True, "bold": True},
    "warning": {"yellow": True},
}


class FindingRepr:
    """A finding as pytest shows it: in full among the failures, only its headline in lists.

    pytest would repeat a plain text in the short summary when it runs on CI.
    """

    def __init__(self, text: str, headline: str, *, by_line: bool) -> None:
        self._text = text
        self._by_line = by_line
        self.reprcrash = _Crash(headline)

    def __str__(self) -> str:
        return self._text

    def toterminal(self, tw: TerminalWriter) -> None:
        # With --tb=line pytest writes the crash itself.
        if not self._by_line:
            tw.line(self._text)


@dataclass(frozen=True)
class _Crash:
    """What pytest reads of a crash for its short summary, `--tb=line` and JUnit's message."""

    message: str

    def __str__(self) -> str:
        return self.message


class Reporting:
    """Collects a record for each check as it ends, and writes the summary and report files at the end."""

    def __init__(self, config: pytest.Config, entries: RunEntries, forecasting: Forecasting | None = None) -> None:
        self._config = config
        configuration, plans = entries.configuration, entries.gated
        self._files = configuration.reports
        self._acceptances = configuration.acceptances
        self._reports = {plan.nodeid: _report_of(plan, configuration) for plan in plans}
        self._is_controller = not hasattr(config, "workerinput")
        self._shows_trace = bool(self._files) or config.get_verbosity() > 0
        self._forecasting = forecasting
        self._by_line = config.getoption("tbstyle", default="auto") == "line"
        self._written: set[Path] = set()
        self._lost: list[str] = []
        # By entry and cause: the check that reported it first, and what the script printed during it.
        self._reported: dict[tuple[str, Cause], tuple[str, set[str]]] = {}
        self._with_job: set[str] = set()
        # What was printed while the whole sample was run, by entry: it is the set-up of one check, and for all.
        self._printed: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        module = entry_module_of(item)
        if module is None:
            return report
        entry = module.plan.nodeid
        redaction = module.plan.redaction
        if call.excinfo is not None:
            if isinstance(call.excinfo.value, CheckFailed):
                report.longrepr = redaction.text(str(call.excinfo.value))
            elif isinstance(report.longrepr, tuple):
                path, line, reason = report.longrepr
                report.longrepr = path, line, redaction.text(reason)
            elif report.longrepr is not None and (text := str(report.longrepr)) != redaction.text(text):
                report.longrepr = redaction.text(text)
        report.sections = _once((title, redaction.text(text)) for title, text in report.sections)
        setattr(report, _ENTRY, entry)
        if report.when == "teardown" and self._forecasting is not None and entry in self._forecasting.made:
            setattr(report, _FORECAST, redaction.values(self._forecasting.made.pop(entry)))
        if report.when == "call" or report.outcome != "passed":
            record = _record(
                item, call, report, entry, with_job=entry not in self._with_job, with_trace=self._shows_trace
            )
            if record.job is not None:
                self._with_job.add(entry)
                self._printed[entry] = _output(report)
            if record.finding is not None:
                file, line = script_location(record.finding, str(module.plan.entry.path))
                output = _output_of(item, record.finding) or _output(report) or self._printed.get(entry, "")
                record = replace(record, source=source_around(file, line), output=output)
            setattr(report, _RECORD, redaction.values(record.as_json()))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._is_controller:
            return
        entry = getattr(report, _ENTRY, None)
        if entry is None:
            self._add_crash(report)
            return
        # It contains the path of the script, which JUnit's XML cannot always represent.
        report.nodeid = visible(report.nodeid)
        # Setup is part of the cost of a check: one contains the run of the whole sample.
        self._reports[entry].duration += report.duration
        report.sections = [(title, _harmless(text)) for title, text in report.sections]
        self._reports[entry].forecast = getattr(report, _FORECAST, None) or self._reports[entry].forecast
        values = getattr(report, _RECORD, None)
        if values is not None:
            record = CheckRecord.from_json(values)
            self._reports[entry].add(record)
            self._refer_to_the_same_cause(record, report)
            if isinstance(report.longrepr, str) and report.failed:
                text, headline = (printable(text) for text in (report.longrepr, record.headline))
                report.longrepr = FindingRepr(text, headline, by_line=self._by_line)  # type: ignore[assignment]
            elif isinstance(report.longrepr, tuple):
                path, line, reason = report.longrepr
                report.longrepr = path, line, printable(reason)

    def _add_crash(self, report: pytest.TestReport) -> None:
        """A check whose worker of pytest-xdist died: its report is not ours, but it is a failure."""
        entry, _, test = report.nodeid.rpartition("::")
        if report.failed and entry in self._reports:
            name = test.removeprefix("test_")
            record = CheckRecord(entry=entry, name=name, outcome="failed", message=report.longreprtext)
            self._reports[entry].add(record)

    def _refer_to_the_same_cause(self, record: CheckRecord, report: pytest.TestReport) -> None:
        """Shows a finding of several checks once, and its output too; the message of the record stays complete."""
        cause = None if record.finding is None else record.finding.cause
        if record.outcome != "failed" or cause is None:
            return
        printed = {line for _, text in report.sections for line in text.splitlines()}
        first, shown = self._reported.setdefault((record.entry, cause), (record.name, printed))
        if first != record.name:
            report.longrepr = f"{record.headline}\nsame cause as {first} (reported there)"
            if printed <= shown:
                report.sections = []

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        reports = [report for report in self._reports.values() if report.checks or not report.interrupted]
        if not self._is_controller or self._config.option.collectonly or not (reports or self._lost):
            return
        terminalreporter.write_sep("=", "parallelrun")
        width = terminalreporter.config.get_terminal_writer().fullwidth
        for report in reports:
            with self._surviving(f"the summary of {report.entry}"):
                for text, style in summary_lines(report, width=width, verbosity=self._config.get_verbosity()):
                    terminalreporter.write_line(printable(text), **MARKUP[style])
        accepted: tuple[AcceptanceRecord, ...] = ()
        with self._surviving("the summary of parallelrun_accept"):
            accepted = self._judged()
            for line in acceptance_lines(accepted):
                terminalreporter.write_line(printable(line))
        for path in self._files:
            if path in self._written:
                terminalreporter.write_line(printable_line(f"report: {path}"))
        with self._surviving("what is for the CI system"):
            for name, lines in ci_parts(reports, accepted):
                with self._surviving(name):
                    for line in lines:
                        terminalreporter.write_line(line)
        for message in self._lost:
            terminalreporter.write_line(printable(message), red=True)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        # Inside the hook of the terminal, which prints the summary only if this does not raise.
        self._session = session
        if self._is_controller and not session.config.option.collectonly:
            self._write_reports()
        try:
            return (yield)
        except Exception as error:
            through = {Path(frame.filename).stem for frame in traceback.extract_tb(error.__traceback__)}
            if not self._is_controller or "junitxml" not in through:
                raise
            self._lose(f"report {session.config.getoption('xmlpath')}", error)

    def _write_reports(self) -> None:
        with_pages = any(path.suffix.lower() == ".html" for path in self._files)
        for report in self._reports.values() if with_pages else ():
            found = [record.name for record in report.records if record.finding is not None]
            report.pages = {name: page_of(name) for name in found if explain_command(name)}
        if self._session.exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR):
            for report in self._reports.values():
                report.interrupted = True
        with self._surviving("the properties of JUnit"):
            self._add_junit_properties()
        self._make_warnings_harmless()
        if self._session.exitstatus == pytest.ExitCode.OK and any(
            report.strict and report.verdict == "failed" for report in self._reports.values()
        ):
            self._session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for path in self._files:
            with self._surviving(f"report {path}"):
                write_report(path, list(self._reports.values()), self._judged())
                self._written.add(path)

    @contextmanager
    def _surviving(self, what: str) -> Iterator[None]:
        """An error in a report fails the run, because somebody may wait for the report, but nothing else."""
        try:
            yield
        except Exception as error:
            self._lose(what, error)

    def _lose(self, what: str, error: Exception) -> None:
        self._lost.append(f"{what} cannot be written: {_reason(error)}")
        self._session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def _judged(self) -> tuple[AcceptanceRecord, ...]:
        return tuple(judged(acceptance, list(self._reports.values())) for acceptance in self._acceptances)

    def _make_warnings_harmless(self) -> None:
        """Those of the script, which pytest prints next."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        for warning in terminal.stats.get("warnings", ()) if terminal is not None else ():
            warning.message = _harmless(warning.message)

    def _add_junit_properties(self) -> None:
        """Properties of the suite; properties of a test case violate the schema of xunit2."""
        for plugin in self._config.pluginmanager.get_plugins():
            add = getattr(plugin, "add_global_property", None)
            if add is not None:
                for report in self._reports.values():
                    for name, value in report.properties():
                        # pytest does not escape names, and XML has no control characters.
                        add(visible(f"parallelrun.{report.entry}.{name}"), visible(value))


MAX_OUTPUT_LINES, MAX_OUTPUT = 12, 2000
"""Of what was printed last."""


def _output_of(item: pytest.Item, finding: Finding) -> str:
    """What the attempt of the sample printed whose error the finding shows."""
    baseline: Baseline | None = getattr(item, "funcargs", {}).get("parallelrun_baseline")
    if baseline is None or not finding.traceback:
        return ""
    failures = (attempt.failure for attempt in baseline.result.attempts if attempt.failure is not None)
    return next((_end(failure.output) for failure in failures if failure.traceback == finding.traceback), "")


def _once(sections: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a check printed, without repetitions of a whole text: each worker of the check prints what init() does."""
    titles: dict[str, str] = {}
    for title, text in sections:
        lines = text.splitlines()
        for size in range(1, min(len(lines) // 2, MAX_OUTPUT_LINES) + 1):
            if len(lines) % size == 0 and lines == lines[:size] * (len(lines) // size):
                text = "\n".join([*lines[:size], "(repeated)"])
                break
        titles.setdefault(text, title)
    return [(title, text) for text, title in titles.items()]


def _end(text: str) -> str:
    return "\n".join(text[-MAX_OUTPUT:].splitlines()[-MAX_OUTPUT_LINES:])


def _output(report: pytest.TestReport) -> str:
    """The end of what a check and its set-up printed."""
    printed = "\n".join(text.rstrip() for title, text in report.sections if title.startswith("Captured std"))
    return _end(printed)


def _reason(error: Exception) -> str:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return f"{error.filename} is no folder"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    text = " ".join(str(error).split())
    if isinstance(error, ImportError):
        return f"{text}; what a page needs comes with: {INSTALL}"
    # Nothing of the user can cause it.
    return f"{type(error).__name__}: {text} (an error of pytest-parallelrun)"


def _harmless(text: str) -> str:
    """Output of a script without commands to the CI system that reads the log."""
    return defused(text) if on_ci() else text


def _report_of(plan: EntryPlan, configuration: RunConfiguration) -> EntryReport:
    sample, engine, checks = plan.sample, configuration.engine, checks_of(plan)
    origin = f"  ({sample.origin})" if sample.origin else ""
    set_up = {
        "job": plan.step_text() or "",
        "input": "" if sample.paths is None else f"{sample}{origin}",
        "program arguments": masked_arguments(plan.arguments.argv),
        "models": ", ".join(f"{name}={path}" for name, path in plan.models.items()),
        "code root": str(plan.entry.code_root),
        "engine": engine,
        "replay": "" if plan.replay is None else str(plan.replay.folder),
    }
    return EntryReport(
        entry=plan.nodeid,
        path=str(plan.entry.path),
        catalogue={check.name: check.finds for check in checks},
        judging=frozenset(check.name for check in checks if check.needs_input or plan.replay is not None),
        strict=configuration.strict,
        settings=tuple(setting_records(plan.settings, plan.origins, engine=engine)),
        set_up={name: plan.redaction.text(text) for name, text in set_up.items() if text},
        set_up_notes=tuple(plan.redaction.text(masked_text(note)) for note in plan.all_notes()),
    )


def _record(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    entry: str,
    *,
    with_job: bool,
    with_trace: bool,
) -> CheckRecord:
    arguments = getattr(item, "funcargs", {})
    check: Check | None = arguments.get("parallelrun_check")
    baseline: Baseline | None = arguments.get("parallelrun_baseline")
    subject: EntryUnderTest | None = arguments.get("parallelrun_entry")
    outcome: CheckOutcome = "skipped" if report.skipped else "failed" if report.failed else "passed"
    message = reason = skipped = ""
    finding = None
    error = None if call.excinfo is None else call.excinfo.value
    if isinstance(error, pytest.skip.Exception):
        message = error.msg or ""
        if check is not None and check.skipped is not None and report.when == "call":
            skipped = check.skipped.summary
    elif report.failed:
        message = report.longreprtext
        finding = error.finding if isinstance(error, CheckFailed) else None
    elif check is not None and check.accepted is not None:
        finding, reason = check.accepted
        outcome, message = "accepted", finding.text()
    elif check is not None and check.advice is not None:
        finding = check.advice
        outcome, message = "advice", finding.text()
    job = baseline if with_job else None
    notes = [] if check is None else list(check.notes)
    trace = None
    if job is not None and with_trace:
        try:
            trace = trace_of(job.result, job.items, job.sample.relative).as_json()
        except Exception as lost:
            # In a hook of pytest it would end the run.
            notes.append(f"the timeline cannot be made: {_reason(lost)}")
    init_calls, init_seconds = (0, 0.0) if subject is None else subject.init_calls.take()
    return CheckRecord(
        entry=entry,
        name=item.name.removeprefix("test_"),
        outcome=outcome,
        message=message,
        reason=reason,
        skipped=skipped,
        notes=tuple(notes),
        details=() if check is None else tuple(check.details),
        finding=finding,
        figures={} if check is None else dict(check.figures),
        init_calls=init_calls,
        init_seconds=init_seconds,
        duration=report.duration,
        job=None if job is None else job_facts(job.result),
        trace=trace,
    )

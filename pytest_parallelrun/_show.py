"""--parallelrun-explain and --parallelrun-plan, which print and exit; and the header of a run.

The pages are part of the wheel, so they match the installed version and need no network.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pytest_parallelrun._collection import checks_of
from pytest_parallelrun._entries import EntryPlan, RunEntries
from pytest_parallelrun._options import OptionValue, usage_error
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.arguments import runtime_arguments
from pytest_parallelrun.emulator.errors import did_you_mean
from pytest_parallelrun.report.plan import plan_lines
from pytest_parallelrun.report.sanitize import masked_text, printable_line

_PACKAGE = Path(__file__).parent
FOLDERS = (_PACKAGE / "pages", _PACKAGE.parent / "docs" / "checks")
"""Where the pages are: in a wheel, and in a checkout that is installed in place."""


_COMMENT = re.compile(r"^<!-- .* -->\n", re.MULTILINE)


def explain_command(check: str) -> str:
    """The command that prints the page of a check; "" for a generated test without one."""
    return f"pytest --parallelrun-explain={check}" if any(spec.name == check for spec in CHECKS) else ""


def page_of(check: str) -> str:
    """The page of a check; "" where it is missing from this installation."""
    files = (folder / f"{check}.md" for folder in FOLDERS)
    file = next((file for file in files if file.is_file()), None)
    return "" if file is None else _COMMENT.sub("", file.read_text(encoding="utf-8"))


def print_pages(checks: list[OptionValue]) -> None:
    """Prints the page of each check. UsageError for an unknown name."""
    _print("\n".join(_page(check) for check in checks), errors="replace")


def _page(check: OptionValue) -> str:
    name = check.value.strip().rpartition("::")[2].removeprefix("test_")
    names = [spec.name for spec in CHECKS]
    if name not in names:
        raise usage_error(f"{check}: there is no such check. {did_you_mean(name, names)}")
    if text := page_of(name):
        return text
    files = [folder / f"{name}.md" for folder in FOLDERS]
    raise usage_error(
        f"{check}: the page is missing from this installation, looked for as "
        f"{' and '.join(str(file) for file in files)}. Install the package again."
    )


def header_lines(entries: RunEntries) -> list[str]:
    """What pytest's header says of the entries, and once what is to be known of their job definitions."""
    plans = entries.gated
    lines = [_shown(plan, f"{plan.nodeid}{_job_text(plan)}, {_input_text(plan)}") for plan in plans]
    lines += dict.fromkeys(_shown(plan, masked_text(f"note: {note}")) for plan in plans for note in plan.notes)
    if left_out := len(entries.plans) - len(entries.gated):
        what = "1 entry of the ini file is" if left_out == 1 else f"{left_out} entries of the ini file are"
        written = "" if entries.gated or not entries.configuration.reports else ", so no report is written"
        lines.append(f"{what} not part of this run{written}")
    if not entries.plans and entries.configuration.input_origin.startswith("--"):
        lines.append("no entry is given (--parallelrun-entry=PATH), so only fixtures use the input")
    return [f"parallelrun: {line}" for line in lines]


def _shown(plan: EntryPlan, line: str) -> str:
    """A line with foreign names in it."""
    return printable_line(plan.redaction.text(line))


def _job_text(plan: EntryPlan) -> str:
    return "" if plan.step is None else f" (job: {plan.step.name}, {plan.step.location.origin})"


def _input_text(plan: EntryPlan) -> str:
    return f"input: {plan.sample}" if plan.replay is None else f"replay: {plan.replay.folder}"


def print_plan(entries: RunEntries, verbosity: int) -> None:
    """Prints the plans of the entries of the run. UsageError where there is none."""
    engine = entries.configuration.engine
    if not entries.gated:
        scripts = ", ".join(plan.nodeid for plan in entries.plans)
        raise usage_error(
            f"--parallelrun-plan: what the command line names leads to no entry of the ini file ({scripts}). Name one, "
            "or no path at all."
        )
    _print(
        "\n\n".join("\n".join(_lines(plan, engine, verbosity)) for plan in entries.gated) + "\n",
        errors="backslashreplace",
    )


def _print(text: str, *, errors: str) -> None:
    """Writes directly: pytest has no terminal writer yet, and a console may lack characters."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, errors).decode(encoding))


def _lines(plan: EntryPlan, engine: str, verbosity: int) -> Iterator[str]:
    splitter = plan.sample.open(plan.settings)
    lines = plan_lines(
        entry=plan.entry,
        splitter=splitter,
        settings=plan.settings,
        origins=plan.origins,
        runtime_arguments=runtime_arguments(
            plan.settings,
            scoring_module_name=plan.entry.label,
            output="OUTPUT",
            kind=plan.settings.kind_without_input if splitter is None else splitter.kind,
        ),
        arguments=plan.arguments.argv,
        notes=tuple(map(masked_text, (*plan.all_notes(), *plan.arguments.notes))),
        job=plan.step_text(),
        no_input=f"none, {plan.sample.missing}",
        input_origin=plan.sample.origin,
        checks={
            check.name: plan.sample.no_input if check.needs_input and splitter is None else None
            for check in checks_of(plan)
        },
        engine=engine,
        verbosity=verbosity,
    )
    yield from (_shown(plan, line) for line in lines)

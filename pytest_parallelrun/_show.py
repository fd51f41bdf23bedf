"""--parallelrun-explain and --parallelrun-plan, which print and exit; and the header of a run.

The pages are part of the wheel, so they match the installed version and need no network.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun._collection import checks_of
from pytest_parallelrun._entries import EntryPlan, RunEntries
from pytest_parallelrun._options import OptionValue, usage_error
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.arguments import runtime_arguments
from pytest_parallelrun.emulator.errors import did_you_mean
from pytest_parallelrun.emulator.setting_table import setting_table
from pytest_parallelrun.emulator.splitting.model import USED, split_notes
from pytest_parallelrun.report.records import setting_records
from pytest_parallelrun.report.sanitize import count_of, masked_arguments, masked_text, printable_line

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter

_PACKAGE = Path(__file__).parent
FOLDERS = (_PACKAGE / "pages", _PACKAGE.parent / "docs" / "checks")
"""Where the pages are: in a wheel, and in a checkout that is installed in place."""
_COMMENT = re.compile(r"^<!-- .* -->\n", re.MULTILINE)
SHOWN = 10
"""Mini-batches that the plan lists."""


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
    lines = []
    for plan in plans:
        job = "" if plan.step is None else f" (job: {plan.step.name}, {plan.step.location.origin})"
        input_text = f"input: {plan.sample}" if plan.replay is None else f"replay: {plan.replay.folder}"
        lines.append(_shown(plan, f"{plan.nodeid}{job}, {input_text}"))
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


def print_plan(entries: RunEntries, verbosity: int) -> None:
    """Prints the plans of the entries of the run. UsageError where there is none."""
    engine = entries.configuration.engine
    if not entries.gated:
        scripts = ", ".join(plan.nodeid for plan in entries.plans)
        raise usage_error(
            f"--parallelrun-plan: what the command line names leads to no entry of the ini file ({scripts}). Name one, "
            "or no path at all."
        )
    texts = ("\n".join(_shown(plan, line) for line in plan_lines(plan, engine, verbosity)) for plan in entries.gated)
    _print("\n\n".join(texts) + "\n", errors="backslashreplace")


def _print(text: str, *, errors: str) -> None:
    """Writes directly: pytest has no terminal writer yet, and a console may lack characters."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, errors).decode(encoding))


def plan_lines(plan: EntryPlan, engine: str, verbosity: int) -> Iterator[str]:
    """The split, the settings with their origins, and the checks that would run.

    verbosity: that of pytest; above 0 there are the settings that nobody set and on which no sources disagree.
    """
    settings, sample = plan.settings, plan.sample
    splitter = sample.open(settings)
    yield f"entry {plan.entry.path}"
    if plan.step is not None:
        yield f"  job {plan.step_text()}"
    yield f"  code root {plan.entry.code_root}, imported as '{plan.entry.module_name}'"
    if splitter is None:
        yield f"input: none, {sample.missing}"
    else:
        yield from _split(splitter, settings, sample.origin)
    yield "settings"
    others = 0
    for setting in setting_records(settings, plan.origins):
        if setting.is_set or verbosity > 0:
            yield f"  {setting.name} = {setting.value}  ({setting.origin})"
        elif settings.profile in setting_table()[setting.name].disputed:
            yield f"  {setting.name} = {setting.value}  (default; Azure's documents disagree)"
        else:
            others += 1
    if others:
        yield f"  and {others} defaults; -v shows them, and which document says what"
    yield f"rules: {settings.rules.name}"
    yield f"engine: {engine}"
    yield from _engine_notes(settings, engine)
    kind = settings.kind_without_input if splitter is None else splitter.kind
    added = runtime_arguments(settings, scoring_module_name=plan.entry.label, output="OUTPUT", kind=kind)
    yield f"sys.argv[1:]: {masked_arguments(added)}"
    if plan.arguments.argv:
        yield f"  then yours: {masked_arguments(plan.arguments.argv)}"
    for note in (*plan.all_notes(), *plan.arguments.notes):
        yield f"note: {masked_text(note)}"
    checks = checks_of(plan)
    skipped = [check.name for check in checks if check.needs_input and splitter is None]
    yield f"checks ({len(checks) - len(skipped)} of {len(checks)} would run)"
    yield from (f"  {check.name}" for check in checks if check.name not in skipped)
    if skipped:
        yield f"  skipped, {sample.no_input}: {', '.join(skipped)}"


def _engine_notes(settings: JobSettings, engine: str) -> Iterator[str]:
    if engine == "inprocess":
        for name in sorted(settings.explicit):
            if not setting_table()[name].emulated:
                yield f"  note: {name} has an effect in worker processes alone: --parallelrun-engine=process"
        return
    if engine == "ray":
        address = os.environ.get("RAY_ADDRESS", "")
        where = f"that RAY_ADDRESS names, {address}" if address else "of this machine, which the run starts"
        yield (
            f"  note: workers are on the Ray cluster {where}; files go by path to nodes that see them at the same "
            "path, and by value to others"
        )
    if settings.clock == "virtual":
        yield "  note: in worker processes time is real; clock=virtual, which skips sleep, is for engine inprocess"


def _split(splitter: Splitter, settings: JobSettings, origin: str) -> Iterator[str]:
    yield f"input: {splitter.describe()}" + (f"  ({origin})" if origin else "")
    yield from (f"  note: {sentence}" for sentence in split_notes(splitter.form, settings))
    by_size = not settings.unused and "mini_batch_size" in USED[splitter.form].settings
    if by_size and splitter.kind == "tabular" and settings.mini_batch_size_text.isdigit():
        yield f"  note: mini_batch_size={settings.mini_batch_size_text} is bytes for a table; write 10KB or 1MB"
    number = -1
    for number, batch in enumerate(splitter.mini_batches()):
        if number < SHOWN:
            names = splitter.item_names(batch)
            shown = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}" if names else "nothing"
            yield f"  mini-batch {batch.id}: {count_of(batch.size, 'item')}, {shown}"
        elif splitter.total_mini_batches is not None:
            break
    total = splitter.total_mini_batches or number + 1
    if total > SHOWN:
        yield f"  and {total - SHOWN} more"

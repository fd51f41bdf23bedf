"""--parallelrun-plan: what would be run, and how; nothing is run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_parallelrun._collect import NO_INPUT
from pytest_parallelrun._gate import EntryPlan, Gate
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.arguments import runtime_arguments
from pytest_parallelrun.emulator.errors import ParallelRunError
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.report.plan import plan_lines
from pytest_parallelrun.report.secrets import masked_text


def print_plan(gate: Gate) -> None:
    """Prints the plans of all entries; UsageError for an input that shows its faults only while it is split."""
    try:
        text = "\n\n".join("\n".join(_lines(plan)) for plan in gate.plans())
    except ParallelRunError as error:
        raise pytest.UsageError(masked_text(str(error))) from None
    # pytest has no terminal writer yet, and a console may lack the characters of a file name.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))


def _lines(plan: EntryPlan) -> Iterator[str]:
    source = list(plan.input) if isinstance(plan.input, tuple) else plan.input
    splitter = None if source is None else open_input(source, plan.settings)
    appending = plan.settings.output_action == "append_row"
    yield from plan_lines(
        entry=plan.entry,
        splitter=splitter,
        settings=plan.settings,
        origins=plan.origins,
        runtime_arguments=runtime_arguments(
            plan.settings,
            scoring_module_name=plan.entry.label,
            output=str(Path("OUTPUT")) if appending else None,
            kind="files" if splitter is None else splitter.kind,
        ),
        arguments=plan.arguments.argv,
        notes=plan.arguments.notes,
        checks={check.name: NO_INPUT if check.needs_input and splitter is None else None for check in CHECKS},
    )

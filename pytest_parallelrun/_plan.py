"""--parallelrun-plan: what would be run, and how; nothing is run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_parallelrun._collect import NO_INPUT
from pytest_parallelrun._gate import EntryPlan, Gate
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.arguments import runtime_arguments
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.report.plan import plan_lines


def plan_text(gate: Gate) -> str:
    """The plans of all entries."""
    return "\n\n".join("\n".join(_lines(plan)) for plan in gate.plans())


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

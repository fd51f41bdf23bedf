"""--parallelrun-plan: what would be run, and how; nothing is run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pytest_parallelrun._configuration import EntryPlan, Gate
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.arguments import runtime_arguments
from pytest_parallelrun.emulator.splitting import InputKind, open_input
from pytest_parallelrun.report.plan import plan_lines


def print_plan(gate: Gate) -> None:
    """Prints the plans of all entries."""
    text = "\n\n".join("\n".join(_lines(plan, gate.engine)) for plan in gate.plans())
    # pytest has no terminal writer yet, and a console may lack the characters of a file name.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))


def _lines(plan: EntryPlan, engine: str) -> Iterator[str]:
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
            kind=_kind_without_input(plan) if splitter is None else splitter.kind,
        ),
        arguments=plan.arguments.argv,
        notes=(*plan.all_notes(), *plan.arguments.notes),
        job=plan.step_text(),
        no_input=plan.no_input.replace("there is no sample input: ", "none, "),
        input_origin=plan.input_origin,
        checks={check.name: plan.no_input if check.needs_input and splitter is None else None for check in CHECKS},
        engine=engine,
    )


def _kind_without_input(plan: EntryPlan) -> InputKind:
    """What the unit of the mini-batch size tells."""
    in_bytes = plan.settings.mini_batch_size is not None and not plan.settings.mini_batch_size_text.isdigit()
    return "tabular" if in_bytes else "files"

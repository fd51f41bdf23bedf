"""Input files are modified, moved or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.input_changes import Changes, changes_of
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.phrases import items_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest


READ_ONLY = "the input is mounted read-only (ro_mount, the default): OSError, Read-only file system"


def test_leaves_input_unchanged(
    parallelrun_entry: EntryUnderTest, parallelrun_baseline: Baseline, parallelrun_check: Check
) -> None:
    """After the whole sample was run, its files are what they were."""
    __tracebackhide__ = True
    assert parallelrun_entry.sample is not None
    changes = changes_of(parallelrun_entry.sample, parallelrun_baseline.sample, parallelrun_entry.settings)
    if changes.gone or changes.modified:
        parallelrun_check.fail(_changed(parallelrun_baseline, changes))
    if changes.new:
        parallelrun_check.advise(
            Finding(
                what=f"The script makes new files beside its input: {items_text(changes.new)}.",
                service=READ_ONLY,
                fix="write to EntryScript().output_dir, to a folder that a program argument names, or below tempfile",
            )
        )
        return
    if all(attempt.returned is None for attempt in parallelrun_baseline.result.attempts):
        parallelrun_check.cannot_decide(parallelrun_baseline.why_nothing_returned())


def _changed(baseline: Baseline, changes: Changes) -> Finding:
    parts = [
        changes.modified and f"modified: {items_text(changes.modified)}",
        changes.gone and f"deleted or moved away: {items_text(changes.gone)}",
        changes.new and f"new: {items_text(changes.new)}",
    ]
    touched = {*changes.modified, *changes.gone}
    return Finding(
        what=f"The script changes its input. {'; '.join(part for part in parts if part)}.",
        location=_mini_batch_of(baseline, touched),
        counts=f"{len(touched)} file(s) of the sample are no more what they were; a retry would meet them so",
        service=READ_ONLY + ", so the attempt fails; in a folder that can be written, a retry finds other items",
        fix="copy the file to a folder of tempfile first, or write the result under another name to the output folder",
    )


def _mini_batch_of(baseline: Baseline, names: set[str]) -> Location | None:
    result = baseline.result
    if result.splitter_kind == "files":
        for batch in result.mini_batches:
            items = tuple(name for name in result.item_names(batch.id) if name in names)
            if items:
                return Location(
                    phase="run", mini_batch=batch.id, items=items_text(items), attempts=result.settings.max_retries + 1
                )
    return None

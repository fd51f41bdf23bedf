"""Input files are modified, moved or deleted, or files are written beside them."""

from __future__ import annotations

import filecmp
import os
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.entry.preconditions import skip_without_results
from pytest_parallelrun.contract.finding import Finding, Location
from pytest_parallelrun.contract.phrases import items_text
from pytest_parallelrun.emulator.splitting.input_paths import MLTABLE, files_below, is_mltable, locate
from pytest_parallelrun.emulator.splitting.mltable import files_of
from pytest_parallelrun.emulator.splitting.model import count_text

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.contract.entry.sample_copy import SampleCopy
    from pytest_parallelrun.emulator.settings import JobSettings


READ_ONLY = "the input is mounted read-only (ro_mount, the default): OSError, Read-only file system"


def test_leaves_input_unchanged(
    parallelrun_entry: EntryUnderTest,
    parallelrun_baseline: Baseline,
    parallelrun_observations: Observations,
    parallelrun_check: Check,
) -> None:
    """After the run of the whole sample, its files are unchanged."""
    __tracebackhide__ = True
    assert parallelrun_entry.sample is not None
    changes = _changes_of(parallelrun_entry.sample, parallelrun_baseline.sample, parallelrun_entry.settings)
    if changes.gone or changes.modified:
        parallelrun_check.fail(_finding(parallelrun_baseline, changes))
    written = _written_beside(parallelrun_observations, parallelrun_baseline.sample)
    if changes.new or written:
        parallelrun_check.fail(_written_finding(changes.new, written))
    if all(attempt.returned is None for attempt in parallelrun_baseline.result.attempts):
        skip_without_results(parallelrun_baseline, parallelrun_check)


def _finding(baseline: Baseline, changes: Changes) -> Finding:
    parts = [
        changes.modified and f"modified: {items_text(changes.modified)}",
        changes.gone and f"deleted or moved away: {items_text(changes.gone)}",
        changes.new and f"new: {items_text(changes.new)}",
    ]
    touched = {*changes.modified, *changes.gone}
    return Finding(
        what=f"The script changes its input. {'; '.join(part for part in parts if part)}.",
        location=_location_of(baseline, touched),
        counts=f"{count_text(len(touched), 'file')} of the sample changed; a retry would read the changed input",
        service=READ_ONLY + ", so the attempt fails; with a writable mount, a retry finds other items",
        fix="copy the file to a folder of tempfile first, or write the result under another name to the output folder",
    )


def _written_beside(observations: Observations, copy: SampleCopy) -> dict[str, Location]:
    """Names of files that run() writes beside its items, also those it takes away again, and where it does."""
    written: dict[str, Location] = {}
    run = observations.screening.pair if observations.kind == "files" else None
    for mini_batch, result in () if run is None else run.observation.attempts:
        for path in (*result.files.written, *result.files.scratch):
            name = os.path.relpath(path, observations.root)
            # What is there in the copy of the baseline is an item, or was left and is known.
            if path.startswith(observations.root) and not os.path.lexists(copy.root + name):
                written.setdefault(name, Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()))
    return written


def _written_finding(left: tuple[str, ...], written: dict[str, Location]) -> Finding:
    again = "" if left else ", and deletes them again"
    return Finding(
        what=f"The script writes files beside its input{again}: {items_text(left or tuple(written))}.",
        location=None if left else next(iter(written.values())),
        service=READ_ONLY + ", so the attempt fails",
        fix="write results to the folder that a program argument or AZUREML_BI_OUTPUT_PATH names, and temporary "
        "files to tempfile.TemporaryDirectory()",
    )


def _location_of(baseline: Baseline, names: set[str]) -> Location | None:
    result = baseline.result
    if result.splitter_kind == "files":
        for batch in dict.fromkeys(attempt.mini_batch for attempt in result.attempts):
            items = tuple(name for name in result.names_of(batch) if name in names)
            if items:
                return Location(
                    phase="run", mini_batch=batch.id, items=items_text(items), attempts=result.settings.max_retries + 1
                )
    return None


class Changes(NamedTuple):
    """Names of files, relative to the input."""

    modified: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


def _changes_of(sample: str | tuple[str, ...], copy: SampleCopy, settings: JobSettings) -> Changes:
    """Compares the copy with the original: names, and contents if size or time differ.

    settings: those of the split.
    """
    if not copy.is_copy:
        return Changes()
    originals = [sample] if isinstance(sample, str) else list(sample)
    copies = [copy.input] if isinstance(copy.input, str) else copy.input
    modified: dict[str, None] = {}
    gone: dict[str, None] = {}
    known: dict[str, set[str]] = {}
    for original, copied in zip(originals, copies, strict=True):
        location = locate(original, os.getcwd(), must_exist=True)
        base, names = location.root, location.names
        described = is_mltable(location, settings)
        if described:
            files = files_of(os.path.normpath(location.root), location.input_path)
            if files is None:
                # Run() gets rows.
                continue
            base, names = files
        if location.form == "folder":
            root = os.path.join(copied, "")
        elif location.form == "file":
            root = copied.removesuffix(location.names[0])
        else:
            root = copied.removesuffix(os.path.relpath(os.path.abspath(os.path.expanduser(original)), location.root))
        known.setdefault(root, set()).update([*names, MLTABLE] if described else names)
        for name in names:
            if not _same(base + name, root + name):
                (modified if os.path.lexists(root + name) else gone)[name] = None
    return Changes(tuple(modified), tuple(gone), tuple(_new(known)))


def _same(original: str, copied: str) -> bool:
    try:
        before, after = os.stat(original), os.stat(copied)
    except OSError:
        # A dangling link, as in the copy.
        return os.path.lexists(copied) and not os.path.exists(original) and not os.path.exists(copied)
    if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
        return True
    return os.path.isfile(copied) and os.access(original, os.R_OK) and filecmp.cmp(original, copied, shallow=False)


def _new(known: dict[str, set[str]]) -> list[str]:
    """Files below the copied folders that were not copied."""
    paths = {os.path.normpath(root + name) for root, names in known.items() for name in names}
    new: dict[str, None] = {}
    for root in known:
        for name in files_below(root) if os.path.isdir(root) else ():
            if os.path.normpath(root + name) not in paths:
                new[name] = None
    return list(new)

"""The plan of a gate: the split, every setting with its origin, the checks that would run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.setting_table import setting_table
from pytest_parallelrun.emulator.splitting.model import USED, split_notes
from pytest_parallelrun.report.records import setting_records
from pytest_parallelrun.report.sanitize import count_of, masked_arguments

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.entry import EntryFile
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter

SHOWN = 10
"""Mini-batches that the plan lists."""


def plan_lines(
    *,
    entry: EntryFile,
    splitter: Splitter | None,
    settings: JobSettings,
    origins: Mapping[str, str],
    runtime_arguments: tuple[str, ...],
    arguments: tuple[str, ...],
    notes: tuple[str, ...],
    job: str | None = None,
    no_input: str = "none, give one with --parallelrun-input=PATH",
    input_origin: str = "",
    checks: Mapping[str, str | None],
    engine: str = "inprocess",
    verbosity: int = 0,
) -> Iterator[str]:
    """`checks`: name -> why the check cannot run, None if it would.

    job: the step of the job definition. no_input: why there is no splitter. input_origin: where the input was written.
    verbosity: that of pytest; above 0 there are the settings that nobody set and on which no sources disagree.
    """
    yield f"entry {entry.path}"
    if job is not None:
        yield f"  job {job}"
    yield f"  code root {entry.code_root}, imported as '{entry.module_name}'"
    if splitter is None:
        yield f"input: {no_input}"
    else:
        yield from _split(splitter, settings, input_origin)
    yield "settings"
    others = 0
    for setting in setting_records(settings, origins):
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
    yield f"sys.argv[1:]: {masked_arguments(runtime_arguments)}"
    if arguments:
        yield f"  then yours: {masked_arguments(arguments)}"
    for note in notes:
        yield f"note: {note}"
    yield f"checks ({sum(reason is None for reason in checks.values())} of {len(checks)} would run)"
    skipped: dict[str, list[str]] = {}
    for name, reason in checks.items():
        if reason is None:
            yield f"  {name}"
        else:
            skipped.setdefault(reason, []).append(name)
    yield from (f"  skipped, {reason}: {', '.join(names)}" for reason, names in skipped.items())


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

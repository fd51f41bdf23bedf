"""What becomes of run() when something that the script reads beside its items is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.corruption.missing_files import model_sought_in_vain
from pytest_parallelrun.contract.entry.observations import attempt
from pytest_parallelrun.contract.entry.payloads import paths_of
from pytest_parallelrun.contract.rows.comparison import difference
from pytest_parallelrun.contract.rows.errors import SoundRows
from pytest_parallelrun.emulator.output import as_rows
from pytest_parallelrun.emulator.probe import WorkerDown

if TYPE_CHECKING:
    from pytest_parallelrun.contract.corruption.missing_files import Side, State
    from pytest_parallelrun.contract.entry.observations import Group, Trials
    from pytest_parallelrun.emulator.probe import Tried
    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched

Answer = Literal["reported", "wrong type", "other rows", "same rows"]


class Without(NamedTuple):
    """What the script made of a mini-batch without something. shown: what it returned, in words.

    in_init: whether init() or the import was where it looked for it and went on.
    """

    side: Side
    answer: Answer
    tried: Tried | None = None
    shown: str = ""
    in_init: bool = False


def try_without(trials: Trials, group: Group, sound: Tried, side: Side, state: State = "missing") -> Without:
    """A fresh worker that finds it missing or spoiled, and gets a mini-batch that is sound."""
    options = side.bench_without(trials.entry, state)
    with trials.entry.bench(probe=trials.probe, **options) as bench:  # type: ignore[arg-type]
        try:
            tried = attempt(bench, group)
        except WorkerDown:
            return Without(side, "reported")
        rows = as_rows(tried.ended.value)
        looked_in_init = _looked_for(side, bench.setting_up.read)
    if tried.ended.outcome == "wrong_type":
        return Without(side, "wrong type", tried, in_init=looked_in_init)
    if tried.ended.outcome != "succeeded":
        return Without(side, "reported", tried)
    sound_rows = as_rows(sound.ended.value)
    told = SoundRows(sound_rows, group.names)
    if any(told.names_error(row) for row in rows):
        return Without(side, "reported", tried)
    other = _other_rows(trials, sound_rows, rows)
    if other is None:
        return Without(side, "same rows", tried, in_init=looked_in_init)
    return Without(side, "other rows", tried, other, looked_in_init)


def gone_on_without(trials: Trials, group: Group, sound: Tried, setting_up: FilesTouched) -> Without | None:
    """The model that was not there while the sample succeeded, where the script hides garbage in its place as well.

    None where it found its model, looked for none, tells of it in its rows, or may do without it by choice.
    """
    opened = dict.fromkeys([*setting_up.read, *sound.files.read])
    side = model_sought_in_vain(trials.entry, opened, paths_of(group.payload))
    if side is None or any(SoundRows((), group.names).says_error(row) for row in as_rows(sound.ended.value)):
        return None
    spoiled = try_without(trials, group, sound, side, "garbage")
    return spoiled if spoiled.answer == "same rows" else None


def _other_rows(trials: Trials, sound: Sequence[object], rows: Sequence[object]) -> str | None:
    """A row that is another one without it; None where all are the same, as far as they are not random."""
    if difference(sound, rows) is None:
        return None
    changing = trials.changing
    if changing is None:
        found = difference(sound, rows)
    elif changing.all_rows:
        return None
    else:
        found = difference(sound, rows, ignoring=changing.keys)
    return None if found is None else f"{found[1]} where it returned {found[0]}"


def _looked_for(side: Side, opened: Sequence[str] | dict[str, None]) -> bool:
    names = {os.path.basename(path) for path in side.paths}
    return any(os.path.basename(path) in names for path in opened)

"""A file that cannot be read, or that is empty, among others that are sound."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, CorruptionTrial, Need
from pytest_parallelrun.contract.entry.mini_batches import paths_of
from pytest_parallelrun.contract.entry.observations import SampleMiniBatch, attempt
from pytest_parallelrun.contract.rows.comparison import changing, difference
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeSession
    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched

How = Literal["missing", "folder", "empty"]

_WORDS: dict[How, str] = {
    "missing": "the file is missing",
    "folder": "its path is a folder",
    "empty": "the file is empty",
}


def files_tried(trials: Observations, bench: ProbeSession, group: SampleMiniBatch) -> list[CorruptedAttempt]:
    """The first file missing, then a folder in its place."""
    return [_tried(trials, bench, group, "missing"), _tried(trials, bench, group, "folder")]


def empty_tried(trials: Observations, bench: ProbeSession, group: SampleMiniBatch) -> CorruptedAttempt:
    """The first file empty: it can be read, so that there may be nothing to report, and still cost the others."""
    return _tried(trials, bench, group, "empty")


def _tried(trials: Observations, bench: ProbeSession, group: SampleMiniBatch, how: How) -> CorruptedAttempt:
    path = paths_of(group.payload)[0]
    # A script may refuse what it has seen, or move it away: each try is the first on its worker and with its files.
    bench.renew()
    trials.restore()
    with spoiled(path, how, trials.entry.new_folder("aside")):
        tried = trials.attempt(bench, group)
    payload = _copied(group, how, trials.entry.new_folder("case")) if tried.ended.outcome != "succeeded" else []
    return CorruptedAttempt(_WORDS[how], group.names[0], payload, tried, "unknown")


def needs_told(trials: Observations, bench: ProbeSession, found: CorruptionTrial) -> list[CorruptedAttempt]:
    """The same with the answer to the question whether the script reads its items at all."""
    assert found.group is not None
    assert found.sound is not None
    path = paths_of(found.group.payload)[0]
    seen = [found.sound.files, *(bad.tried.files for bad in found.tries)]
    if any(opens(files, path) for files in seen):
        need: Need = "needed"
    elif all(bad.tried.ended.outcome != "succeeded" for bad in found.tries):
        need = "unknown"
    else:
        need = "unknown" if _depends_on_content(trials, bench, found) is not False else "not needed"
    return [bad._replace(need=need) for bad in found.tries]


def opens(files: FilesTouched, path: str) -> bool:
    """Whether a file was opened, or tried to be."""
    paths = {path, os.path.realpath(path)}
    return not paths.isdisjoint(files.read) or not paths.isdisjoint(files.written)


def _depends_on_content(trials: Observations, bench: ProbeSession, found: CorruptionTrial) -> bool | None:
    """Whether rows change when two items exchange their contents; None where that cannot be told."""
    assert found.group is not None
    paths = paths_of(found.group.payload)
    readable = [path for path in paths[1:] if os.path.isfile(path) and os.path.isfile(paths[0])]
    other = next((path for path in readable if not filecmp.cmp(paths[0], path, shallow=False)), None)
    if other is None:
        return None
    with exchanged(paths[0], other, trials.entry.new_folder("aside")):
        # A fresh worker: this one may have kept what it read of them.
        bench.renew()
        tried = attempt(bench, found.group)
    if tried.ended.outcome != "succeeded":
        return None
    rows = as_rows(tried.ended.value)
    if difference(found.sound_rows, rows) is None:
        return False
    # The worker of the sound attempt had seen others before; and what two fresh workers disagree on is random.
    plain = [_rows_of_fresh_worker(bench, found.group) for _ in range(2)]
    random = changing(plain[0], plain[1])
    if random is not None and random.all_rows:
        return None
    return difference(plain[0], rows, ignoring=() if random is None else random.keys) is not None


def _rows_of_fresh_worker(bench: ProbeSession, group: SampleMiniBatch) -> list[object]:
    bench.renew()
    return as_rows(attempt(bench, group).ended.value)


@contextmanager
def spoiled(path: str, how: How, aside: Path) -> Iterator[None]:
    """A file that is away, or something else in its place, until the context is left. aside: an empty folder."""
    kept = os.path.join(aside, "item")
    os.rename(path, kept)
    try:
        _put(how, path)
        yield
    finally:
        # The script may have put anything there.
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)
        os.rename(kept, path)


def _put(how: How, path: str) -> None:
    if how == "folder":
        os.mkdir(path)
    elif how == "empty":
        open(path, "wb").close()


@contextmanager
def exchanged(one: str, other: str, aside: Path) -> Iterator[None]:
    """Two files that have each other's content until the context is left."""
    _exchange(one, other, aside)
    try:
        yield
    finally:
        _exchange(one, other, aside)


def _exchange(one: str, other: str, aside: Path) -> None:
    kept = os.path.join(aside, "item")
    os.rename(one, kept)
    os.rename(other, one)
    os.rename(kept, other)


def _copied(group: SampleMiniBatch, how: How, folder: Path) -> list[str]:
    """The mini-batch in another folder with its first item bad, since the copy of the sample is mended again."""
    paths = []
    for position, (path, name) in enumerate(zip(paths_of(group.payload), group.names, strict=True)):
        target = os.path.join(folder, *name.replace("\\", "/").split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if position:
            shutil.copy2(path, target)
        else:
            _put(how, target)
        paths.append(target)
    return paths

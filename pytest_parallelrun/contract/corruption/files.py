"""A file that cannot be read, or that is empty, among others that are valid."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_parallelrun.contract.corruption.attempts import CorruptedAttempt, Need
from pytest_parallelrun.contract.entry.mini_batches import attempt, paths_of
from pytest_parallelrun.contract.rows.comparison import difference, nondeterministic_values
from pytest_parallelrun.emulator.output import as_rows

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession
    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched

State = Literal["missing", "folder", "empty"]

_DESCRIPTIONS: dict[State, str] = {
    "missing": "the file is missing",
    "folder": "its path is a folder",
    "empty": "the file is empty",
}


def try_unreadable_file(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch
) -> list[CorruptedAttempt]:
    """The first file missing, then a folder in its place."""
    return [_try(observations, session, mini_batch, "missing"), _try(observations, session, mini_batch, "folder")]


def try_empty_file(observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch) -> CorruptedAttempt:
    """The first file empty: it can be read, so that there may be nothing to report, and still cost the others."""
    return _try(observations, session, mini_batch, "empty")


def _try(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch, state: State
) -> CorruptedAttempt:
    path = paths_of(mini_batch.payload)[0]
    # A script may refuse what it has seen, or move it away: each attempt is the first on its worker and with its files.
    session.renew()
    observations.restore()
    with _corrupted(path, state, observations.entry.new_folder("aside")):
        result = observations.attempt(session, mini_batch)
    failed = result.ended.outcome != "succeeded"
    return CorruptedAttempt(
        description=_DESCRIPTIONS[state],
        item=mini_batch.names[0],
        payload=_copied(mini_batch, state, observations.entry.new_folder("case")) if failed else [],
        result=result,
    )


def with_needs(
    observations: Observations,
    session: ProbeSession,
    mini_batch: SampleMiniBatch,
    valid: ProbeResult,
    attempts: list[CorruptedAttempt],
) -> list[CorruptedAttempt]:
    """The attempts with the answer to the question whether the script reads its items at all."""
    path = paths_of(mini_batch.payload)[0]
    results = [valid, *(corrupted.result for corrupted in attempts)]
    need: Need = "unknown"
    if any(_opens(result.files, path) for result in results):
        need = "needed"
    elif any(corrupted.ended.outcome == "succeeded" for corrupted in attempts):
        depends = _depends_on_content(observations, session, mini_batch, as_rows(valid.ended.value))
        need = "not needed" if depends is False else "unknown"
    return [corrupted._replace(need=need) for corrupted in attempts]


def _opens(files: FilesTouched, path: str) -> bool:
    """Whether a file was opened, or tried to be."""
    paths = {path, os.path.realpath(path)}
    return not paths.isdisjoint(files.read) or not paths.isdisjoint(files.written)


def _depends_on_content(
    observations: Observations, session: ProbeSession, mini_batch: SampleMiniBatch, valid_rows: list[object]
) -> bool | None:
    """Whether rows change when two items exchange their contents; None where that cannot be told."""
    first, *others = paths_of(mini_batch.payload)
    readable = [path for path in others if os.path.isfile(path) and os.path.isfile(first)]
    other = next((path for path in readable if not filecmp.cmp(first, path, shallow=False)), None)
    if other is None:
        return None
    with _exchanged(first, other, observations.entry.new_folder("aside")):
        # A fresh worker: this one may have kept what it read of them.
        session.renew()
        ended = attempt(session, mini_batch).ended
    if ended.outcome != "succeeded":
        return None
    rows = as_rows(ended.value)
    if difference(valid_rows, rows) is None:
        return False
    # The worker of the valid attempt had seen others before; and what two fresh workers disagree on is random.
    fresh = [_rows_of_fresh_worker(session, mini_batch) for _ in range(2)]
    random = nondeterministic_values(fresh[0], fresh[1])
    if random is not None and random.all_rows:
        return None
    return difference(fresh[0], rows, ignoring=() if random is None else random.keys) is not None


def _rows_of_fresh_worker(session: ProbeSession, mini_batch: SampleMiniBatch) -> list[object]:
    session.renew()
    return as_rows(attempt(session, mini_batch).ended.value)


@contextmanager
def _corrupted(path: str, state: State, aside: Path) -> Iterator[None]:
    """A file that is away, or something else in its place, until the context is left. aside: an empty folder."""
    kept = os.path.join(aside, "item")
    os.rename(path, kept)
    try:
        _put(state, path)
        yield
    finally:
        # The script may have put anything there.
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)
        os.rename(kept, path)


def _put(state: State, path: str) -> None:
    if state == "folder":
        os.mkdir(path)
    elif state == "empty":
        open(path, "wb").close()


@contextmanager
def _exchanged(first: str, second: str, aside: Path) -> Iterator[None]:
    """Two files that have each other's content until the context is left."""
    _exchange(first, second, aside)
    try:
        yield
    finally:
        _exchange(first, second, aside)


def _exchange(first: str, second: str, aside: Path) -> None:
    kept = os.path.join(aside, "item")
    os.rename(first, kept)
    os.rename(second, first)
    os.rename(kept, second)


def _copied(mini_batch: SampleMiniBatch, state: State, folder: Path) -> list[str]:
    """The mini-batch in another folder with its first item bad, since the copy of the sample is put right again."""
    paths = []
    for position, (path, name) in enumerate(zip(paths_of(mini_batch.payload), mini_batch.names, strict=True)):
        target = os.path.join(folder, *name.replace("\\", "/").split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if position:
            shutil.copy2(path, target)
        else:
            _put(state, target)
        paths.append(target)
    return paths

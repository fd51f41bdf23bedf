"""Two workers side by side, given different mini-batches of the sample: their answers, and files that both write."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.dependence.written_files import OWN, WrittenFiles, content_of, is_database
from pytest_parallelrun.contract.entry.observations import Observation
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched

if TYPE_CHECKING:
    from pytest_parallelrun.contract.dependence.written_files import Content, WrittenFile
    from pytest_parallelrun.contract.entry.observations import Observations

MAX_MINI_BATCHES = 6
"""That are given to the two workers in turn."""

_LOCK = re.compile(r"lock|lck|mutex|semaphore|guard|busy|in.?progress|running", re.IGNORECASE)

_TEMPORARY = re.compile(r"te?mp|part|work|scratch|staging", re.IGNORECASE)
# All emulated workers are one process, which on the service they are not.
_OWN_PROCESS = re.compile(rf"(?<!\d){os.getpid()}(?!\d)")

How = Literal["different content", "appended", "a temporary file"]


class Collision(NamedTuple):
    """A file that both workers write. in_init: by their import or init(). attempts: indices of the two attempts."""

    place: WrittenFile
    how: How
    in_init: bool
    attempts: tuple[int, int] | None = None


class _Write(NamedTuple):
    attempt: int | None
    worker: int
    content: Content | None
    appended: bool
    read: bool


@dataclass
class ConcurrentRun:
    """What two workers did.

    same: files that both wrote with the same content. written: those that the first worker wrote first, with the
    attempt in which it did, None for init(). Those in the workers' own folders are in none of them. apart: files that
    both have there, with different content.
    """

    observation: Observation = field(default_factory=Observation)
    collisions: list[Collision] = field(default_factory=list)
    same: list[WrittenFile] = field(default_factory=list)
    written: dict[WrittenFile, int | None] = field(default_factory=dict)
    apart: list[WrittenFile] = field(default_factory=list)


def side_by_side(trials: Observations) -> ConcurrentRun:
    """Two fresh workers with the mini-batches of the sample in turn. Asked once."""
    return trials.remember("side by side", lambda: _watch(trials))


def _watch(trials: Observations) -> ConcurrentRun:
    found = ConcurrentRun()
    writes: dict[WrittenFile, list[_Write]] = {}
    groups = trials.asked[:MAX_MINI_BATCHES]
    if len(groups) == 1:
        groups = (groups[0], groups[0].numbered(groups[0].id + 1))
    redirected = trials.entry.redirected()
    trials.restore()
    with trials.entry.bench(
        workers=2,
        probe=trials.probe,
        arguments=redirected.arguments,
        environment_variables=redirected.environment,
    ) as bench:
        files = WrittenFiles(bench, redirected.folders, trials.root)
        for worker in (0, 1):
            bench.setting_up = FilesTouched()
            bench.start(worker)
            trials.entry.outputs.note(bench.setting_up)
            _record(files, writes, None, worker, bench.setting_up)
        for number, group in enumerate(groups):
            worker = number % 2
            before = files.listed()
            tried = trials.attempt(bench, group, worker=worker)
            found.observation.tried.append((group, tried))
            # A native writer is seen by what it leaves alone.
            natively = [path for path, state in files.listed().items() if before.get(path) != state]
            tried.files.written.update(dict.fromkeys(natively))
            _record(files, writes, number, worker, tried.files)
        own, others = files.snapshot(0), files.snapshot(1)
    found.apart = [place for place in own if place.where == OWN and own[place] != others.get(place, own[place])]
    for place, events in writes.items():
        _judge(found, place, events)
    found.written = {place: events[0].attempt for place, events in writes.items() if events[0].worker == 0}
    return found


def _record(
    files: WrittenFiles,
    writes: dict[WrittenFile, list[_Write]],
    attempt: int | None,
    worker: int,
    touched: FilesTouched,
) -> None:
    files.saw(touched, worker)
    for place, path in files.shared(touched.written).items():
        if not _OWN_PROCESS.search(place.name):
            write = _Write(attempt, worker, content_of(path), path in touched.appended, path in touched.read)
            writes.setdefault(place, []).append(write)


def _judge(found: ConcurrentRun, place: WrittenFile, events: list[_Write]) -> None:
    """Whether writes of the two workers meet in a file."""
    pairs = [(one, other) for one in events if one.worker == 0 for other in events if other.worker == 1]
    for one, other in pairs:
        how = _collides(place, one, other)
        if how is not None:
            in_init = one.attempt is None or other.attempt is None
            attempts = None if one.attempt is None or other.attempt is None else (one.attempt, other.attempt)
            found.collisions.append(Collision(place, how, in_init, attempts))
            return
    if pairs:
        found.same.append(place)


def _collides(place: WrittenFile, one: _Write, other: _Write) -> How | None:
    if one.content is None and other.content is None:
        # Gone again: a lock is meant to be met by others, what is read back or renamed is not.
        is_data = (one.read and other.read) or bool(_TEMPORARY.search(os.path.basename(place.name)))
        return "a temporary file" if is_data and not _LOCK.search(place.name) else None
    if any(write.content is not None and is_database(write.content) for write in (one, other)):
        # A database has locks of its own.
        return None
    if one.appended and other.appended:
        return "appended"
    return "different content" if one.content != other.content else None

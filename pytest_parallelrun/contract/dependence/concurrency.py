"""Two workers side by side, given different mini-batches of the sample: their answers, and files that both write."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_parallelrun.contract.dependence.written_files import (
    WrittenFiles,
    content_of,
    is_database,
)
from pytest_parallelrun.contract.entry.mini_batches import Observation
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched

if TYPE_CHECKING:
    from pytest_parallelrun.contract.dependence.written_files import Content, WrittenFile
    from pytest_parallelrun.contract.entry.observations import Observations

MAX_MINI_BATCHES = 6
"""That are given to the two workers in turn."""

_LOCK = re.compile(r"lock|lck|mutex|semaphore|guard|busy|in.?progress|running", re.IGNORECASE)
_TEMPORARY = re.compile(r"te?mp|part|work|scratch|staging", re.IGNORECASE)

CollisionKind = Literal["different content", "appended", "a temporary file"]


class Collision(NamedTuple):
    """A file that both workers write. in_init: by their import or init(). attempts: indices of the two attempts."""

    file: WrittenFile
    kind: CollisionKind
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
    attempt in which it did, None for init(). Those in the workers' own folders are in none of them.
    """

    observation: Observation = field(default_factory=Observation)
    collisions: list[Collision] = field(default_factory=list)
    same: list[WrittenFile] = field(default_factory=list)
    written: dict[WrittenFile, int | None] = field(default_factory=dict)


def side_by_side(observations: Observations) -> ConcurrentRun:
    """Two fresh workers with the mini-batches of the sample in turn. Asked once."""
    return observations.remember("side by side", lambda: _run(observations))


def _run(observations: Observations) -> ConcurrentRun:
    run = ConcurrentRun()
    writes: dict[WrittenFile, list[_Write]] = {}
    mini_batches = observations.asked[:MAX_MINI_BATCHES]
    if len(mini_batches) == 1:
        mini_batches = (mini_batches[0], mini_batches[0].numbered(mini_batches[0].id + 1))
    redirected = observations.entry.redirected()
    observations.restore()
    with observations.entry.session(
        workers=2,
        probe_limit=observations.probe_limit,
        arguments=redirected.arguments,
        environment_variables=redirected.environment,
    ) as session:
        files = WrittenFiles(session, redirected.folders, observations.root)
        for worker in (0, 1):
            session.setting_up = FilesTouched()
            session.start(worker)
            observations.entry.outputs.note(session.setting_up)
            _record(files, writes, None, worker, session.setting_up)
        for number, mini_batch in enumerate(mini_batches):
            worker = number % 2
            before = files.listed()
            result = observations.attempt(session, mini_batch, worker=worker)
            run.observation.attempts.append((mini_batch, result))
            # A native writer is seen by what it leaves alone.
            natively = [path for path, state in files.listed().items() if before.get(path) != state]
            result.files.written.update(dict.fromkeys(natively))
            _record(files, writes, number, worker, result.files)
    for file, made in writes.items():
        _judge(run, file, made)
    run.written = {file: made[0].attempt for file, made in writes.items() if made[0].worker == 0}
    return run


def _record(
    files: WrittenFiles,
    writes: dict[WrittenFile, list[_Write]],
    attempt: int | None,
    worker: int,
    touched: FilesTouched,
) -> None:
    files.saw(touched, worker)
    for file, path in files.shared(touched.written).items():
        if not file.names_its_process:
            write = _Write(
                attempt=attempt,
                worker=worker,
                content=content_of(path),
                appended=path in touched.appended,
                read=path in touched.read,
            )
            writes.setdefault(file, []).append(write)


def _judge(run: ConcurrentRun, file: WrittenFile, writes: list[_Write]) -> None:
    """Whether writes of the two workers meet in a file."""
    pairs = [(first, second) for first in writes if first.worker == 0 for second in writes if second.worker == 1]
    for first, second in pairs:
        kind = _collide(file, first, second)
        if kind is not None:
            in_init = first.attempt is None or second.attempt is None
            attempts = None if first.attempt is None or second.attempt is None else (first.attempt, second.attempt)
            run.collisions.append(Collision(file, kind, in_init, attempts))
            return
    if pairs:
        run.same.append(file)


def _collide(file: WrittenFile, first: _Write, second: _Write) -> CollisionKind | None:
    if first.content is None and second.content is None:
        # Gone again: a lock is meant to be met by others, what is read back or renamed is not.
        is_data = (first.read and second.read) or bool(_TEMPORARY.search(os.path.basename(file.name)))
        return "a temporary file" if is_data and not _LOCK.search(file.name) else None
    if any(write.content is not None and is_database(write.content) for write in (first, second)):
        # A database has locks of its own.
        return None
    if first.appended and second.appended:
        return "appended"
    return "different content" if first.content != second.content else None

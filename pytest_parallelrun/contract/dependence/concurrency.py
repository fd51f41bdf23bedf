"""Two workers side by side with different mini-batches of the sample: their answers, and files that both write.

Then both get the first one again, like a retry or a queue that delivers at least once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from pytest_parallelrun.contract.bounds import MAX_LATE
from pytest_parallelrun.contract.dependence.written_files import (
    WrittenFiles,
    content_of,
    is_database,
)
from pytest_parallelrun.contract.entry.mini_batches import Observation
from pytest_parallelrun.contract.entry.parsings import RecordedParsers
from pytest_parallelrun.contract.rows.items import stem_of
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched
from pytest_parallelrun.emulator.worker.late_writes import Process, late_writes, this_process, watch_threads

if TYPE_CHECKING:
    from pytest_parallelrun.contract.dependence.written_files import Content, Snapshot, WrittenFile
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.sample_attempts import SampleAttempts
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession

_LOCK = re.compile(r"lock|lck|mutex|semaphore|guard|busy|in.?progress|running", re.IGNORECASE)
_TEMPORARY = re.compile(r"te?mp|part|work|scratch|staging", re.IGNORECASE)

SIDE_BY_SIDE = "side by side"
"""Name under which this is remembered."""

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
    """Results of two workers.

    same: files that both wrote with the same content. written: files that the first worker wrote first, with the
    attempt, None for init(). written_for: files written for a mini-batch, by its id. None of them contain the workers'
    own folders. late: written by threads after run() had returned, with the attempt. again: answers of both to the
    first mini-batch once more. left: all files after one delivery of each mini-batch, and `left_again` after each of
    the others. observed: what RecordedParsers saw in each of them.
    """

    observation: Observation = field(default_factory=Observation)
    collisions: list[Collision] = field(default_factory=list)
    same: list[WrittenFile] = field(default_factory=list)
    written: dict[WrittenFile, int | None] = field(default_factory=dict)
    observed: Sequence[object] = ()
    written_for: dict[int, set[WrittenFile]] = field(default_factory=dict)
    late: dict[WrittenFile, int] = field(default_factory=dict)
    again: list[AttemptEnded] = field(default_factory=list)
    left: Snapshot = field(default_factory=dict)
    left_again: list[Snapshot] = field(default_factory=list)


def side_by_side(attempts: SampleAttempts) -> ConcurrentRun:
    """Two fresh workers with the mini-batches of the sample in turn. Asked once."""
    return attempts.remember(SIDE_BY_SIDE, lambda: _run(attempts))


def _run(attempts: SampleAttempts) -> ConcurrentRun:
    run = ConcurrentRun()
    writes: dict[WrittenFile, list[_Write]] = {}
    mini_batches = attempts.asked
    if len(mini_batches) == 1:
        mini_batches = (mini_batches[0], mini_batches[0].numbered(mini_batches[0].id + 1))
    redirected = attempts.entry.redirected()
    attempts.restore()
    known, patience = this_process(), MAX_LATE
    with attempts.pair_entry.session(
        workers=2,
        probe_limit=attempts.probe_limit if attempts.pair_entry is attempts.entry else attempts.process_limit,
        arguments=redirected.arguments,
        environment_variables=redirected.environment,
    ) as session:
        files = WrittenFiles(session, redirected.folders, attempts.root)
        at_once = _start_at_once(attempts)
        if at_once:
            session.start_two(RecordedParsers)
        for worker in (0, 1):
            if not at_once:
                session.setting_up = FilesTouched()
                session.start(worker, RecordedParsers)
            attempts.entry.outputs.note(session.setting_up)
            _record(files, writes, None, worker, session.setting_up)
        for number, mini_batch in enumerate(mini_batches):
            worker = number % 2
            before = files.listed()
            result, seconds, late = _attempt(
                attempts, session, mini_batch, worker, known, 0.0 if run.late else patience
            )
            patience -= seconds
            run.observation.attempts.append((mini_batch, result))
            # Files of native code are seen only afterwards.
            natively = [path for path, state in files.listed().items() if before.get(path) != state]
            result.files.written.update(dict.fromkeys(natively))
            _record(files, writes, number, worker, result.files)
            for file, path in files.shared((path for path, _ in late), worker).items():
                # Another one may be a monitor that writes all the time.
                if file.is_needed and ((path, True) in late or _is_named_after(file, mini_batch)):
                    run.late.setdefault(file, number)
        run.observed = session.observed
        run.left = _files_of_both(files)
        for worker in (0, 1):
            result = attempts.attempt(session, mini_batches[0], worker=worker, number=worker + 1)
            files.saw(result.files, worker)
            run.again.append(result.ended)
            run.left_again.append(_files_of_both(files))
    for file, made in writes.items():
        _judge(run, file, made)
        for write in made:
            if write.attempt is not None:
                run.written_for.setdefault(mini_batches[write.attempt].id, set()).add(file)
    run.written = {file: made[0].attempt for file, made in writes.items() if made[0].worker == 0}
    return run


def _start_at_once(attempts: SampleAttempts) -> bool:
    """Whether the two are processes that need not take turns: nothing was written while the sample ran."""
    return attempts.pair_entry.engine != "inprocess" and not attempts.entry.outputs.writes


def _attempt(
    attempts: SampleAttempts,
    session: ProbeSession,
    mini_batch: SampleMiniBatch,
    worker: int,
    known: Process,
    patience: float,
) -> tuple[ProbeResult, float, list[tuple[str, bool]]]:
    """An attempt, and what `late_writes` says afterwards."""
    with session.held():
        session.call_in_worker(watch_threads, known, worker=worker)
        result = attempts.attempt(session, mini_batch, worker=worker)
        if not session.is_up(worker):
            return result, 0.0, []
        seconds, late = cast(
            "tuple[float, list[tuple[str, bool]]]", session.call_in_worker(late_writes, patience, worker=worker)
        )
    return result, seconds, late


def _is_named_after(file: WrittenFile, mini_batch: SampleMiniBatch) -> bool:
    return any(name.row is None and stem_of(name) in file.name for name in mini_batch.names)


def _files_of_both(files: WrittenFiles) -> Snapshot:
    """All current files; of one that both have in their working folders, that of the first."""
    return {**files.snapshot(1), **files.snapshot(0)}


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
    """Whether both workers write to a file."""
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
        # Deleted again: a lock is meant to be shared; a file that is read back or renamed is not.
        is_data = (first.read and second.read) or bool(_TEMPORARY.search(os.path.basename(file.name)))
        return "a temporary file" if is_data and not _LOCK.search(file.name) else None
    if any(write.content is not None and is_database(write.content) for write in (first, second)):
        # A database has its own locks.
        return None
    if first.appended and second.appended:
        return "appended"
    return "different content" if first.content != second.content else None

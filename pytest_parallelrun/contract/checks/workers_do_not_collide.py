"""Two workers write different content to the same file, or append to it."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.dependence.concurrency import side_by_side
from pytest_parallelrun.contract.dependence.written_files import WORKING_FOLDER
from pytest_parallelrun.contract.entry.mini_batches import answer_of
from pytest_parallelrun.contract.entry.preconditions import require_answers, skip_if_written_late, skip_without_worker
from pytest_parallelrun.contract.finding import Cause, Finding, Location

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.dependence.concurrency import Collision, ConcurrentRun
    from pytest_parallelrun.contract.dependence.written_files import WrittenFile
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import Failure


def test_workers_do_not_collide(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """Two workers with different mini-batches do not write the same file."""
    __tracebackhide__ = True
    observations, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        require_answers(observations, check)
        skip_if_written_late(observations, check)
        run = side_by_side(observations)
        collisions = [collision for collision in run.collisions if not collision.file.is_log]
        for collision in run.collisions:
            if collision.file.is_log:
                check.note(f"both workers write the log {collision.file}, whose lines will be mixed")
        if collisions:
            finding = _of_collision(run, collisions)
            if not _is_one_worker(observations) or any(one.kind == "different content" for one in collisions):
                check.fail(finding)
            check.advise(
                finding.saying(
                    "the job sets instance_count=1 and max_concurrency_per_instance=1, so it has one worker: this "
                    "only happens with more"
                )
            )
        _fail_on_a_file_of_the_first(observations, check, run)
        if all(result.ended.returned is None for _, result in run.observation.attempts):
            check.cannot_decide("run() fails for every mini-batch, so what it writes was not seen")
        items = {name for mini_batch, _ in run.observation.attempts for name in mini_batch.names}
        if len(items) == 1 and run.same:
            check.cannot_decide(
                f"the sample has a single item, for which both workers write {run.same[0]} alike; another item may "
                "have another content"
            )


def _is_one_worker(observations: Observations) -> bool:
    """Whether the job has a single worker: it may append, but still replaces what it wrote."""
    settings = observations.entry.settings
    chosen = {"instance_count", "max_concurrency_per_instance"} <= settings.explicit
    return chosen and settings.instance_count == settings.max_concurrency_per_instance == 1


def _of_collision(run: ConcurrentRun, collisions: list[Collision]) -> Finding:
    first = collisions[0]
    location = Location(phase="init" if first.in_init else "run")
    writers = "each in its init()"
    if first.attempts is not None:
        mini_batches = [run.observation.attempts[number][0] for number in first.attempts]
        writers = " and ".join(f"for mini-batch {mini_batch.id} ({mini_batch.items()})" for mini_batch in mini_batches)
        location = Location(phase="run", mini_batch=mini_batches[1].id, items=mini_batches[1].items())
    description = {
        "different content": "both write it, with different content, so that one replaces what the other wrote",
        "appended": "both append to it, so that their lines are mixed, or lost where the storage cannot append",
        "a temporary file": "both use it as a temporary file, so that one reads or moves what the other wrote",
    }[first.kind]
    others = f" {len(collisions) - 1} more: {', '.join(str(other.file) for other in collisions[1:4])}."
    return Finding(
        what=f"Two workers collide on {first.file}: {description} ({writers}).{others if collisions[1:] else ''}",
        location=location,
        service=(
            "several processes on several machines run at once and share that folder; no error is raised, and which "
            "one wins differs from job to job"
        ),
        fix=(
            "name the file after its item or mini-batch. For a temporary file use tempfile, for one file per process "
            "EntryScript().agent_name."
        ),
    )


def _fail_on_a_file_of_the_first(observations: Observations, check: Check, run: ConcurrentRun) -> None:
    """Fails if the second worker fails and its error names a file of the first."""
    __tracebackhide__ = True
    for number, (mini_batch, result) in enumerate(run.observation.attempts):
        failure, forward = result.ended.failure, observations.forward.answer(mini_batch)
        if not number % 2 or answer_of(result.ended).rows is not None or failure is None:
            continue
        named = [file for file in run.written if file.folder != WORKING_FOLDER and _names(failure, file)]
        if forward is None or forward.rows is None or not named:
            continue
        check.fail(
            Finding(
                what=(
                    f"Two workers collide on {named[0]}: mini-batch {mini_batch.id} succeeds alone, but fails next to "
                    f"a worker that wrote that file: {failure.error}"
                ),
                location=Location(phase="run", mini_batch=mini_batch.id, items=mini_batch.items()),
                traceback=failure.traceback,
                service="several processes on several machines run at once and share that folder",
                fix="name the file after its item or mini-batch; make folders with os.makedirs(path, exist_ok=True).",
                cause=Cause.of_attempt(result.ended),
            )
        )


def _names(failure: Failure, file: WrittenFile) -> bool:
    """Whether an error is about the file: by its path, otherwise by its message."""
    parts = PurePath(file.name).parts
    return any(
        PurePath(error.path).parts[-len(parts) :] == parts if error.path else file.name in error.message
        for error in failure.chain
    )

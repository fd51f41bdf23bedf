"""Two workers write the same file with different content, or append to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.contract.dependence.concurrency import side_by_side
from pytest_parallelrun.contract.dependence.written_files import OWN
from pytest_parallelrun.contract.entry.observations import answer_of
from pytest_parallelrun.contract.entry.preconditions import require_answers, skip_without_worker
from pytest_parallelrun.contract.finding import Cause, Finding, Location

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.dependence.concurrency import Collision, ConcurrentRun
    from pytest_parallelrun.contract.entry.observations import Observations


def test_workers_do_not_collide(parallelrun_observations: Observations, parallelrun_check: Check) -> None:
    """Two workers with different mini-batches do not write the same file."""
    __tracebackhide__ = True
    trials, check = parallelrun_observations, parallelrun_check
    with skip_without_worker(check):
        require_answers(trials, check)
        found = side_by_side(trials)
        collisions = [collision for collision in found.collisions if not collision.place.is_log]
        for collision in found.collisions:
            if collision.place.is_log:
                check.note(f"both workers write the log {collision.place}, whose lines will be mixed")
        apart = [place for place in found.apart if not place.is_log]
        if apart:
            check.note(
                f"each worker has a file {apart[0].name!r} of its own, in its working folder, with other content than "
                "that of another worker: on the service that folder is gone with its machine. What is to be kept "
                "belongs below EntryScript().output_dir, or below a folder that a program argument names by an "
                "absolute path"
            )
        if collisions:
            check.fail(_of_collision(found, collisions))
        _fail_on_a_file_of_the_first(trials, check, found)
        if all(tried.ended.returned is None for _, tried in found.observation.tried):
            check.cannot_decide("run() fails for every mini-batch, so what it writes was not seen")
        items = {name for group, _ in found.observation.tried for name in group.names}
        if len(items) == 1 and found.same:
            check.cannot_decide(
                f"the sample has a single item, for which both workers write {found.same[0]} alike; another item may "
                "have another content"
            )


def _of_collision(found: ConcurrentRun, collisions: list[Collision]) -> Finding:
    first = collisions[0]
    location = Location(phase="init" if first.in_init else "run")
    who = "each in its init()"
    if first.attempts is not None:
        groups = [found.observation.tried[number][0] for number in first.attempts]
        who = " and ".join(f"for mini-batch {group.id} ({group.items()})" for group in groups)
        location = Location(phase="run", mini_batch=groups[1].id, items=groups[1].items())
    how = {
        "different content": "both write it, with different content, so that one replaces what the other wrote",
        "appended": "both append to it, so that their lines are mixed, or lost where the storage cannot append",
        "a temporary file": "both use it as a temporary file, so that one reads or moves what the other wrote",
    }[first.how]
    others = f" {len(collisions) - 1} more: {', '.join(str(other.place) for other in collisions[1:4])}."
    return Finding(
        what=f"Two workers collide in {first.place}: {how} ({who}).{others if collisions[1:] else ''}",
        location=location,
        service=(
            "several processes on several machines run at once and share that folder; nothing tells, and which one "
            "wins is another matter in every job"
        ),
        fix=(
            "name the file after its item or mini-batch. For a temporary file take tempfile, for one of the process "
            "EntryScript().agent_name."
        ),
    )


def _fail_on_a_file_of_the_first(trials: Observations, check: Check, found: ConcurrentRun) -> None:
    """Fails where the second worker does, and names a file of the first in its error."""
    __tracebackhide__ = True
    for number, (group, tried) in enumerate(found.observation.tried):
        failure, forward = tried.ended.failure, trials.forward.answer(group)
        if not number % 2 or answer_of(tried.ended).rows is not None or failure is None:
            continue
        named = [file for file in found.written if file.where != OWN and file.name in failure.error]
        if forward is None or forward.rows is None or not named:
            continue
        check.fail(
            Finding(
                what=(
                    f"A worker fails because of a file of another: mini-batch {group.id} succeeds on a worker that is "
                    f"alone; beside one that wrote {named[0]} run() fails: {failure.error}"
                ),
                location=Location(phase="run", mini_batch=group.id, items=group.items()),
                traceback=failure.traceback,
                service="several processes on several machines run at once and share that folder",
                fix="name the file after its item or mini-batch; make folders with os.makedirs(path, exist_ok=True).",
                cause=Cause.of_attempt(tried.ended),
            )
        )

"""One mini-batch delivered again: to the same worker, to another one, and after a failure in its middle.

A retry does that, and so does a queue that delivers at least once.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.dependence.randomness import Generators
from pytest_parallelrun.contract.dependence.written_files import Snapshot, WrittenFile, WrittenFiles
from pytest_parallelrun.contract.entry.mini_batches import merged
from pytest_parallelrun.contract.entry.observations import RunOutcome, answer_of

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.observations import Observations, SampleMiniBatch
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession


class Redelivery(NamedTuple):
    """What came of a delivery: the answer, and the files that were there afterwards."""

    answer: RunOutcome
    files: Snapshot


class Redeliveries(NamedTuple):
    """Of one mini-batch. before: the files that init() had made. elsewhere: the delivery to a second worker."""

    before: Snapshot
    once: Redelivery
    again: Redelivery
    elsewhere: Redelivery


def to_deliver(trials: Observations) -> SampleMiniBatch:
    """A mini-batch of two items, if the sample has one, as it can fail in its middle; or two files in one."""
    groups = trials.answered
    several = next((group for group in groups if group.size > 1), None)
    unmixed = trials.kind != "files" or bool(trials.entry.settings.partition_keys)
    if several is not None or unmixed or len(groups) < 2 or not trials.groups:
        return several or groups[0]
    return merged(groups[:2])


def deliver_again(trials: Observations, group: SampleMiniBatch) -> Redeliveries:
    """Delivers it to the first of two fresh workers, to the same one again, and to the second one."""
    with _workers(trials, 2) as (bench, files):
        before = files.snapshot()
        once = _deliver(trials, bench, files, group)
        if _named_after_the_time(once.files, before):
            _wait_for_the_next_second()
        again = _deliver(trials, bench, files, group)
        elsewhere = _deliver(trials, bench, files, group, worker=1, number=2)
        return Redeliveries(before, once, again, elsewhere)


def deliver_once(trials: Observations, group: SampleMiniBatch) -> Redelivery:
    """Delivers it once to a fresh worker."""
    with _workers(trials, 1) as (bench, files):
        return _deliver(trials, bench, files, group)


def deliver_after_a_failure(trials: Observations, group: SampleMiniBatch) -> tuple[ProbeResult, Redelivery] | None:
    """An attempt while its last item is away, and a retry; None where that attempt does not fail, or has no files."""
    if trials.kind != "files":
        return None
    path = str(group.payload[len(group.payload) - 1])
    with _workers(trials, 1) as (bench, files):
        bench.start(0)
        away = str(trials.entry.new_folder("away") / os.path.basename(path))
        os.rename(path, away)
        try:
            failed = trials.attempt(bench, group)
        finally:
            os.rename(away, path)
        files.saw(failed.files)
        if failed.ended.outcome not in ("exception", "short"):
            return None
        return failed, _deliver(trials, bench, files, group, number=2)


def why_not_again(trials: Observations, group: SampleMiniBatch, *, worker: int) -> str:
    """Why two deliveries, asked once more with the same random numbers, are answered alike; "" where they are not."""
    with Generators() as generators, _workers(trials, worker + 1) as (bench, files):
        generators.remember(bench, worker + 1)
        first = _deliver(trials, bench, files, group)
        moved = generators.moved(bench)
        generators.reset(bench, worker)
        second = _deliver(trials, bench, files, group, worker=worker, number=2)
    if trials.unlike(first.answer, second.answer) is not None:
        return ""
    if moved:
        return (
            "run() draws random numbers from a generator that was seeded once, so a second delivery gets others. Seed "
            "from the item to make results repeatable."
        )
    return f"mini-batch {group.id} was answered differently when it was delivered again, but not every time"


@contextmanager
def _workers(trials: Observations, workers: int) -> Iterator[tuple[ProbeSession, WrittenFiles]]:
    """Workers that are up, in folders of their own."""
    redirected = trials.entry.redirected()
    trials.restore()
    with trials.entry.bench(
        workers=workers,
        probe=trials.probe,
        arguments=redirected.arguments,
        environment_variables=redirected.environment,
    ) as bench:
        for worker in range(workers):
            bench.start(worker)
        files = WrittenFiles(bench, redirected.folders, trials.root)
        files.saw(bench.setting_up)
        yield bench, files
    trials.restore()


def _deliver(
    trials: Observations,
    bench: ProbeSession,
    files: WrittenFiles,
    group: SampleMiniBatch,
    *,
    worker: int = 0,
    number: int = 1,
) -> Redelivery:
    tried = trials.attempt(bench, group, worker=worker, number=number)
    files.saw(tried.files, worker)
    return Redelivery(answer_of(tried.ended), files.snapshot())


def _named_after_the_time(after: Snapshot, before: Snapshot) -> bool:
    """Whether a new file has the present second in its name."""
    now = time.time()
    moments = [now - seconds for seconds in range(-1, 10)]
    seconds = {time.strftime("%H%M%S", clock(moment)) for moment in moments for clock in (time.localtime, time.gmtime)}
    seconds.update(str(int(moment)) for moment in moments)
    return any(text in re.sub(r"\D", "", place.name) for place in after.keys() - before.keys() for text in seconds)


def _wait_for_the_next_second() -> None:
    time.sleep(1.01 - time.time() % 1)


def is_named_after_its_process(place: WrittenFile) -> bool:
    """Whether the id of the process is in the name; emulated workers share one, those of the service do not."""
    return re.search(rf"(?<!\d){os.getpid()}(?!\d)", place.name) is not None

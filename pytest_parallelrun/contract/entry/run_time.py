"""How the time of run() grows with the items of a mini-batch: a straight line through several sizes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_parallelrun.contract.entry.mini_batches import attempt, joined, some_of
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.input_paths import locate

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeSession
    from pytest_parallelrun.emulator.splitting.model import Payload

MAX_SECONDS = 0.1
"""In run(), until no further attempt begins; each size gets one at least."""
MAX_REPETITIONS = 5
MAX_PROBE = 10.0
"""Seconds of real time for an attempt at items whose mini-batches all took too long."""
MAX_ROWS = 4096
"""Of a table, whose rows may come again."""
CLEAR = 0.005
"""Seconds by which the largest size must be slower than the smallest for a slope to be more than noise."""


@dataclass(frozen=True)
class RunTimeModel:
    """Seconds that run() takes. sizes: in items, ascending. at_once, per_item: the line through the shortest times.

    full_size: items in a mini-batch of the size that is set. is_solid: whether the line is more than noise; if not,
    per_item is an upper bound, with the whole time of the largest size ascribed to its items.
    bytes_per_item: of a table, else 0. sized_by: the setting that decides on the size; "" where partitions do.
    """

    sizes: tuple[int, ...]
    at_once: float
    per_item: float
    full_size: int
    is_solid: bool
    noun: str
    bytes_per_item: float = 0.0
    sized_by: str = "mini_batch_size"

    def seconds(self, items: int) -> float:
        """What a mini-batch of so many items takes."""
        return self.at_once + self.per_item * items

    def items_within(self, seconds: float) -> int:
        """The largest mini-batch that is done in time; 0 where one item takes longer."""
        return max(0, int((seconds - self.at_once) / max(self.per_item, 1e-9)))


def measured(trials: Observations) -> RunTimeModel | None:
    """The pace of one warm worker; None where nothing can be measured."""
    settings, files = trials.entry.settings, trials.kind == "files"
    if settings.partition_keys:
        return _of_partitions(trials, trials.answered) if trials.answered else None
    groups, probe = trials.answered, trials.probe
    if not groups:
        # A mini-batch that takes too long may have items that do not.
        groups, probe = trials.timed_out, min(trials.probe, MAX_PROBE)
    if not groups:
        return None
    pool = joined([group.payload for group in groups])
    if files:
        bytes_per_item, full_size = 0.0, settings.files_per_mini_batch
    elif settings.mini_batch_rows is not None:
        bytes_per_item, full_size = 0.0, settings.mini_batch_rows
    else:
        bytes_per_item, full_size = _rows_of(trials)
    trials.restore()
    with trials.entry.bench(probe=probe, reserved=True) as bench:
        # The first call is slower than all others: it fills caches.
        first = _tried(bench, pool, 1)
        if first.outcome == "timeout":
            return None
        if not files and trials.answered:
            pool = _enlarged(bench, pool, min(full_size, MAX_ROWS))
        slow = {} if trials.answered or first.returned is None else {1: [first.running]}
        times = _times(bench, pool, _sizes(len(pool), full_size), slow, first.running)
    if not times:
        return None
    at_once, per_item, is_solid = line(times)
    return RunTimeModel(
        tuple(sorted(times)),
        at_once,
        per_item,
        full_size,
        is_solid,
        "file" if files else "row",
        bytes_per_item,
        "mini_batch_size" if settings.mini_batch_rows is None else "mini_batch_rows",
    )


def _of_partitions(trials: Observations, groups: Sequence[SampleMiniBatch]) -> RunTimeModel | None:
    """The pace by the partitions of the sample, each whole; a full one is the largest."""
    trials.restore()
    times: dict[int, list[float]] = {}
    spent = 0.0
    with trials.entry.bench(probe=trials.probe, reserved=True) as bench:
        # The first call is slower than all others: it fills caches.
        attempt(bench, groups[0])
        for _ in range(MAX_REPETITIONS):
            for group in groups:
                if spent > MAX_SECONDS and times:
                    continue
                ended = attempt(bench, group).ended
                spent += ended.running
                if ended.returned is not None:
                    times.setdefault(group.size, []).append(ended.running)
    if not times:
        return None
    at_once, per_item, is_solid = line(times)
    largest = max(batch.size for batch in trials.baseline.result.mini_batches)
    noun = "file" if trials.kind == "files" else "row"
    return RunTimeModel(tuple(sorted(times)), at_once, per_item, largest, is_solid, noun, sized_by="")


def line(times: dict[int, list[float]]) -> tuple[float, float, bool]:
    """(seconds at once, seconds per item, whether that is more than noise) by least squares through the shortest times.

    times: size -> seconds of each repetition. Neither value is negative.
    """
    points = [(size, min(seconds)) for size, seconds in sorted(times.items())]
    largest, slowest = points[-1]
    noise = max(sorted(seconds)[len(seconds) // 2] - min(seconds) for seconds in times.values())
    if len(points) == 1:
        return 0.0, slowest / largest, False
    rise = slowest - points[0][1]
    if rise < max(CLEAR, 3 * noise):
        return 0.0, max(seconds for _, seconds in points) / largest, False
    mean_size = sum(size for size, _ in points) / len(points)
    mean = sum(seconds for _, seconds in points) / len(points)
    spread = sum((size - mean_size) ** 2 for size, _ in points)
    slope = sum((size - mean_size) * (seconds - mean) for size, seconds in points) / spread
    at_once = mean - slope * mean_size
    # A line that starts below zero would promise too much for small sizes: then through zero, and the largest.
    return (at_once, slope, True) if at_once >= 0 else (0.0, slowest / largest, True)


def _sizes(available: int, full_size: int) -> list[int]:
    largest = min(available, max(full_size, 4))
    return sorted({1, (largest + 1) // 2, largest})


def _times(
    bench: ProbeSession, pool: Payload, sizes: Sequence[int], times: dict[int, list[float]], spent: float
) -> dict[int, list[float]]:
    """Size -> seconds of each repetition, beside what is in `times` already."""
    for repetition in range(MAX_REPETITIONS):
        for size in sizes:
            if (spent > MAX_SECONDS or size not in times) if repetition else size in times:
                continue
            ended = _tried(bench, pool, size)
            spent += ended.running
            if ended.returned is not None:
                times.setdefault(size, []).append(ended.running)
            elif ended.outcome == "timeout":
                # Larger ones take longer.
                break
    return times


def _tried(bench: ProbeSession, pool: Payload, size: int) -> AttemptEnded:
    return bench.attempt(some_of(pool, 0, size)).ended


def _rows_of(trials: Observations) -> tuple[float, int]:
    """Bytes of a row of the sample, and how many make a mini-batch of the size that is set."""
    sample = trials.baseline.sample.input
    splitter = open_input(sample, trials.entry.settings)
    rows = sum(batch.size for batch in splitter.mini_batches())
    places = [locate(path, os.getcwd(), must_exist=True) for path in ([sample] if isinstance(sample, str) else sample)]
    size = sum(os.path.getsize(place.root + name) for place in places for name in place.names)
    bytes_per_row = max(1.0, size / max(rows, 1))
    return bytes_per_row, max(1, int(trials.entry.settings.bytes_per_mini_batch / bytes_per_row))


def _enlarged(bench: ProbeSession, pool: Payload, rows: int) -> Payload:
    """The rows again and again up to so many, as far as run() stays quick: a sample is smaller than what a job gets."""
    seconds = _tried(bench, pool, len(pool)).running
    affordable = min(rows, int(len(pool) * MAX_SECONDS / 4 / max(seconds, 1e-6)))
    if affordable <= len(pool):
        return pool
    return some_of(joined([pool] * -(-affordable // len(pool))), 0, affordable)

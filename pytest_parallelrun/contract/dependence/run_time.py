"""How the time of run() grows with the items of a mini-batch: a straight line through several sizes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.contract.entry.mini_batches import attempt, joined, some_of
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.input_paths import locate

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeSession
    from pytest_parallelrun.emulator.splitting.model import Payload

TIMES = "times"
"""Name of this question to the worker that is asked everything."""
MAX_SECONDS = 0.1
"""In run(), until no further attempt starts; each size gets at least one."""
MAX_REPETITIONS = 5
MAX_PROBE = 10.0
"""Seconds of real time for an attempt at items whose mini-batches all timed out."""
MAX_ROWS = 4096
"""Of a table, whose rows may be repeated."""
CLEAR = 0.005
"""Minimum difference in seconds between the largest and the smallest size; less is noise."""


class RunTimeModel(NamedTuple):
    """Run time of run(). sizes: in items, ascending. at_once, per_item: the line through the shortest times.

    full_size: items in a mini-batch of the configured size. is_solid: whether the line is more than noise; if not,
    per_item is an upper bound that ascribes the time of the largest size to its items. bytes_per_item: of a table,
    otherwise 0. sized_by: the setting that decides the size; "" if partitions do.
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
        """The time of a mini-batch with this number of items."""
        return self.at_once + self.per_item * items

    def items_within(self, seconds: float) -> int:
        """The largest mini-batch within the limit; 0 if a single item takes longer."""
        return max(0, int((seconds - self.at_once) / max(self.per_item, 1e-9)))


def run_time(observations: Observations) -> RunTimeModel | None:
    """The run time of one warm worker; None if it cannot be measured."""
    settings, answered = observations.entry.settings, observations.answered
    bytes_per_item, sized_by = 0.0, "mini_batch_size" if settings.mini_batch_rows is None else "mini_batch_rows"
    if not (answered or observations.timed_out):
        return None
    if settings.partition_keys:
        sized_by = ""
    elif observations.kind == "tabular" and settings.mini_batch_rows is None:
        bytes_per_item, _ = _rows_of(observations)
    if observations.is_known:
        times = cast("dict[int, list[float]]", observations.screening.answers[TIMES])
    else:
        observations.restore()
        probe_limit = observations.probe_limit if answered else min(observations.probe_limit, MAX_PROBE)
        with observations.entry.session(probe_limit=probe_limit, reserved=True) as session:
            times = ask_times(observations, session)
    if not times:
        return None
    at_once, per_item, is_solid = line(times)
    return RunTimeModel(
        sizes=tuple(sorted(times)),
        at_once=at_once,
        per_item=per_item,
        full_size=_full_size(observations),
        is_solid=is_solid,
        noun="file" if observations.kind == "files" else "row",
        bytes_per_item=bytes_per_item,
        sized_by=sized_by,
    )


def ask_times(observations: Observations, session: ProbeSession) -> dict[int, list[float]]:
    """Size -> seconds of each repetition, for mini-batches of several sizes."""
    answered = observations.answered
    if observations.entry.settings.partition_keys:
        return _times_of_partitions(session, answered) if answered else {}
    # A mini-batch that times out may have items that do not.
    pool = joined([one.payload for one in answered or observations.timed_out])
    return _times_of_sizes(observations, session, pool)


def _full_size(observations: Observations) -> int:
    """Items in a mini-batch of the configured size."""
    settings = observations.entry.settings
    if settings.partition_keys:
        return max((batch.size for batch in observations.baseline.result.mini_batches), default=0)
    if observations.kind == "files":
        return settings.files_per_mini_batch
    return _rows_of(observations)[1] if settings.mini_batch_rows is None else settings.mini_batch_rows


def _times_of_partitions(session: ProbeSession, mini_batches: Sequence[SampleMiniBatch]) -> dict[int, list[float]]:
    """For the partitions of the sample, each whole."""
    times: dict[int, list[float]] = {}
    spent = 0.0
    # The first call is slower: it fills caches.
    attempt(session, mini_batches[0])
    for _ in range(MAX_REPETITIONS):
        for mini_batch in mini_batches:
            if spent > MAX_SECONDS and times:
                continue
            ended = attempt(session, mini_batch).ended
            spent += ended.running
            if ended.returned is not None:
                times.setdefault(mini_batch.size, []).append(ended.running)
    return times


def _times_of_sizes(observations: Observations, session: ProbeSession, pool: Payload) -> dict[int, list[float]]:
    """For mini-batches of several sizes, from the items of the pool."""
    answered, full_size = bool(observations.answered), _full_size(observations)
    # The first call is slower: it fills caches.
    first = _attempt(session, pool, 1)
    if first.outcome == "timeout":
        return {}
    if observations.kind != "files" and answered:
        pool = _enlarged(session, pool, min(full_size, MAX_ROWS))
    largest = min(len(pool), max(full_size, 4))
    sizes = sorted({1, (largest + 1) // 2, largest})
    times = {} if answered or first.returned is None else {1: [first.running]}
    spent = first.running
    for repetition in range(MAX_REPETITIONS):
        for size in sizes:
            if (spent > MAX_SECONDS or size not in times) if repetition else size in times:
                continue
            ended = _attempt(session, pool, size)
            spent += ended.running
            if ended.returned is not None:
                times.setdefault(size, []).append(ended.running)
            elif ended.outcome == "timeout":
                # Larger ones take longer.
                break
    return times


def _attempt(session: ProbeSession, pool: Payload, size: int) -> AttemptEnded:
    return session.attempt(some_of(pool, 0, size)).ended


def _enlarged(session: ProbeSession, pool: Payload, rows: int) -> Payload:
    """The rows repeated up to this number, while run() stays fast: a sample is smaller than the input of a job."""
    seconds = _attempt(session, pool, len(pool)).running
    affordable = min(rows, int(len(pool) * MAX_SECONDS / 4 / max(seconds, 1e-6)))
    if affordable <= len(pool):
        return pool
    return some_of(joined([pool] * -(-affordable // len(pool))), 0, affordable)


def _rows_of(observations: Observations) -> tuple[float, int]:
    """Bytes of a row of the sample, and rows in a mini-batch of the configured size."""
    sample, settings = observations.baseline.sample.input, observations.entry.settings
    rows = sum(batch.size for batch in open_input(sample, settings).mini_batches())
    paths = [sample] if isinstance(sample, str) else sample
    locations = [locate(path, os.getcwd(), must_exist=True) for path in paths]
    size = sum(os.path.getsize(path) for location in locations for path in location.paths())
    bytes_per_row = max(1.0, size / max(rows, 1))
    return bytes_per_row, max(1, int(settings.bytes_per_mini_batch / bytes_per_row))


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
    # A line that starts below zero promises too much for small sizes: use zero and the largest size.
    return (at_once, slope, True) if at_once >= 0 else (0.0, slowest / largest, True)

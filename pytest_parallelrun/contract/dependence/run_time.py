"""How the time of run() grows with the items of a mini-batch: a straight line through several sizes."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pytest_parallelrun.contract.bounds import MAX_TIMED_PROBE, MAX_TIMED_REPETITIONS, MAX_TIMED_ROWS, MAX_TIMED_SECONDS
from pytest_parallelrun.contract.corruption.missing_files import CODE, names_a_model
from pytest_parallelrun.contract.entry.mini_batches import attempt, joined, some_of
from pytest_parallelrun.contract.script_source import called_for_no_item
from pytest_parallelrun.emulator.sandbox.modules import is_installed_path

if TYPE_CHECKING:
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded, Failure
    from pytest_parallelrun.emulator.probe import ProbeResult, ProbeSession
    from pytest_parallelrun.emulator.splitting.model import Payload

TIMES = "times"
"""Name of this question to the worker that is asked everything."""
CLEAR = 0.005
"""Minimum difference in seconds between the largest and the smallest size; less is noise."""

_OF_THE_SYSTEM = ("/etc/", "/proc/", "/sys/", "/usr/")

MARGIN = 2
"""A machine of the service may be slower, and some items larger than those of the sample."""
CONTRADICTED = 1.1
"""Times what the line tells: an attempt that was cut, and took that much, is not explained by it."""


class RunTimeModel(NamedTuple):
    """Run time of run(). sizes: in items, ascending. at_once, per_item: the line through the shortest times.

    full_size: items in a mini-batch of the size that is set. is_solid: whether the line is more than noise; if not,
    per_item is an upper bound, with the whole time of the largest size ascribed to its items.
    in_time: the largest size that returned, 0 if none did.
    bytes_per_item: of a table, else 0. sized_by: the setting that decides on the size; "" where partitions do.
    reloaded: a file beside the items that every call opens, "" if there is none.
    cut: (items, seconds) of an attempt that ran into its limit, and took longer than the others tell: per_item is then
    a lower bound.
    """

    sizes: tuple[int, ...]
    at_once: float
    per_item: float
    full_size: int
    is_solid: bool
    noun: str
    bytes_per_item: float = 0.0
    sized_by: str = "mini_batch_size"
    cut: tuple[int, float] | None = None
    in_time: int = 0
    reloaded: str = ""

    @property
    def qualifier(self) -> str:
        """How sure its seconds are, as a word before them."""
        return "at least " if self.cut else "" if self.is_solid else "at most "

    def seconds(self, items: int) -> float:
        """The time of a mini-batch with this number of items."""
        return self.at_once + self.per_item * items

    def items_within(self, seconds: float) -> int:
        """The largest mini-batch within the limit; 0 if a single item takes longer."""
        return max(0, int((seconds - self.at_once) / max(self.per_item, 1e-9)))


class Times(NamedTuple):
    """By size in items: seconds of each attempt that returned, and of the longest that ran into its limit.

    opened: the files that each attempt read.
    """

    seconds: dict[int, list[float]]
    cut: dict[int, float]
    opened: list[set[str]]

    def add(self, ended: AttemptEnded, size: int) -> None:
        if ended.returned is not None:
            self.seconds.setdefault(size, []).append(ended.running)
        elif ended.outcome == "timeout":
            self.cut[size] = max(ended.running, self.cut.get(size, 0.0))


def run_time(observations: Observations) -> RunTimeModel | None:
    """The run time of one warm worker, measured once; None if it cannot be."""
    return observations.remember("run time", lambda: _measure(observations))


def _measure(observations: Observations) -> RunTimeModel | None:
    settings, answered = observations.entry.settings, observations.answered
    bytes_per_item, sized_by = 0.0, "mini_batch_size" if settings.mini_batch_rows is None else "mini_batch_rows"
    if not (answered or observations.timed_out):
        return None
    if settings.partition_keys:
        sized_by = ""
    elif observations.kind == "tabular" and settings.mini_batch_rows is None:
        bytes_per_item = observations.bytes_per_row
    if observations.is_known:
        times = cast("Times", observations.screening.answers[TIMES])
    else:
        observations.restore()
        probe_limit = observations.probe_limit if answered else min(observations.probe_limit, MAX_TIMED_PROBE)
        with observations.entry.session(probe_limit=probe_limit, reserved=True) as session:
            times = ask_times(observations, session)
    attempts = [one for one in observations.baseline.result.attempts if one.outcome == "timeout"]
    cut = dict.fromkeys((one.mini_batch.size for one in attempts), float(settings.timeout))
    return _model(
        times._replace(cut={**times.cut, **cut}),
        reloaded=_reloaded(observations, times.opened),
        full_size=full_size(observations),
        noun="file" if observations.kind == "files" else "row",
        in_time=max(times.seconds, default=0),
        bytes_per_item=bytes_per_item,
        sized_by=sized_by,
    )


def _reloaded(observations: Observations, opened: list[set[str]]) -> str:
    """The file that looks most like a model, among those that each attempt opened and that are no items."""
    shared = set.intersection(*opened) if len(opened) > 1 else set()
    paths = [
        path
        for path in shared
        if os.path.isfile(path)
        and not path.endswith(CODE)
        and not path.startswith((observations.root, *_OF_THE_SYSTEM))
        and not is_installed_path(path)
    ]
    return os.path.basename(max(paths, key=lambda path: (names_a_model(path), os.path.getsize(path)), default=""))


def _model(times: Times, **facts: Any) -> RunTimeModel | None:
    """The line through what was measured, or above it where that contradicts an attempt that was cut."""
    if times.seconds:
        at_once, per_item, is_solid = line(times.seconds)
        model = RunTimeModel(
            sizes=tuple(sorted(times.seconds)), at_once=at_once, per_item=per_item, is_solid=is_solid, **facts
        )
        beyond = {size: spent for size, spent in times.cut.items() if spent > CONTRADICTED * model.seconds(size)}
        times = times._replace(cut=beyond)
        if not times.cut:
            return model
    if not times.cut:
        return None
    size, spent = max(times.cut.items(), key=lambda pair: pair[1] / pair[0])
    return RunTimeModel(sizes=(size,), at_once=0.0, per_item=spent / size, is_solid=False, cut=(size, spent), **facts)


def ask_times(observations: Observations, session: ProbeSession) -> Times:
    """What mini-batches of several sizes take."""
    answered = observations.answered
    if observations.entry.settings.partition_keys:
        with session.held():
            return _times_of_partitions(session, answered) if answered else Times({}, {}, [])
    # A mini-batch that takes too long may have items that do not.
    pool = joined([one.payload for one in answered or observations.timed_out])
    with session.held():
        return _times_of_sizes(observations, session, pool)


def full_size(observations: Observations) -> int:
    """Items in a mini-batch of the configured size."""
    settings = observations.entry.settings
    if settings.partition_keys:
        return max((one.mini_batch.size for one in observations.baseline.result.attempts), default=0)
    if observations.kind == "files":
        return settings.files_per_mini_batch
    return settings.mini_batch_rows or max(1, int(settings.bytes_per_mini_batch / observations.bytes_per_row))


def _times_of_partitions(session: ProbeSession, mini_batches: Sequence[SampleMiniBatch]) -> Times:
    """Of the partitions of the sample, each whole."""
    times = Times({}, {}, [])
    spent = 0.0
    # The first call is slower: it fills caches.
    attempt(session, mini_batches[0])
    for _ in range(MAX_TIMED_REPETITIONS):
        for mini_batch in mini_batches:
            if spent > MAX_TIMED_SECONDS and times.seconds:
                continue
            ended, files = attempt(session, mini_batch)
            times.opened.append(set(files.read))
            spent += ended.running
            times.add(ended, mini_batch.size)
    return times


def _times_of_sizes(observations: Observations, session: ProbeSession, pool: Payload) -> Times:
    """Of mini-batches of several sizes made of the items in the pool."""
    answered, wanted = bool(observations.answered), full_size(observations)
    # The first call is slower: it fills caches.
    first, files = _attempt(session, pool, 1)
    times = Times({}, {}, [set(files.read)])
    if first.outcome == "timeout":
        return times._replace(cut={1: first.running})
    if observations.kind != "files" and answered:
        pool = _enlarged(session, pool, min(wanted, MAX_TIMED_ROWS))
    largest = min(len(pool), max(wanted, 4))
    sizes = sorted({1, (largest + 1) // 2, largest})
    if not answered:
        times.add(first, 1)
    spent = first.running
    for repetition in range(MAX_TIMED_REPETITIONS):
        for size in sizes:
            if (spent > MAX_TIMED_SECONDS or size not in times.seconds) if repetition else size in times.seconds:
                continue
            ended, files = _attempt(session, pool, size)
            times.opened.append(set(files.read))
            spent += ended.running
            times.add(ended, size)
            if ended.outcome == "timeout":
                # Larger ones take longer.
                break
    return times


def _attempt(session: ProbeSession, pool: Payload, size: int) -> ProbeResult:
    return session.attempt(some_of(pool, 0, size))


def _enlarged(session: ProbeSession, pool: Payload, rows: int) -> Payload:
    """The rows repeated up to this number, while run() stays fast: a sample is smaller than the input of a job."""
    seconds = _attempt(session, pool, len(pool)).ended.running
    affordable = min(rows, int(len(pool) * MAX_TIMED_SECONDS / 4 / max(seconds, 1e-6)))
    if affordable <= len(pool):
        return pool
    return some_of(joined([pool] * -(-affordable // len(pool))), 0, affordable)


def line(times: dict[int, list[float]]) -> tuple[float, float, bool]:
    """(seconds at once, seconds per item, whether that is more than noise) by least squares through the shortest times.

    times: size -> seconds of each repetition. Neither value is negative.
    """
    points = [(size, min(seconds)) for size, seconds in sorted(times.items())]
    largest, slowest = points[-1]
    noise = max(sorted(seconds)[len(seconds) // 2] - min(seconds) for seconds in times.values())
    if len(points) == 1:
        return 0.0, slowest / largest, False
    smallest, quickest = points[0]
    rise, clear = slowest - quickest, max(CLEAR, 3 * noise)
    if rise < clear and quickest > 100 * clear:
        # As good as all of it passes once.
        return quickest, max(rise, 0.0) / (largest - smallest), True
    if rise < clear:
        return 0.0, max(seconds for _, seconds in points) / largest, False
    mean_size = sum(size for size, _ in points) / len(points)
    mean = sum(seconds for _, seconds in points) / len(points)
    spread = sum((size - mean_size) ** 2 for size, _ in points)
    slope = sum((size - mean_size) * (seconds - mean) for size, seconds in points) / spread
    at_once = mean - slope * mean_size
    # A line that starts below zero promises too much for small sizes: use zero and the largest size.
    return (at_once, slope, True) if at_once >= 0 else (0.0, slowest / largest, True)


def fix_of(model: RunTimeModel, limit: float, expected: float, failure: Failure | None = None) -> str:
    """What to do about a slow run(). failure: of an attempt that ran into its limit."""
    return once_in_init(model, failure) + _fix_of_size(model, limit, expected)


def once_in_init(model: RunTimeModel | None, failure: Failure | None) -> str:
    """The advice to load something once, followed by "or"; "" if nothing is seen that is the same in each call."""
    called = "" if failure is None else called_for_no_item(failure.frames)
    if called:
        return f"call {called} once, in init(), since it takes nothing from an item; or "
    if model is not None and model.reloaded:
        return f"load '{model.reloaded}' once, in init(), since each call of run() opens it; or "
    return ""


def _fix_of_size(model: RunTimeModel, limit: float, expected: float) -> str:
    largest = rounded(model.items_within(limit / MARGIN))
    less, more = (" or less", " or more") if model.cut else ("", "")
    timeout = f"timeout={safe_timeout(expected)}{more}"
    if largest < 1 or largest >= model.full_size:
        return f"set {timeout}, or make run() quicker"
    if model.bytes_per_item:
        return f"set mini_batch_size={max(1, int(largest * model.bytes_per_item / 1024))}KB{less}, or {timeout}"
    if not model.sized_by:
        return f"set {timeout}, or add a partition key that makes smaller partitions"
    return f"set {model.sized_by}={largest}{less}, or {timeout}"


def safe_timeout(seconds: float) -> int:
    return max(1, math.ceil(seconds * MARGIN))


def rounded(items: int) -> int:
    """Two digits of a large number: more would be noise."""
    scale = int(10 ** max(0, len(str(items)) - 2))
    return items // scale * scale

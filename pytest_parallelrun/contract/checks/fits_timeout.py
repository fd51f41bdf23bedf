"""A mini-batch takes more than half of its timeout.

How the time of run() grows with the items of a mini-batch is a straight line through several sizes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_parallelrun.contract.entry.mini_batches import attempt, joined, some_of
from pytest_parallelrun.contract.entry.preconditions import skip_without_results, skip_without_worker
from pytest_parallelrun.contract.finding import Finding
from pytest_parallelrun.contract.phrases import shown_for
from pytest_parallelrun.emulator.splitting import open_input
from pytest_parallelrun.emulator.splitting.input_paths import locate

if TYPE_CHECKING:
    from pytest_parallelrun.contract.check import Check
    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.contract.entry.mini_batches import SampleMiniBatch
    from pytest_parallelrun.contract.entry.observations import Observations
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.probe import ProbeSession
    from pytest_parallelrun.emulator.splitting.model import Payload

MARGIN = 2
"""A machine of the service may be slower than this one, and some items are larger than those of the sample."""

MAX_SECONDS = 0.1
"""In run(), until no further attempt begins; each size gets one at least."""
MAX_REPETITIONS = 5
MAX_PROBE = 10.0
"""Seconds of real time for an attempt at items whose mini-batches all took too long."""
MAX_ROWS = 4096
"""Of a table, whose rows may come again."""
CLEAR = 0.005
"""Seconds by which the largest size must be slower than the smallest for a slope to be more than noise."""


def test_fits_timeout(
    parallelrun_observations: Observations, parallelrun_baseline: Baseline, parallelrun_check: Check
) -> None:
    """A mini-batch of the size that is set takes at most half its timeout."""
    __tracebackhide__ = True
    settings = parallelrun_observations.entry.settings
    limit = float(settings.timeout)
    over = next((attempt for attempt in parallelrun_baseline.result.attempts if attempt.outcome == "timeout"), None)
    with skip_without_worker(parallelrun_check):
        model = _measured(parallelrun_observations)
    if model is None and over is None:
        skip_without_results(parallelrun_baseline, parallelrun_check)
    if model is not None:
        parallelrun_check.measured(
            _figures(model, limit, some_left_out=over is not None and bool(parallelrun_observations.answered)),
            noun=model.noun,
            per_item=model.per_item,
            at_once=model.at_once,
            is_solid=model.is_solid,
            full_size=model.full_size,
            largest_size=_rounded(model.items_within(limit / MARGIN)),
            smallest_timeout=_safe_timeout(model.seconds(model.full_size)),
            margin=MARGIN,
        )
    if over is not None:
        parallelrun_check.advise(
            Finding(
                what=f"run() takes longer than timeout = {limit:g} s for mini-batch {over.mini_batch.id} of the "
                f"sample, of {over.mini_batch.size} item(s).",
                location=parallelrun_baseline.location_of(over),
                counts=""
                if model is None
                else _figures(model, limit, some_left_out=bool(parallelrun_observations.answered)),
                service=shown_for("timeout"),
                fix=_fix_of_a_timeout(model, limit, partitions=bool(settings.partition_keys)),
            )
        )
        return
    assert model is not None
    slowest = max(attempt.running for attempt in parallelrun_baseline.result.attempts)
    expected = max(model.seconds(model.full_size) if model.is_solid else 0.0, slowest)
    if expected * MARGIN > limit:
        parallelrun_check.advise(
            Finding(
                what=f"A mini-batch takes about {_seconds(expected)}, and timeout is {limit:g} s: "
                f"{limit / expected:.2g} times the time needed, where less than {MARGIN} leaves no margin.",
                counts=_figures(model, limit),
                service=shown_for("timeout"),
                fix=_fix(model, limit, expected),
            )
        )


def _figures(model: RunTimeModel, limit: float, *, some_left_out: bool = False) -> str:
    """Cost, headroom, the largest safe size and the smallest safe timeout in one line.

    some_left_out: there are mini-batches that ran into the timeout, of which nothing is known but that.
    """
    full, per_item = model.seconds(model.full_size), model.per_item
    at_most = "" if model.is_solid else "at most "
    sizes = ", ".join(f"{size:,}" for size in model.sizes)
    return (
        f"{at_most}{_seconds(per_item)} per {model.noun}"
        + (f" and {_seconds(model.at_once)} per mini-batch" if model.is_solid else "")
        + f", measured with {sizes} {model.noun}(s) on this machine; a mini-batch of {model.full_size:,} takes "
        f"{at_most}{_seconds(full)} of timeout {limit:g} s ({_factor_text(limit / max(full, 1e-9))} the time needed); "
        f"largest {model.sized_by or 'partition'} with a margin of {MARGIN}: {_largest(model, limit)}; "
        f"smallest timeout: {_safe_timeout(full)} s"
        + ("; mini-batches that ran into the timeout are left out of this" if some_left_out else "")
    )


def _largest(model: RunTimeModel, limit: float) -> str:
    items = model.items_within(limit / MARGIN)
    if items < 1:
        return f"none, one {model.noun} takes too long"
    text = f"{_rounded(items):,} {model.noun}{'s' if items > 1 else ''}"
    if model.bytes_per_item:
        text += f" (about {max(1, int(_rounded(items) * model.bytes_per_item / 1024)):,} KB)"
    return text if model.is_solid else f"{text} or more"


def _fix(model: RunTimeModel, limit: float, expected: float) -> str:
    largest = _rounded(model.items_within(limit / MARGIN))
    timeout = f"timeout={_safe_timeout(expected)}"
    if largest < 1 or largest >= model.full_size:
        return f"set {timeout} or make run() quicker"
    if model.bytes_per_item:
        return f"set mini_batch_size={max(1, int(largest * model.bytes_per_item / 1024))}KB, or {timeout}"
    if not model.sized_by:
        return f"set {timeout}, or add a partition key that makes smaller partitions"
    return f"set {model.sized_by}={largest}, or {timeout}"


def _fix_of_a_timeout(model: RunTimeModel | None, limit: float, *, partitions: bool) -> str:
    if model is not None and model.seconds(model.full_size) > limit:
        return _fix(model, limit, model.seconds(model.full_size))
    # What was measured does not explain it.
    return ("use " if partitions else "use a smaller mini_batch_size or ") + "a larger timeout, or make run() quicker"


def _safe_timeout(seconds: float) -> int:
    return max(1, math.ceil(seconds * MARGIN))


def _rounded(items: int) -> int:
    """Two digits of a large number: more of them would only be noise."""
    scale = int(10 ** max(0, len(str(items)) - 2))
    return items // scale * scale


def _factor_text(factor: float) -> str:
    return f"{_rounded(int(factor)):,} times" if factor >= 10 else f"{factor:.2g} times"


def _seconds(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    scaled, unit = (seconds * 1e3, "ms") if seconds >= 1e-4 else (max(seconds, 1e-7) * 1e6, "us")
    return f"{float(f'{scaled:.2g}'):g} {unit}"


class RunTimeModel(NamedTuple):
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


def _measured(observations: Observations) -> RunTimeModel | None:
    """The run time of one warm worker; None where nothing can be measured."""
    settings, answered = observations.entry.settings, observations.answered
    bytes_per_item, sized_by = 0.0, "mini_batch_size" if settings.mini_batch_rows is None else "mini_batch_rows"
    if settings.partition_keys:
        sized_by = ""
        times = _times_of_partitions(observations, answered) if answered else {}
        full_size = max((batch.size for batch in observations.baseline.result.mini_batches), default=0)
    else:
        # A mini-batch that takes too long may have items that do not.
        mini_batches = answered or observations.timed_out
        if not mini_batches:
            return None
        if observations.kind == "files":
            full_size = settings.files_per_mini_batch
        elif settings.mini_batch_rows is not None:
            full_size = settings.mini_batch_rows
        else:
            bytes_per_item, full_size = _rows_of(observations)
        times = _times_of_sizes(observations, joined([one.payload for one in mini_batches]), full_size)
    if not times:
        return None
    at_once, per_item, is_solid = line(times)
    return RunTimeModel(
        sizes=tuple(sorted(times)),
        at_once=at_once,
        per_item=per_item,
        full_size=full_size,
        is_solid=is_solid,
        noun="file" if observations.kind == "files" else "row",
        bytes_per_item=bytes_per_item,
        sized_by=sized_by,
    )


def _times_of_partitions(observations: Observations, mini_batches: Sequence[SampleMiniBatch]) -> dict[int, list[float]]:
    """Size -> seconds of each repetition, for the partitions of the sample, each whole."""
    observations.restore()
    times: dict[int, list[float]] = {}
    spent = 0.0
    with observations.entry.session(probe_limit=observations.probe_limit, reserved=True) as session:
        # The first call is slower than all others: it fills caches.
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


def _times_of_sizes(observations: Observations, pool: Payload, full_size: int) -> dict[int, list[float]]:
    """Size -> seconds of each repetition, for mini-batches of several sizes made of the items in the pool."""
    answered = bool(observations.answered)
    observations.restore()
    probe_limit = observations.probe_limit if answered else min(observations.probe_limit, MAX_PROBE)
    with observations.entry.session(probe_limit=probe_limit, reserved=True) as session:
        # The first call is slower than all others: it fills caches.
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
    """The rows again and again up to so many, as far as run() stays quick: a sample is smaller than what a job gets."""
    seconds = _attempt(session, pool, len(pool)).running
    affordable = min(rows, int(len(pool) * MAX_SECONDS / 4 / max(seconds, 1e-6)))
    if affordable <= len(pool):
        return pool
    return some_of(joined([pool] * -(-affordable // len(pool))), 0, affordable)


def _rows_of(observations: Observations) -> tuple[float, int]:
    """Bytes of a row of the sample, and how many make a mini-batch of the size that is set."""
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
    # A line that starts below zero would promise too much for small sizes: then through zero, and the largest.
    return (at_once, slope, True) if at_once >= 0 else (0.0, slowest / largest, True)

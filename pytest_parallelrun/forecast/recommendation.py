"""A mini_batch_size, a timeout and a number of workers for the full job, each with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.events import seconds_text

if TYPE_CHECKING:
    from pytest_parallelrun.forecast.request import FullJob
    from pytest_parallelrun.forecast.resources import Resources
    from pytest_parallelrun.forecast.sample import Draws, Sample

TARGET = 30.0
"""Seconds of a mini-batch: tens of them, by Microsoft's tuning guide."""
FITS = (10.0, 60.0)
"""Seconds for which a size is kept."""
MARGIN = 2
"""Of the timeout over the slowest mini-batches; that of fits_timeout."""
MAX_FILES = 1_000
"""Of a mini-batch: its names must fit into a message of the queue."""
EACH_WORKER = 10
"""Mini-batches of a worker: with fewer, the last one keeps the others waiting."""
START_SHARE = 0.1
"""Of the worker hours that may go into starting."""
MAX_WORKERS = 1_000
MAX_TIMEOUT = 259_200
DRAWN = 20
TAIL = 0.999


@dataclass(frozen=True, kw_only=True)
class Advice:
    """Recommended values, each with the reason."""

    items: float
    size: str
    size_reason: str
    timeout: int
    timeout_reason: str
    instances: int
    concurrency: int
    workers_reason: str
    concurrency_reason: str

    def as_json(self, job: FullJob) -> list[dict[str, object]]:
        settings = job.settings
        rows = [
            ("mini_batch_size", settings.mini_batch_size_text, self.size, self.size_reason),
            ("timeout", f"{settings.timeout:g}", str(self.timeout), self.timeout_reason),
            ("instance_count", str(settings.instance_count), str(self.instances), self.workers_reason),
            (
                "max_concurrency_per_instance",
                str(settings.max_concurrency_per_instance),
                str(self.concurrency),
                self.concurrency_reason,
            ),
        ]
        return [dict(zip(("setting", "set", "recommended", "reason"), row, strict=True)) for row in rows]


def recommend(job: FullJob, known: Draws, resources: Resources) -> Advice:
    """From the middle of what is known; the timeout from its slow end."""
    import numpy as np

    settings = job.settings
    per_item = float(np.median(known.mean))
    given = {name: (low + high) / 2 for name, (low, high) in known.given.items()}
    work = job.total_items * per_item
    start = given["node_start"] + float(np.median(known.sample.init)) + known.sample.warm_up
    # Twice as many mini-batches of half the size do not change the work.
    at_most = max(1.0, work / TARGET / EACH_WORKER)
    useful = min(at_most, MAX_WORKERS, given["scheduling_rate"] * TARGET)
    economic = work * START_SHARE / max(start, 1e-6)
    workers = max(1.0, min(useful, economic))
    concurrency = settings.max_concurrency_per_instance
    fits = "as set: give node_memory and node_cores to see how many fit on a node"
    largest = resources.largest_concurrency(given.get("node_memory"), given.get("node_cores"))
    if largest is not None:
        fitting, limit = largest
        concurrency = max(1, min(fitting, round(workers)))
        fits = f"{fitting:,} fit on a node, limited by its {limit}"
        if not fitting:
            fits = f"not even one fits on a node, limited by its {limit}: take a larger one"
        elif concurrency < fitting:
            fits = f"more are of no use, see instance_count; {fits}"
    instances = max(1, round(workers / concurrency))
    items, size, size_reason = _size(job, known.sample, per_item, instances * concurrency)
    slowest = _slowest(known, items)
    timeout = settings.timeout
    if MARGIN * slowest <= timeout <= max(20 * slowest, 60):
        timeout_reason = f"as set: the slowest mini-batches take up to {seconds_text(slowest)}"
    else:
        timeout = max(30, _rounded_up(MARGIN * slowest))
        timeout_reason = f"{MARGIN} times what the slowest mini-batches of this size may take, {seconds_text(slowest)}"
        if timeout > MAX_TIMEOUT:
            timeout_reason = f"the most that is allowed; the slowest mini-batches may take {seconds_text(slowest)}"
    if economic <= useful:
        reason = "with more workers, starting them costs more than a tenth of the worker hours"
    elif useful == at_most:
        reason = f"with more workers, each has fewer than {EACH_WORKER} mini-batches of {TARGET:g} s"
    elif useful == MAX_WORKERS:
        reason = f"more than {MAX_WORKERS:,} workers are seldom available"
    else:
        reason = "the service does not schedule mini-batches quickly enough for more workers"
    if instances == settings.instance_count:
        reason = f"as set: {reason}"
    if largest is not None and concurrency == settings.max_concurrency_per_instance:
        fits = f"as set: {fits}"
    return Advice(
        items=items,
        size=size,
        size_reason=size_reason,
        timeout=min(math.ceil(timeout), MAX_TIMEOUT),
        timeout_reason=timeout_reason,
        instances=instances,
        concurrency=concurrency,
        workers_reason=reason,
        concurrency_reason=fits,
    )


def _size(job: FullJob, sample: Sample, per_item: float, workers: int) -> tuple[float, str, str]:
    """Items of a mini-batch, as the setting has them, and why."""
    settings = job.settings
    now = per_item * job.items
    text = settings.mini_batch_size_text
    if settings.partition_keys or settings.mini_batch_rows is not None:
        return job.items, text, "as set: partition_keys or mini_batch_rows decide on the mini-batches"
    balanced = job.total_items / (workers * EACH_WORKER)
    if FITS[0] <= now <= FITS[1] and job.items <= max(balanced, 1):
        return job.items, text, f"as set: a mini-batch takes {seconds_text(now)}, tens of seconds are right"
    bounds = [
        (TARGET / per_item, "tens of seconds are right"),
        (balanced, f"with larger ones, a worker has fewer than {EACH_WORKER} of them"),
        *([(float(MAX_FILES), f"more than {MAX_FILES:,} names do not fit into a message")] * (job.kind == "files")),
        *([(job.items, "with more items, mini-batches fail more often")] * (sample.failed > sample.short)),
    ]
    bound, why = min(bounds)
    items = max(1.0, bound)
    if job.kind == "files":
        items = float(_rounded_down(items))
        size = f"{items:.0f}"
    else:
        kilobytes = _rounded_down(max(1.0, items * job.bytes_per_item / 1024))
        items = max(1.0, kilobytes * 1024 / job.bytes_per_item)
        size = f"{kilobytes}KB"
    if math.isclose(items, job.items, rel_tol=0.01):
        why = "it cannot be smaller" if bound < 1 else why
        return job.items, text, f"as set: a mini-batch takes {seconds_text(now)}; {why}"
    took = f"a mini-batch then takes {seconds_text(items * per_item)} instead of {seconds_text(now)}"
    return items, size, f"{took}; {why}"


def _slowest(known: Draws, items: float) -> float:
    """Seconds that one in a thousand mini-batches takes, at the slow end of what is known."""
    import numpy as np

    draws = np.linspace(0, len(known.mean) - 1, DRAWN).astype(int)
    courses = (known.course(int(index), 2_000, items, 1, max_attempts=1) for index in draws)
    tails = [np.quantile(course.seconds[np.isfinite(course.seconds)], TAIL) for course in courses]
    return float(np.quantile(tails, 0.95))


def _rounded_down(number: float) -> int:
    """Two digits."""
    scale = int(10 ** max(0, len(str(int(number))) - 2))
    return int(number) // scale * scale


def _rounded_up(seconds: float) -> int:
    """To ten seconds, or two digits."""
    scale = int(10 ** max(1, len(str(int(seconds))) - 2))
    return math.ceil(seconds / scale) * scale

"""The forecast of an entry as plain values: what the full job takes, and which settings are right, with the reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.events import seconds_text
from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.forecast.request import ASSUMPTIONS, GUIDE, FullJob
from pytest_parallelrun.forecast.sample import draw
from pytest_parallelrun.forecast.simulation import MAX_EXACT, Run, Shape, simulate

if TYPE_CHECKING:
    from pytest_parallelrun.forecast.resources import Resources
    from pytest_parallelrun.forecast.sample import Draws, Sample

DRAWS = 200
MAX_HANDED_OUT = 500_000
"""Mini-batches that the real scheduler hands out in all simulations together; few draws are made of large jobs."""
MIN_DRAWS = 20
ENOUGH = 20
"""Mini-batches of a sample."""
MAX_DRAWN = 1_000_000
"""Mini-batches of a draw; those of a larger job are like them."""
SLOW = 3
"""Times the median: a mini-batch that takes longer is called a straggler."""
PERCENTILES = (0.05, 0.5, 0.95)
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
SLOWEST_DRAWS, TAIL = 20, 0.999
"""Draws that the slowest mini-batches come from, and their percentile."""


def forecast(
    job: FullJob, sample: Sample, resources: Resources, notes: Sequence[str] = (), *, draws: int = DRAWS
) -> dict[str, object]:
    """All of it as JSON types. notes: more of them."""
    known = draw(sample, job.request.given, draws, items=job.items)
    advice = recommend(job, known, resources)
    own = _shape(job, known, resources)
    others = _alternatives(own)
    recommended = replace(
        _shape(job.with_items(advice.items), known, resources),
        settings=job.settings.replace(timeout=advice.timeout),
        instances=advice.instances,
        concurrency=advice.concurrency,
    )
    recommended = replace(recommended, slowdown=_slowdown(recommended.concurrency, known, resources))
    if advice.items == job.items:
        runs, slow = _simulated(job, known, [own, *others], [recommended])
    else:
        runs, slow = _simulated(job, known, [own, *others])
        runs += _simulated(job.with_items(advice.items), known, [recommended])[0]
    shapes = [("as set", own), *(("", other) for other in others), ("recommended", recommended)]
    configurations_made = [_configuration(*shape, made) for shape, made in zip(shapes, runs, strict=True)]
    return {
        "size": job.request.written,
        "items": job.total_items,
        "noun": job.noun,
        "mini_batches": job.mini_batches,
        "draws": len(slow),
        "simulation": "scheduler" if job.mini_batches <= MAX_EXACT else "work",
        "inputs": _inputs(job, known, resources),
        "configurations": configurations_made,
        "attempts": _percentiles(runs[0], lambda run: run.attempts),
        "retries": _percentiles(runs[0], lambda run: run.attempts - job.mini_batches),
        "timeout_share": _percentiles(runs[0], lambda run: run.timeouts / job.mini_batches),
        "stragglers": _of(slow),
        "thresholds": _thresholds(job, runs[0]),
        "recommendation": advice.rows,
        "resources": _resources(known, resources, job.settings.max_concurrency_per_instance),
        "notes": [*notes, *_notes(job, sample)],
    }


def _shape(job: FullJob, known: Draws, resources: Resources) -> Shape:
    settings = job.settings
    return Shape(
        instances=settings.instance_count,
        concurrency=settings.max_concurrency_per_instance,
        items=max(1, round(job.items)),
        kind=job.kind,
        settings=settings,
        slowdown=_slowdown(settings.max_concurrency_per_instance, known, resources),
        mini_batches=job.mini_batches,
    )


def _slowdown(concurrency: int, known: Draws, resources: Resources) -> float:
    """How much longer run() takes where the workers of a node need more cores than it has."""
    if "node_cores" not in known.given or resources.cores is None:
        return 1.0
    return max(1.0, concurrency * resources.cores / known.given["node_cores"].low)


def _alternatives(own: Shape) -> list[Shape]:
    """Three with another number of nodes."""
    numbers = [number for number in (own.instances // 2, *(own.instances * times for times in (2, 4, 8))) if number]
    return [replace(own, instances=number) for number in numbers[:3]]


def _simulated(job: FullJob, known: Draws, *groups: Sequence[Shape]) -> tuple[list[list[Run]], list[float]]:
    """The runs of each shape, and the stragglers of each draw; of fewer draws if the scheduler has much to do.

    groups: of shapes that differ in their instances only.
    """
    import numpy as np

    draws = len(known.mean)
    if job.mini_batches <= MAX_EXACT:
        draws = min(draws, max(MIN_DRAWS, MAX_HANDED_OUT // (5 * job.mini_batches)))
    number = min(job.mini_batches, MAX_DRAWN)
    nodes = max(shape.instances for group in groups for shape in group)
    runs: list[list[Run]] = [[] for group in groups for _ in group]
    slow = []
    for index in np.linspace(0, len(known.mean) - 1, draws).astype(int).tolist():
        course = known.course(index, number, job.items, nodes, max_attempts=job.settings.max_retries + 1)
        some = course.seconds[:MAX_EXACT]
        slow.append(float((some > SLOW * np.median(some)).mean()) * job.mini_batches)
        for found, run in zip(runs, (run for group in groups for run in simulate(course, group)), strict=True):
            found.append(run)
    return runs, slow


def _configuration(label: str, shape: Shape, runs: Sequence[Run]) -> dict[str, object]:
    return {
        "label": label,
        "instance_count": shape.instances,
        "max_concurrency_per_instance": shape.concurrency,
        "workers": shape.workers,
        "mini_batches": shape.mini_batches,
        "wall": _percentiles(runs, lambda run: run.wall),
        "worker_hours": _percentiles(runs, lambda run: run.wall * shape.workers / 3600),
        "node_hours": _percentiles(runs, lambda run: run.wall * shape.instances / 3600),
        "ending": _percentiles(runs, lambda run: run.ending),
    }


def _percentiles(runs: Sequence[Run], value: Callable[[Run], float]) -> list[float]:
    return _of([value(run) for run in runs])


def _of(values: Sequence[float]) -> list[float]:
    import numpy as np

    return [float(each) for each in np.quantile(values, PERCENTILES, method="inverted_cdf")]


def _inputs(job: FullJob, known: Draws, resources: Resources) -> list[dict[str, object]]:
    """What the simulation starts from, with its origin."""
    sample, given = known.sample, job.request.given
    seen = f"measured in {count_text(len(sample.seconds), 'mini-batch')} of the sample"
    failures = f"{sample.failed} of {count_text(sample.tried, 'mini-batch')} of the sample failed at the first attempt"
    retries = f"{sample.failed_again} of {count_text(sample.retried, 'later attempt')} of the sample failed"
    if not sample.retried:
        retries = "unknown: no mini-batch of the sample was retried"
    processes = "measured in a worker process" if resources.init else "measured in this process"
    fails = [a + b for a, b in zip(known.fails, known.times_out, strict=True)]
    rows: list[tuple[str, str, Sequence[float], str, bool]] = [
        ("run_time", f"run() for one {job.noun}", _of(known.mean.tolist()), seen, True),
        ("spread", "spread between mini-batches", [sample.spread] * 3, seen, False),
        ("failure_rate", "first attempts that fail", _of(fails), failures, True),
        ("retry_failure_rate", "retries that fail", _of(known.fails_again.tolist()), retries, True),
        ("init_time", "start of a worker with init()", [sample.init[0]] * 3, processes, True),
    ]
    if sample.warm_up:
        rows.append(("warm_up", "warm-up of a worker", [sample.warm_up] * 3, seen, False))
    for name, title in (
        ("overhead", "overhead of each mini-batch"),
        ("scheduling_rate", "mini-batches scheduled"),
        ("node_start", "start of a node"),
    ):
        low, high = known.given[name]
        rows.append((name, title, [low, (low + high) / 2, high], ASSUMPTIONS[name].origin or GUIDE, True))
    found: list[dict[str, object]] = []
    for name, title, values, origin, can_be_given in rows:
        if name in given:
            low, high = given[name]
            values, origin = [low, (low + high) / 2, high], "given"
        unit = ASSUMPTIONS[name].unit if name in ASSUMPTIONS else "share" if name == "spread" else "seconds"
        given_as = name if can_be_given else ""
        found.append({"name": given_as, "title": title, "unit": unit, "values": list(values), "origin": origin})
    return found


def _thresholds(job: FullJob, runs: Sequence[Run]) -> list[dict[str, object]]:
    """The probability that each threshold is exceeded; low, high: with the fewest and with the most failures."""
    settings = job.settings
    pending = settings.rules.threshold_check == "pending"
    batches = [run.waiting if pending else run.failed_mini_batches for run in runs]
    percent = settings.allowed_failed_percent
    found: list[dict[str, object]] = []
    for name, limit, off, counts in (
        ("error_threshold", settings.error_threshold, -1, [run.failed_items for run in runs]),
        ("mini_batch_error_threshold", settings.mini_batch_error_threshold, -1, batches),
        ("allowed_failed_percent", percent, 100, [100 * number / job.mini_batches for number in batches]),
    ):
        if limit == off:
            continue
        exceeded = [count > limit for count in sorted(counts)]
        few = max(1, len(exceeded) // 20)
        found.append(
            {
                "name": name,
                "limit": limit,
                "expected": _of(counts),
                "probability": sum(exceeded) / len(exceeded),
                "low": sum(exceeded[:few]) / few,
                "high": sum(exceeded[-few:]) / few,
            }
        )
    return found


def _resources(known: Draws, resources: Resources, concurrency: int) -> dict[str, object]:
    given: Mapping[str, float] = {name: low for name, (low, _) in known.given.items()}
    largest = resources.largest_concurrency(given.get("node_memory"), given.get("node_cores"))
    return {
        "problem": resources.problem,
        "init_memory": resources.init_memory,
        "run_memory": resources.run_memory,
        "cores": resources.cores,
        "mini_batches": resources.mini_batches,
        "node_memory": given.get("node_memory"),
        "node_cores": given.get("node_cores"),
        "largest_concurrency": None if largest is None else largest[0],
        "limited_by": "" if largest is None else largest[1],
        "concurrency": concurrency,
    }


def _notes(job: FullJob, sample: Sample) -> list[str]:
    notes = []
    if 2 * sample.failed >= sample.tried:
        notes.append(
            f"{sample.failed} of {count_text(sample.tried, 'mini-batch')} of the sample failed at the first attempt: "
            "fix the script first; this forecast is that of a failing job"
        )
    if sample.retried > sample.failed_again:
        notes.append(
            f"failures depend on chance: {sample.retried - sample.failed_again} of "
            f"{count_text(sample.retried, 'later attempt')} succeeded. Another run may have more or fewer of them, as "
            "the ranges allow for"
        )
    if sample.tried < ENOUGH and "run_time" not in job.request.given:
        notes.append(
            f"the sample has {count_text(sample.tried, 'mini-batch')} only, so the ranges are wide: give "
            f"{ENOUGH} or more"
        )
    if not sample.failed and "failure_rate" not in job.request.given:
        notes.append(
            f"no mini-batch of {sample.tried} failed, so most of the simulated jobs have no failure, but up to about "
            f"{100 * (1 - 0.05 ** (1 / sample.tried)):.0f} % could fail. Give failure_rate=0 if none will"
        )
    if abs(sample.items / job.items - 1) > 0.1:
        notes.append(
            f"a mini-batch of the sample has {count_text(round(sample.items), job.noun)}, one of the job "
            f"{job.items:,.0f}: run time and failures are assumed to grow in proportion"
        )
    if job.mini_batches > MAX_DRAWN:
        notes.append(f"{MAX_DRAWN:,} mini-batches were simulated and stand for all")
    notes.append("times are those of this machine; a node of the service may be faster or slower")
    return notes


@dataclass(frozen=True, kw_only=True)
class Advice:
    """Recommended values. rows: each as a text, next to the value that is set, with the reason."""

    items: float
    timeout: int
    instances: int
    concurrency: int
    rows: list[dict[str, object]]


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
    timeout = min(math.ceil(timeout), MAX_TIMEOUT)
    rows = [
        ("mini_batch_size", settings.mini_batch_size_text, size, size_reason),
        ("timeout", f"{settings.timeout:g}", str(timeout), timeout_reason),
        ("instance_count", str(settings.instance_count), str(instances), reason),
        ("max_concurrency_per_instance", str(settings.max_concurrency_per_instance), str(concurrency), fits),
    ]
    return Advice(
        items=items,
        timeout=timeout,
        instances=instances,
        concurrency=concurrency,
        rows=[dict(zip(("setting", "set", "recommended", "reason"), row, strict=True)) for row in rows],
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

    draws = np.linspace(0, len(known.mean) - 1, SLOWEST_DRAWS).astype(int)
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

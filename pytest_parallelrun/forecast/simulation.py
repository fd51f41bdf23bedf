"""One full job on a clock of its own: with the real scheduler, or, if it is large, by what its work adds up to."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import AttemptEnded, Event
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.scheduler import Scheduler
from pytest_parallelrun.emulator.splitting.model import PrebuiltInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from pytest_parallelrun.emulator.engines.protocol import Patience, Task
    from pytest_parallelrun.emulator.events import Outcome
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import InputKind, Payload

MAX_EXACT = 10_000
"""Mini-batches of a job that the real scheduler hands out."""
MIN_TAIL = 500
MAX_TAIL = 20_000
TAIL_EACH = 4
"""Attempts of a large job, for each worker, that are followed one by one: the last ones."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What happens in a job, whatever the number of its workers.

    seconds: of an attempt at each mini-batch, without a limit. failures: failed attempts before one succeeds, besides
    timeouts, which repeat. short: whether those return too few results; lost: the share of items that is missing then.
    node_start: until each node is ready. init: seconds of a worker until its first mini-batch. overhead: seconds of a
    mini-batch besides run(). scheduling_rate: mini-batches a second.
    """

    seconds: np.ndarray
    failures: np.ndarray
    short: np.ndarray
    lost: float
    node_start: Sequence[float]
    init: float
    overhead: float
    scheduling_rate: float


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Nodes and workers on each, and the settings that decide. items: of a mini-batch. slowdown: of run()."""

    instances: int
    concurrency: int
    items: int
    kind: InputKind
    settings: JobSettings
    slowdown: float = 1.0
    mini_batches: int
    """Of the job; a course may have fewer, which then stand for all."""

    @property
    def workers(self) -> int:
        return self.instances * self.concurrency

    @property
    def timeout(self) -> float:
        """Seconds for an attempt, by the rule attempt_limit."""
        settings = self.settings
        overhead = settings.task_overhead_timeout if settings.rules.attempt_limit == "with_overhead" else 0
        return float(settings.timeout + overhead)

    def worker_starts(self, course: Course) -> list[float]:
        """When each worker is ready for its first mini-batch, ascending."""
        nodes = course.node_start[: self.instances]
        return sorted(start + course.init for start in nodes for _ in range(self.concurrency))


class Run(NamedTuple):
    """The outcome of one simulated job. wall: seconds. waiting: mini-batches that were retried.

    ending: seconds from when a worker has nothing left to do until the end.
    """

    wall: float
    attempts: float
    timeouts: float
    waiting: float
    failed_mini_batches: float
    failed_items: float
    ending: float


def simulate(course: Course, shapes: Sequence[Shape]) -> list[Run]:
    """The job in shapes that differ in their instances only; no threshold ends it."""
    number = shapes[0].mini_batches
    if number <= MAX_EXACT and len(course.seconds) == number:
        return [simulate_exactly(course, shape) for shape in shapes]
    return simulate_by_work(course, shapes)


class _NoEvents(EventLog):
    """Nobody asks for them."""

    def append(self, event: Event) -> None:
        pass

    def append_pair(self, attempt: AttemptEnded) -> None:
        pass


class SimulatedEngine:
    """An engine whose workers only let time pass."""

    def __init__(self, course: Course, shape: Shape) -> None:
        self.capacity = shape.workers
        self.attempts = 0
        self.retried: set[int] = set()
        self.timeouts = 0
        self.first_idle = 0.0
        self._course = course
        self._timeout, self._overhead = shape.timeout, course.overhead
        self._seconds: list[float] = (course.seconds * shape.slowdown).tolist()
        self._failures: list[int] = course.failures.tolist()
        self._short: list[bool] = course.short.tolist()
        self._free = [(start, worker) for worker, start in enumerate(shape.worker_starts(course))]
        self._scheduling = min(course.node_start[: shape.instances])
        self._waiting: deque[Task] = deque()
        self._running: list[tuple[float, int, tuple[Task, Outcome, float]]] = []
        self._now = 0.0

    def start(self) -> None:
        """Its workers start by themselves."""

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def collect(self, patience: Patience | None = None) -> AttemptEnded | None:
        rate = self._course.scheduling_rate
        while self._waiting:
            task = self._waiting[0]
            scheduled = self._scheduling + task.mini_batch.id / rate if task.number == 1 else 0.0
            begins = max(self._free[0][0], self._now, scheduled) if self._free else float("inf")
            if self._running and self._running[0][0] <= begins:
                # That worker is free earlier than one that still starts.
                break
            self._begin(self._waiting.popleft(), begins)
        if not self._waiting and len(self._running) < self.capacity:
            self.first_idle = self.first_idle or self._now
        else:
            self.first_idle = 0.0
        self._now, worker, (task, outcome, running) = heapq.heappop(self._running)
        # The service kills a worker whose time is up; the next one starts with init().
        restart = self._course.init if outcome == "timeout" else 0.0
        heapq.heappush(self._free, (self._now + restart, worker))
        size = task.mini_batch.size
        returned = {"succeeded": size, "short": size - round(size * self._course.lost)}.get(outcome)
        return AttemptEnded(
            mini_batch=task.mini_batch,
            number=task.number,
            worker=worker,
            outcome=outcome,
            returned=returned,
            value=None,
            started=self._now - running,
            loading=0.0,
            running=running,
            failure=None,
            fault=None,
        )

    def _begin(self, task: Task, began: float) -> None:
        _, worker = heapq.heappop(self._free)
        number = task.mini_batch.id
        running = self._seconds[number]
        outcome: Outcome = "succeeded"
        if running > self._timeout:
            running, outcome = self._timeout, "timeout"
            self.timeouts += task.number == 1
        elif task.number <= self._failures[number]:
            outcome = "short" if self._short[number] else "exception"
        if task.number > 1:
            self.retried.add(number)
        self.attempts += 1
        heapq.heappush(self._running, (began + running + self._overhead, worker, (task, outcome, running)))

    def worker_events(self) -> Sequence[Event]:
        return ()

    def elapsed(self) -> float:
        return self._now

    def stop(self, *, normal: bool) -> None:
        """Nothing runs."""

    def notes(self) -> Sequence[str]:
        return ()


def simulate_exactly(course: Course, shape: Shape) -> Run:
    """With the scheduler, the policy and the ledger of the emulator."""
    settings = shape.settings
    payload = cast("Payload", range(shape.items))
    splitter = PrebuiltInput([payload] * shape.mini_batches, kind=shape.kind)
    ledger = Ledger(settings, shape.kind, splitter.total_mini_batches).without_thresholds()
    engine = SimulatedEngine(course, shape)
    Scheduler(settings, splitter, engine, ledger=ledger, events=_NoEvents()).run()
    return Run(
        wall=engine.elapsed(),
        attempts=engine.attempts,
        timeouts=engine.timeouts,
        waiting=len(engine.retried),
        failed_mini_batches=ledger.failed_mini_batches,
        failed_items=ledger.failed_items,
        ending=engine.elapsed() - (engine.first_idle or engine.elapsed()),
    )


def simulate_by_work(course: Course, shapes: Sequence[Shape]) -> list[Run]:
    """The same without handing out each mini-batch, in shapes that differ in their instances only.

    Until the queue is empty no worker is idle, so that the wall time is all work, and the idle time at the end, over
    the workers. The end is followed attempt by attempt. The other bound is the rate at which the service schedules.
    """
    import numpy as np

    shape = shapes[0]
    settings = shape.settings
    number = len(course.seconds)
    weight = shape.mini_batches / number
    max_attempts = settings.max_retries + 1
    cost = course.seconds * np.float32(shape.slowdown)
    late = cost > shape.timeout
    np.minimum(cost, np.float32(shape.timeout), out=cost)
    cost += np.float32(course.overhead)
    cost[late] += course.init
    failing = np.flatnonzero(late | (course.failures > 0))
    of_late = late[failing]
    failures = np.where(of_late, max_attempts, course.failures[failing])
    short = course.short[failing] & ~of_late
    retried = ~short if settings.rules.short_return == "items_only" else np.ones(len(failing), bool)
    attempts = np.where(retried, np.minimum(failures + 1, max_attempts), 1)
    # A partition that is given up counts as one item.
    given_up = 1 if settings.rules.failed_unit == "partition" and shape.kind == "tabular" else shape.items
    lost = np.where(short, round(shape.items * course.lost), given_up)
    failed = failures >= np.where(retried, max_attempts, 1)
    extra = attempts - 1
    of_retries = cost[failing] * extra
    work = (float(cost.sum(dtype=np.float64)) + float(of_retries.sum(dtype=np.float64))) * weight
    last = cost[-min(number, MIN_TAIL) :]
    scheduled = shape.mini_batches / course.scheduling_rate
    until = scheduled - np.arange(len(last), 0, -1) / course.scheduling_rate
    runs = []
    for shape in shapes:
        workers = shape.workers
        length = min(max(MIN_TAIL, min(TAIL_EACH * workers, MAX_TAIL), workers), number + int(extra.sum()))
        makespan, idle, ending = _end_of_queue(cost, failing, attempts, length, workers)
        starts = shape.worker_starts(course)
        scheduling = min(course.node_start[: shape.instances])
        after = max(float(of_retries.sum()) * weight / workers, float(of_retries.max(initial=0.0)))
        run = Run(
            wall=max(
                _filled(starts, work + idle),
                scheduling + float((until + last).max()),
                scheduling + scheduled + after,
                starts[0] + makespan,
            ),
            attempts=(number + int(extra.sum())) * weight,
            timeouts=int(late.sum()) * weight,
            waiting=int((extra > 0).sum()) * weight,
            failed_mini_batches=int((failed & retried).sum()) * weight,
            failed_items=float(lost[failed].sum()) * weight,
            ending=ending,
        )
        runs.append(run)
    return runs


def _end_of_queue(
    cost: np.ndarray, failing: np.ndarray, attempts: np.ndarray, length: int, workers: int
) -> tuple[float, float, float]:
    """The last attempts of the queue one by one: seconds from there to the end, idle seconds of all workers, and
    seconds from when a worker has nothing left to do.
    """
    import numpy as np

    # Retries come after all first attempts, those of a round in the order of the round before.
    first = np.arange(max(0, len(cost) - length), len(cost))
    rounds = (failing[attempts > number] for number in range(1, int(attempts.max(initial=1))))
    handed_out = np.concatenate([first, *rounds])[-length:]
    numbers, times = np.unique(handed_out, return_counts=True)
    left = dict(zip(numbers.tolist(), times.tolist(), strict=True))
    seconds = dict(zip(numbers.tolist(), cost[numbers].tolist(), strict=True))
    queue = deque(dict.fromkeys(handed_out.tolist()))
    work = float(cost[handed_out].sum(dtype=np.float64))
    # Workers are in the middle of something.
    rng = np.random.default_rng(length)
    busy = rng.random(workers) * cost[rng.integers(0, len(cost), workers)]
    free = sorted(busy.tolist())
    offsets = sum(free)
    later: list[tuple[float, int]] = []
    end, first_idle = free[-1], 0.0
    while queue or later:
        now = free[0]
        while later and (later[0][0] <= now or not queue):
            ready, each = heapq.heappop(later)
            if not queue and ready > now:
                first_idle = first_idle or now
                now = ready
            queue.append(each)
        each = queue.popleft()
        done = now + seconds[each]
        heapq.heapreplace(free, done)
        end = max(end, done)
        left[each] -= 1
        if left[each]:
            heapq.heappush(later, (done, each))
    return end, workers * end - offsets - work, end - (first_idle or free[0])


def _filled(starts: Sequence[float], work: float) -> float:
    """When workers that start at these times have done that much work."""
    done = 0.0
    for number, start in enumerate(starts, 1):
        following = starts[number] if number < len(starts) else float("inf")
        if done + (following - start) * number >= work:
            return start + (work - done) / number
        done += (following - start) * number
    raise AssertionError("the last worker has no end")

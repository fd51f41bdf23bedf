"""The Ray engine: workers on the nodes of a cluster, mini-batches in groups, and nothing lost but attempts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.clock import real_monotonic, real_sleep
from pytest_parallelrun.emulator.engines.outcome import ended
from pytest_parallelrun.emulator.engines.protocol import NoWorkersLeft
from pytest_parallelrun.emulator.engines.queue_engine import QueueEngine
from pytest_parallelrun.emulator.engines.ray import cluster
from pytest_parallelrun.emulator.engines.ray.actor import OutOfOrder, RemoteTask, Report, ShutdownReport, WorkerConfig
from pytest_parallelrun.emulator.engines.ray.actor_handle import BETWEEN, ActorHandle, RemoteCall, WorkerRecord
from pytest_parallelrun.emulator.engines.ray.cluster import in_short
from pytest_parallelrun.emulator.engines.ray.placement import NodePlacement
from pytest_parallelrun.emulator.engines.tracebacks import describe_exception
from pytest_parallelrun.emulator.engines.worker_pool import WorkerPool
from pytest_parallelrun.emulator.events import Failure, Outcome, WorkerFailed, WorkerStarted, WorkerStopped
from pytest_parallelrun.emulator.policy import init_limit
from pytest_parallelrun.emulator.sandbox.sandbox import Host
from pytest_parallelrun.emulator.sandbox.streams import show
from pytest_parallelrun.emulator.worker.file_watch import is_watching, record_files_of_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_parallelrun.emulator.engines.process.worker_process import DispatchedTask
    from pytest_parallelrun.emulator.engines.protocol import Observer
    from pytest_parallelrun.emulator.events import AttemptEnded
    from pytest_parallelrun.emulator.faults import FaultPlan
    from pytest_parallelrun.emulator.sandbox.sandbox import WorkerPlan
    from pytest_parallelrun.emulator.settings import JobSettings
    from pytest_parallelrun.emulator.splitting.model import Splitter


MAX_GROUP_SIZE = 128
GROUP_TARGET = 0.05
"""Seconds of work in a group: long beside the millisecond that a call of an actor takes, short beside a job."""
QUICK = 0.02
"""Seconds of a mini-batch up to which a second group is sent ahead."""
GRACE = 60.0
"""Seconds beyond all limits after which an actor that does not answer is taken for lost, and killed."""
ARRIVAL = 120.0
"""Seconds in which an actor must be there and answer what takes no time."""
AT_ONCE = 3
"""Mini-batches that a worker process may have got already when the time of a group is up."""
LAST_WAIT = 15.0
"""Seconds that workers have to end when a job is stopped in the middle."""
SPARE_ACTORS = 2
"""Actors of a worker that may be lost before they have begun with it, at no cost."""
_MAX_RAY_LINES = 200
"""Characters of its messages that are shown."""


class RayEngine(QueueEngine[WorkerRecord]):
    """`instance_count` times `max_concurrency_per_instance` workers, each instance on one node of the cluster."""

    def __init__(self, plan: WorkerPlan, splitter: Splitter, settings: JobSettings, faults: FaultPlan) -> None:
        # First, since to start a cluster is no time of the job.
        self._cluster = cluster.join()
        self._plan = plan
        self._crew: WorkerPool[WorkerRecord] = WorkerPool(settings)
        self.capacity = len(self._crew.slots) * MAX_GROUP_SIZE * 2
        self._seats: dict[int, ActorHandle] = {}
        self._quiet = False
        self._last_end = ""
        self._alone: set[tuple[int, int]] = set()
        """Mini-batch and attempt of those that were lost with others, of which one may be to blame."""
        self._places = NodePlacement(self._cluster, plan)
        super().__init__(splitter, settings, faults)

    def quiet(self) -> None:
        """Workers that start from now on show no warnings."""
        self._quiet = True

    def start(self) -> None:
        # All actors first, since theirs is the time that it takes.
        for slot in self._crew.startable():
            self._seat(slot)
        super().start()

    def stop(self, *, normal: bool) -> None:
        """Ends the workers; shutdown() is called at a normal end only, as on the service.

        At a normal end it waits for workers that are still on their way, as worker processes are waited for.
        """
        crew = self._crew
        try:
            if normal:
                while any(not post.up for post in crew.workers()):
                    self._wait(None)
            self._say_farewell(normal=normal)
        finally:
            for post in list(crew.workers()):
                crew.stopped(post, "the job was stopped")
            for seat in self._seats.values():
                seat.kill()
            self._seats.clear()
            cluster.leave()

    def notes(self) -> Sequence[str]:
        return [*super().notes(), *self._places.notes()]

    def _seat(self, slot: int) -> ActorHandle:
        """The actor in the slot, on the node of its instance."""
        if slot not in self._seats:
            self._seats[slot] = ActorHandle(self._cluster, self._places.node_of(self._crew.instance_of(slot)))
        return self._seats[slot]

    def _terms(self) -> WorkerConfig:
        return WorkerConfig(self._settings, self._splitter.kind, self.probe)

    def _start(self, slot: int, *, init: bool = True, observer: type[Observer] | None = None) -> WorkerRecord:
        crew = self._crew
        crew.vacant.discard(slot)
        post = WorkerRecord(crew.made, slot, crew.instance_of(slot), self.elapsed())
        crew.made += 1
        crew.slots[slot] = post
        fault = self._faults.for_init(post.number) if init and self._faults else None
        post.orders = (init, None if fault is None else (describe_exception(fault.exception()), ""), observer)
        self._bring_up(post)
        return post

    def _bring_up(self, post: WorkerRecord) -> None:
        """Has the actor in the slot of the worker start it."""
        try:
            seat = self._ready_seat(post.slot)
        except self._cluster.lost as error:
            self._lost(post, self._seats.get(post.slot), error)
            return
        init, fails, observer = post.orders
        seat.workers.append(post.number)
        limit = 2 * init_limit(self._limits.timeout) + ARRIVAL
        seat.call("start_worker", post.number, init, fails, is_watching(), observer, limit=limit)

    def _ready_seat(self, slot: int) -> ActorHandle:
        """With an actor that has been told of the job."""
        seat = self._seat(slot)
        if seat.terms is None:
            seat.terms = self._terms()
            # A cluster of this machine alone is one more way to start processes here: they inherit the same.
            host = Host.here() if self._cluster.started else None
            bundle = self._places.bundle_for(seat)
            seat.call("begin", self._plan, seat.terms, slot, host, bundle, self._quiet, limit=ARRIVAL)
        self._update(seat)
        return seat

    def _update(self, seat: ActorHandle) -> None:
        terms = self._terms()
        if seat.terms != terms:
            seat.terms = terms
            seat.call("assign", terms, limit=ARRIVAL)

    def _hand_out(self) -> None:
        crew, waiting = self._crew, self._waiting
        slots = crew.slots if self._chosen is None else [crew.slots[self._chosen]]
        there = max(1, sum(1 for _ in crew.workers()))
        now = real_monotonic()
        # With faults no mini-batch is handed over for whose fault its worker may not live to see.
        for depth in range(1 if self._faults else 2):
            for position in range(self._turn, self._turn + len(slots)):
                post = slots[position % len(slots)]
                if post is None or not post.up or post.pausing_until > now or (depth and not post.quick):
                    continue
                if self._seats[post.slot].groups <= depth:
                    self._turn = post.slot + 1
                    share = -(-len(waiting) // there)
                    self._hand(post, 1 if self._faults else min(post.group, share))
                    if not waiting:
                        return
        self._start_wanted()

    def _hand(self, post: WorkerRecord, count: int) -> None:
        """Sends the first that wait."""
        seat = self._seats[post.slot]
        group: list[DispatchedTask] = []
        errands = []
        while self._waiting and len(group) < count:
            mini_batch, number = self._waiting[0]
            if (mini_batch.id, number) in self._alone:
                if group:
                    break
                count = 1
            ready = self._prepare(post, self._waiting.popleft())
            if ready is None:
                break
            loading = ready.handed.loading
            there = ready.payload
            group.append(ready.handed)
            if self._splitter.kind == "files":
                try:
                    there = self._places.payload_for(seat, mini_batch.id, cast("list[str]", there))
                except self._cluster.lost as error:
                    self._return(group)
                    self._lost(post, seat, error)
                    return
            errands.append(RemoteTask(*mini_batch[:3], number, mini_batch.partition, there, ready.drops, loading))
        if errands:
            self._update(seat)
            limit = AT_ONCE * (self._limits.of_run(0.0) + self._limits.overhead) + GRACE
            seat.call("work", errands, is_watching(), limit=limit, group=tuple(group))

    def _wait(self, until: float | None) -> None:
        """Waits until an actor answers, is lost, or has taken too long; or until `until`."""
        first = {seat.calls[0].reference: slot for slot, seat in self._seats.items() if seat.calls}
        due = self._soonest(until, *(seat.deadline for seat in self._seats.values()))
        timeout = None if due is None else max(0.0, due - real_monotonic())
        if not first:
            real_sleep(timeout or 0.0)
            return
        done, _ = self._cluster.ray.wait(list(first), num_returns=1, timeout=timeout)
        for reference in done:
            self._take(first[reference])
        now = real_monotonic()
        for slot, seat in list(self._seats.items()):
            deadline = seat.deadline
            if deadline is not None and now >= deadline and self._seats.get(slot) is seat:
                self._overdue(slot, seat)

    def _take(self, slot: int) -> None:
        """The answer to the first call of the actor in the slot."""
        seat = self._seats[slot]
        post = self._crew.slots[slot]
        try:
            answer = self._cluster.ray.get(seat.calls[0].reference)
        except self._cluster.unavailable as error:
            if seat.may_come_back():
                real_sleep(BETWEEN)
                seat.call_again()
            else:
                self._lost(post, seat, error)
            return
        except self._cluster.lost as error:
            self._lost(post, seat, error)
            return
        if isinstance(answer, OutOfOrder):
            seat.call_again()
            return
        call = seat.answered()
        if isinstance(answer, ShutdownReport):
            self._take_leave(slot, seat, answer)
        elif seat.leaving:
            # What a job does not wait for any more.
            pass
        elif call.method == "ask":
            seat.answers.append(answer)
        elif isinstance(answer, Report) and call.method != "drop":
            self._reported(post, seat, call, answer)

    def _reported(self, post: WorkerRecord | None, seat: ActorHandle, call: RemoteCall, report: Report) -> None:
        seat.offset = self.elapsed() - report.elapsed
        for touched in report.touched:
            record_files_of_worker(touched)
        self.observed += report.observed
        self._represented += report.represented
        if post is None:
            # Ended from here meanwhile; a group that it had not begun has come back as it was.
            self._return(call.group)
            return
        for handed, attempt in zip(call.group, report.attempts, strict=False):
            self._ended.append(self._completed(attempt, handed, seat))
        self._return(call.group[len(report.attempts) :])
        if report.attempts:
            mean = report.seconds / len(report.attempts)
            post.quick = mean < QUICK
            post.group = max(1, min(MAX_GROUP_SIZE, 4 * post.group, int(GROUP_TARGET / max(mean, 1e-6))))
        for event in report.events:
            if isinstance(event, WorkerStarted):
                self._crew.came_up(post)
            elif isinstance(event, WorkerFailed):
                self._crew.failed(post, event.failure)
            elif isinstance(event, WorkerStopped):
                post.how = event.failure.error if event.failure is not None else event.reason
                self._last_end = self._crew.stopped(
                    post, event.reason, event.failure, replace=event.reason != "Retry.StopProcess"
                )

    def _completed(self, attempt: AttemptEnded, handed: DispatchedTask, seat: ActorHandle) -> AttemptEnded:
        """With what stayed here, and on the clock of the job."""
        return attempt._replace(
            mini_batch=handed.delivery.mini_batch, fault=handed.fault, started=attempt.started + seat.offset
        )

    def _return(self, group: Sequence[DispatchedTask]) -> None:
        self._waiting.extendleft(handed.delivery for handed in reversed(group))

    def _end(self, worker: WorkerRecord, reason: str, *, replace: bool = True) -> None:
        seat = self._seats[worker.slot]
        seat.call("drop", reason, limit=ARRIVAL)
        worker.how = reason
        self._last_end = self._crew.stopped(worker, reason, replace=replace)

    def _overdue(self, slot: int, seat: ActorHandle) -> None:
        """The actor does not answer: it hangs, or its node does."""
        seat.kill()
        limit = seat.calls[0].limit
        self._lost(self._crew.slots[slot], seat, TimeoutError(f"no answer in {limit:g} s"), outcome="timeout")

    def _lost(
        self, post: WorkerRecord | None, seat: ActorHandle | None, error: BaseException, *, outcome: Outcome = "crashed"
    ) -> None:
        """The actor is gone, with its process or its node, and with what it was doing."""
        calls: list[RemoteCall] = []
        node = "of the cluster"
        since = real_monotonic()
        if seat is not None:
            calls = list(seat.calls)
            seat.calls.clear()
            since = seat.since
            node = seat.node.address
            seat.kill()
            self._vacate(seat)
            self._places.lost_with(seat)
            if not isinstance(error, self._cluster.died):
                self._cluster.quarantine(seat.node.id)
            if seat.leaving:
                return
        cause = getattr(error, "cause", None)
        reason = in_short(error, _MAX_RAY_LINES) if cause is None else describe_exception(cause)
        how = f"the worker was lost with its actor on node {node}: {reason}"
        under_way = [handed for call in calls for handed in call.group]
        if any(call.method == "ask" for call in calls) and seat is not None:
            seat.answers.append(RuntimeError(how))
        if post is None:
            self._return(under_way)
            return
        post.how = how
        if not post.up:
            if calls and calls[0].method == "begin" and post.actors_lost < SPARE_ACTORS:
                # Nothing of the script was executed: such an actor was gone, or never came.
                post.actors_lost += 1
                try:
                    self._bring_up(post)
                except NoWorkersLeft as nobody:
                    self._crew.failed(post, Failure("init", str(nobody)))
            else:
                self._crew.failed(post, Failure("init", how))
            return
        # Of several nobody knows which one it was busy with: they come again, one at a time.
        known = sum(len(call.group) for call in calls[:1]) == 1
        others = under_way[known:]
        self._alone.update((handed.delivery.mini_batch.id, handed.delivery.number) for handed in others)
        self._return(others)
        for first in under_way[:known]:
            running = real_monotonic() - since
            started = self.elapsed() - running
            self._ended.append(ended(first, post.number, started, running, outcome, Failure("run", how)))
        self._last_end = self._crew.stopped(post, how, replace=True)

    def _vacate(self, seat: ActorHandle) -> None:
        for slot in [slot for slot, other in self._seats.items() if other is seat]:
            del self._seats[slot]

    def _say_farewell(self, *, normal: bool) -> None:
        """Ends the workers where they are, and takes what they leave; their actors are there for the next job."""
        limit = init_limit(self._limits.timeout) + ARRIVAL if normal else LAST_WAIT
        for seat in self._seats.values():
            if seat.calls:
                seat.abandon()
            seat.leaving = True
            seat.call("end", normal, limit=limit)
        until = real_monotonic() + limit
        while self._seats and real_monotonic() < until:
            self._wait(until)
        for seat in self._seats.values():
            self._places.lost_with(seat)

    def _take_leave(self, slot: int, seat: ActorHandle, farewell: ShutdownReport) -> None:
        posts = {post.number: post for post in self._crew.workers()}
        for event in farewell.events:
            if isinstance(event, WorkerStopped) and event.worker in posts:
                self._crew.stopped(posts.pop(event.worker), event.reason, event.failure)
        self._left += farewell.left
        for text, stream in ((farewell.stdout, sys.stdout), (farewell.stderr, sys.stderr)):
            show(text, stream)
        self._places.take_home(seat, farewell)
        seat.give_back()
        del self._seats[slot]


class PersistentRayEngine(RayEngine):
    """The Ray engine with what questions about single workers need."""

    def open(self) -> None:
        self._places.at_home = True

    def is_up(self, slot: int) -> bool:
        """Whether there is a worker in the slot."""
        seat = self._seats.get(slot)
        if seat is None or self._crew.slots[slot] is None:
            return False
        seat.call("is_up", limit=ARRIVAL)
        while seat.calls:
            self._wait(None)
        return self._crew.slots[slot] is not None

    def ask(self, slot: int, function: Callable[..., object], *arguments: object) -> object:
        """What a function of a module gives in the process of a worker. RuntimeError where it fails there."""
        seat = self._seats[slot]
        seat.call("ask", function.__module__, function.__qualname__, arguments, limit=self._limits.timeout + ARRIVAL)
        while not seat.answers:
            self._wait(None)
        answer = seat.answers.pop()
        if isinstance(answer, BaseException):
            raise answer
        return answer

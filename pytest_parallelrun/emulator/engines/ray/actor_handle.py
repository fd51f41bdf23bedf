"""An actor in a slot of a job, and what it has been asked for and not answered yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_parallelrun.emulator.clock import real_monotonic, real_sleep

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.outcome import DispatchedTask
    from pytest_parallelrun.emulator.engines.protocol import Observer
    from pytest_parallelrun.emulator.engines.ray.actor import WorkerConfig
    from pytest_parallelrun.emulator.engines.ray.cluster import Cluster, Node
    from pytest_parallelrun.emulator.engines.ray.file_transfer import Signature
    from pytest_parallelrun.emulator.events import Failure

COMES_BACK = 8.0
"""Seconds for which an actor that cannot be reached is asked again. On a machine that is busy a connection may fail,
and it may take that long until the end of an actor is known."""
BETWEEN = 0.1
"""Seconds between two tries to reach it."""
_LINES = count()
"""Tells the handles apart that an actor has one after the other."""


class WorkerRecord:
    """A worker as it is seen from here: number counts all workers of the job."""

    def __init__(self, number: int, slot: int, instance: int, started: float) -> None:
        self.number = number
        self.slot = slot
        self.instance = instance
        self.up = False
        self.started = started
        self.pausing_until = 0.0
        """Until when it gets nothing, by the monotonic clock: a pause that was put in. Others are held where it is."""
        self.end = ""
        """How it ended, in words."""
        self.group = 1
        """Mini-batches that it gets at a time."""
        self.actors_lost = 0
        """Actors that were lost before they had begun with it."""
        self.startup: tuple[bool, Failure | None, type[Observer] | None] = (True, None, None)
        """How it is brought up: whether with init(), with which failure of it, and by whom it is observed."""
        self.quick = False
        """Whether its mini-batches are so short that a second group should wait at the actor."""

    def reap(self) -> str:
        """Its process is ended where it is."""
        return self.end


class RemoteCall(NamedTuple):
    """A method of the actor that was called. number: among the calls of the handle, from 0.

    limit: seconds until it is taken for lost, from when it is the first.
    """

    reference: Any
    number: int
    method: str
    arguments: tuple[object, ...]
    limit: float
    group: tuple[DispatchedTask, ...] = ()


class ActorHandle:
    """An actor in a slot. config: what its worker works under. offset: its clock is so many seconds behind the job's.

    leaving: whether it was told to end its worker, and nothing but that counts any more. workers: the numbers of those
    that it has carried.
    """

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self.node = node
        self.leaving = False
        self.workers: list[int] = []
        self._line = next(_LINES)
        self._asked = 0
        self._unreached: float | None = None
        self.calls: deque[RemoteCall] = deque()
        self.since = real_monotonic()
        """When the first of the calls became the first."""
        self.config: WorkerConfig | None = None
        self.offset = 0.0
        self.answers: list[object] = []
        """What came of questions to the worker process."""
        self._cluster = cluster
        self._actor = cluster.actor_on(node.id)

    def call(self, method: str, *arguments: object, limit: float, group: tuple[DispatchedTask, ...] = ()) -> None:
        """Asks for something; answers come in the order of the questions."""
        if not self.calls:
            self.since = real_monotonic()
        number = self._asked
        self._asked += 1
        first = self.calls[0].number if self.calls else number
        reference = self._actor.do.remote(self._line, number, first, method, *arguments)
        call = RemoteCall(
            reference=reference, number=number, method=method, arguments=arguments, limit=limit, group=group
        )
        self.calls.append(call)

    def call_again(self) -> None:
        """Asks once more for all that was not answered; the actor does nothing twice."""
        first = self.calls[0].number
        for _ in range(len(self.calls)):
            call = self.calls.popleft()
            reference = self._actor.do.remote(self._line, call.number, first, call.method, *call.arguments)
            self.calls.append(call._replace(reference=reference))

    def may_come_back(self) -> bool:
        """Whether an actor that could not be reached should be asked again: its node is there, and it is not long."""
        now = real_monotonic()
        self._unreached = self._unreached or now
        return now - self._unreached < COMES_BACK and not self.node.is_deserted()

    def answered(self) -> RemoteCall:
        """The first call is done; the next one is the first."""
        self.since = real_monotonic()
        self._unreached = None
        return self.calls.popleft()

    @property
    def deadline(self) -> float | None:
        """When the actor is taken for lost, by the monotonic clock."""
        return self.since + self.calls[0].limit if self.calls else None

    @property
    def groups(self) -> int:
        """Groups of mini-batches that it has not answered."""
        return sum(call.method == "work" for call in self.calls)

    def sees(self, signatures: Sequence[Signature], *, limit: float) -> list[bool]:
        """Which of the files its node sees, whatever the actor is busy with; waits for the answer. `Cluster.lost`."""
        from pytest_parallelrun.emulator.engines.ray.cluster import CONTROL

        method = self._actor.sees.options(concurrency_group=CONTROL)
        until = real_monotonic() + COMES_BACK
        while True:
            try:
                seen: list[bool] = self._cluster.ray.get(method.remote(signatures), timeout=limit)
                return seen
            except self._cluster.unavailable:
                if real_monotonic() >= until or self.node.is_deserted():
                    raise
                real_sleep(BETWEEN)

    def abandon(self) -> None:
        """Has the worker process killed, whatever the actor is busy with."""
        from pytest_parallelrun.emulator.engines.ray.cluster import CONTROL

        self._actor.abandon.options(concurrency_group=CONTROL).remote()

    def give_back(self) -> None:
        """Its worker has ended, and the actor is there for others."""
        self._cluster.give_back(self.node.id, self._actor)

    def kill(self) -> None:
        """Ends the actor, and with it the processes of its worker."""
        self._cluster.kill(self._actor)

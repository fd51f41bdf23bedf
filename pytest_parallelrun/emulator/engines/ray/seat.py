"""A slot of a job, the actor that sits in it, and what that has been asked for and not answered yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_parallelrun.emulator.clock import real_monotonic

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.process.worker_process import Handed
    from pytest_parallelrun.emulator.engines.ray.carrier import Terms
    from pytest_parallelrun.emulator.engines.ray.cluster import Cluster, Node


class Post:
    """A worker as it is seen from here: number counts all workers of the job."""

    def __init__(self, number: int, slot: int, instance: int, started: float) -> None:
        self.number = number
        self.slot = slot
        self.instance = instance
        self.up = False
        self.started = started
        self.how = ""
        """How it ended, in words."""
        self.group = 1
        """Mini-batches that it gets at a time."""
        self.quick = False
        """Whether its mini-batches are so short that a second group should wait at the actor."""

    def bury(self) -> str:
        """Its process is ended where it is."""
        return self.how


class Call(NamedTuple):
    """A method of the actor that was called. limit: seconds until it is taken for lost, from when it is the first."""

    reference: Any
    method: str
    limit: float
    group: tuple[Handed, ...] = ()


class Seat:
    """An actor in a slot. terms: what its worker works under. offset: its clock is so many seconds behind the job's."""

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self.node = node
        self.calls: deque[Call] = deque()
        self.since = real_monotonic()
        """When the first of the calls became the first."""
        self.terms: Terms | None = None
        self.offset = 0.0
        self.answers: list[object] = []
        """What came of questions to the worker process."""
        self._cluster = cluster
        self._actor = cluster.actor_on(node.id)

    def call(self, method: str, *arguments: object, limit: float, group: tuple[Handed, ...] = ()) -> None:
        """Asks for something; answers come in the order of the questions."""
        reference = getattr(self._actor, method).remote(*arguments)
        if not self.calls:
            self.since = real_monotonic()
        self.calls.append(Call(reference, method, limit, group))

    def answered(self) -> Call:
        """The first call is done; the next one is the first."""
        self.since = real_monotonic()
        return self.calls.popleft()

    @property
    def deadline(self) -> float | None:
        """When the actor is taken for lost, by the monotonic clock."""
        return self.since + self.calls[0].limit if self.calls else None

    @property
    def groups(self) -> int:
        """Groups of mini-batches that it has not answered."""
        return sum(call.method == "work" for call in self.calls)

    def ask(self, method: str, *arguments: object, limit: float) -> Any:
        """Asks, and waits for the answer to this alone. What Ray raises for an actor that is gone."""
        return self._cluster.ray.get(getattr(self._actor, method).remote(*arguments), timeout=limit)

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

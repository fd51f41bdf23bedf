"""Who executes an attempt. An engine takes deliveries and gives back what became of them.

It knows nothing of retries or thresholds: that a mini-batch comes again is the decision of the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pytest_parallelrun.emulator.events import AttemptEnded, Event
from pytest_parallelrun.emulator.splitting.base import MiniBatch

ENGINES = ("inprocess",)


class Delivery(NamedTuple):
    """A mini-batch on its way to a worker, for the attempt of that number (from 1)."""

    mini_batch: MiniBatch
    number: int


class NoWorkersLeft(Exception):
    """The job cannot go on: init() failed too often, or all workers were stopped. The text is the reason."""


class Engine(Protocol):
    """Executes deliveries on workers that it starts, replaces and stops.

    capacity: deliveries it holds at once. notes: what the reader of a result must know about how limits were
    enforced and what was not emulated.
    """

    capacity: int

    def start(self) -> None: ...
    def submit(self, delivery: Delivery) -> None: ...
    def collect(self) -> AttemptEnded: ...
    def worker_events(self) -> Sequence[Event]: ...
    def elapsed(self) -> float: ...
    def stop(self, *, normal: bool) -> None: ...
    def notes(self) -> Sequence[str]: ...

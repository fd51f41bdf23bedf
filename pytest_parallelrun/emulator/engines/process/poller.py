"""Waits for all worker processes at once: for what they say, for room in their pipes, and for their end."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.clock import real_monotonic

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.engines.process.worker_process import WorkerProcess
    from pytest_parallelrun.emulator.worker.messages import Message

LOOK_INTERVAL = 0.05
"""Seconds between two looks at workers whose end the system does not tell at once."""


class Switchboard:
    """Knows which worker a pipe belongs to."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._by_number: dict[int, WorkerProcess] = {}
        self._to_be_looked_at: set[WorkerProcess] = set()

    def add(self, worker: WorkerProcess) -> None:
        """Listens to a worker from now on."""
        self._register(worker.reading, worker, select.POLLIN)
        if worker.pidfd >= 0:
            self._register(worker.pidfd, worker, select.POLLIN)
        else:
            self._to_be_looked_at.add(worker)
        if worker.has_more_to_say:
            self._register(worker.writing, worker, select.POLLOUT)

    def remove(self, worker: WorkerProcess) -> None:
        """And no longer; it must still have its pipes."""
        for number in (worker.reading, worker.pidfd, worker.writing):
            self._unregister(number)
        self._to_be_looked_at.discard(worker)

    def say(self, worker: WorkerProcess, *message: object) -> None:
        """Hands a message over; what does not go into the pipe at once follows while others are waited for."""
        if not worker.send(*message):
            self._register(worker.writing, worker, select.POLLOUT)

    def wait(self, until: float | None) -> Iterator[tuple[WorkerProcess, list[Message] | None]]:
        """What has come, at the latest at `until` on the monotonic clock: messages, None for the end of a worker."""
        if self._to_be_looked_at:
            soon = real_monotonic() + LOOK_INTERVAL
            until = soon if until is None else min(until, soon)
        # Rounded up: a wait that ends a moment early would be followed by another one of no length.
        timeout = None if until is None else max(0, int((until - real_monotonic()) * 1000) + 1)
        for number, _ in self._poll.poll(timeout):
            worker = self._by_number.get(number)
            if worker is None:
                # It was removed for what another one of its pipes has brought.
                continue
            if number == worker.reading:
                messages, at_end = worker.receive()
                if at_end:
                    # Closed by the script, or by its end, which is told by other means.
                    self._unregister(number)
                yield worker, messages
            elif number == worker.pidfd:
                yield worker, None
            elif worker.push():
                self._unregister(number)
        for worker in [worker for worker in self._to_be_looked_at if worker.is_dead]:
            yield worker, None

    def _register(self, number: int, worker: WorkerProcess, events: int) -> None:
        self._by_number[number] = worker
        self._poll.register(number, events)

    def _unregister(self, number: int) -> None:
        if self._by_number.pop(number, None) is not None:
            self._poll.unregister(number)

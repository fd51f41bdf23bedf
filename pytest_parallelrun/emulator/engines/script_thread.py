"""Runs the script on a separate thread, as the service was seen to do (setting thread="worker")."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.clock import WorkerClock, running_under
from pytest_parallelrun.emulator.sandbox.process_exit import end_forked_child
from pytest_parallelrun.emulator.worker.late_writes import SCRIPT_THREAD

if TYPE_CHECKING:
    from typing_extensions import Self

_PATIENCE = 1.0
"""Seconds for an abandoned call to end."""
_Task = tuple[Callable[..., object], tuple[object, ...]]


class ScriptThread:
    """Calls functions on one thread, which lives as long as the context; the caller waits for each.

    on_interrupt: called with exceptions raised in the waiting thread, which the script did not cause.
    """

    def __init__(self, clock: WorkerClock, on_interrupt: Callable[[BaseException], None]) -> None:
        self._clock = clock
        self._on_interrupt = on_interrupt
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[object, BaseException | None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=SCRIPT_THREAD, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._tasks.put(None)
        # A script that hangs keeps its thread; it is a daemon and ends with the process.
        self._thread.join(timeout=_PATIENCE)

    def call(self, function: Callable[..., object], *arguments: object) -> object:
        """Returns or raises what the function does on its thread."""
        self._tasks.put((function, arguments))
        try:
            value, error = self._results.get()
        except BaseException as interrupt:
            self._on_interrupt(interrupt)
            # An import changes the folder and modules of the process, which must not happen after they were restored.
            with suppress(queue.Empty):
                self._results.get(timeout=_PATIENCE)
            raise
        if error is not None:
            raise error
        return value

    def _work(self) -> None:
        process = os.getpid()
        with running_under(self._clock):
            while (task := self._tasks.get()) is not None:
                function, arguments = task
                try:
                    answer: tuple[object, BaseException | None] = (function(*arguments), None)
                except BaseException as error:
                    answer = (None, error)
                if os.getpid() != process:
                    end_forked_child(answer[1])
                self._results.put(answer)
                del task, function, arguments, answer

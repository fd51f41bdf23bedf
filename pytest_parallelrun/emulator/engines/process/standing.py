"""Worker processes that stay up between attempts, for a bench and for a rehearsal."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, cast

from pytest_parallelrun.emulator.engines.process.engine import ProcessEngine
from pytest_parallelrun.emulator.worker.messages import CALL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_parallelrun.emulator.worker.messages import Message


class StandingProcesses(ProcessEngine):
    """The process engine with what questions about single workers need."""

    def is_up(self, slot: int) -> bool:
        """Whether there is a worker in the slot."""
        worker = self._crew.slots[slot]
        if worker is not None and worker.is_dead:
            self._died(worker)
            return False
        return worker is not None

    def ask(self, slot: int, function: Callable[..., object], *arguments: object) -> object:
        """What a function of a module gives in the process of a worker. RuntimeError where it fails there."""
        worker = self._crew.slots[slot]
        assert worker is not None
        worker.answer = None
        self._board.say(worker, CALL, function.__module__, function.__qualname__, pickle.dumps(arguments, 5))
        answered: Message | None = None
        while answered is None and self._crew.slots[slot] is worker:
            self._wait(None)
            answered = worker.answer
        if answered is None:
            raise RuntimeError(f"{function.__name__}() has ended the worker process: {self._last_end}")
        _, data, error = answered
        if error:
            raise RuntimeError(f"{function.__name__}() failed in the worker process: {error}")
        answer: object = pickle.loads(cast("bytes", data))
        return answer

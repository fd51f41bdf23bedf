"""Workers on a cluster that stay up between attempts, for a bench and for a rehearsal.

They are all on the node of this process: such questions are about one worker or two, and about the files that these
write and leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.engines.ray.engine import ARRIVAL, RayEngine

if TYPE_CHECKING:
    from collections.abc import Callable


class StandingActors(RayEngine):
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

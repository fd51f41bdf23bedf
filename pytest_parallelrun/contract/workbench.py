"""Where Hypothesis' mini-batches are run: one worker for hundreds of them, and a memory of what came of each."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_parallelrun.contract.trials import Trials
    from pytest_parallelrun.emulator.bench import Bench


class Workbench:
    """The bench of one generated test at a time; it is opened when it is first asked for."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self._stack = ExitStack()
        self._bench: Bench | None = None

    @property
    def bench(self) -> Bench:
        """The bench, with one worker that stays up."""
        if self._bench is None:
            self._bench = self._stack.enter_context(self.trials.entry.bench(timeout=self.trials.probe))
        return self._bench

    def close(self) -> None:
        """Ends the worker; the next test begins with a fresh one."""
        self._bench = None
        self._stack.close()

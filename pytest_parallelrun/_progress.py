"""A line on the terminal with the progress of a long job; nothing if the output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from pytest_parallelrun.emulator.events import in_hours

if TYPE_CHECKING:
    import pytest

    from pytest_parallelrun.emulator.events import Progress

AFTER = 5.0
"""Seconds before the line appears; most jobs are done by then."""
EVERY = 1.0
TERMINAL = "/dev/tty"
"""pytest captures stdout, and a script replaces it, so neither reaches the terminal."""
_BACK = "\r\x1b[K"


class ProgressLine:
    """Rewrites the line, not more often than anyone can read it."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        # Not `time`: a job in this process moves its clock.
        self._now = time.perf_counter
        self._due = self._now() + AFTER
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        now = self._now()
        if now < self._due:
            return
        self._due = now + EVERY
        # Movement shows that it is alive.
        since = "" if progress.processed else f" {in_hours(progress.elapsed)}"
        self._write(f"{_BACK}parallelrun: {progress}{since}")
        self._shown = True

    def clear(self) -> None:
        """Removes the line."""
        if self._shown:
            self._write(_BACK)

    def _write(self, text: str) -> None:
        with suppress(OSError):
            self._terminal.write(text)
            self._terminal.flush()


@contextmanager
def progress_line(config: pytest.Config) -> Iterator[Callable[[Progress], None] | None]:
    """The progress callback of a job; None if nobody sees it."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not reporter.isatty or hasattr(config, "workerinput"):
        yield None
        return
    try:
        terminal = open(TERMINAL, "w", encoding="utf-8", errors="replace")  # noqa: SIM115  # closed below
    except OSError:
        yield None
        return
    with terminal:
        line = ProgressLine(terminal)
        try:
            yield line
        finally:
            line.clear()

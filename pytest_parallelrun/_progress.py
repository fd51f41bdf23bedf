"""A line on the terminal that says how far a long job is; nothing where the output is no terminal."""

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
"""Seconds that a job runs before there is a line: most are done by then."""
EVERY = 1.0
TERMINAL = "/dev/tty"
"""pytest captures stdout, and a script has its own in place of it, so neither leads to the terminal."""
_BACK = "\r\x1b[K"


class ProgressLine:
    """Writes the line anew, as often as somebody may want to read it."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        # Not `time` itself: a job in this process moves its clock on.
        self._now = time.perf_counter
        self._due = self._now() + AFTER
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        now = self._now()
        if now < self._due:
            return
        self._due = now + EVERY
        # What moves shows that it goes on.
        since = "" if progress.processed else f" {in_hours(progress.elapsed)}"
        self._write(f"{_BACK}parallelrun: {progress}{since}")
        self._shown = True

    def clear(self) -> None:
        """Takes the line away."""
        if self._shown:
            self._write(_BACK)

    def _write(self, text: str) -> None:
        with suppress(OSError):
            self._terminal.write(text)
            self._terminal.flush()


@contextmanager
def progress_line(config: pytest.Config) -> Iterator[Callable[[Progress], None] | None]:
    """What a job tells how far it is, None where nobody looks."""
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

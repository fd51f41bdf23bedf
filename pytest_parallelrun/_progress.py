"""What a long gate says while it runs: how long it will take, and on a terminal the progress of its job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from pytest_parallelrun.emulator.events import in_hours

if TYPE_CHECKING:
    import pytest

    from pytest_parallelrun.contract.entry.baseline import Baseline
    from pytest_parallelrun.emulator.events import Progress

AFTER = 5.0
"""Seconds before the line appears; most jobs are done by then."""
EVERY = 1.0
WORTH_SAYING = 10.0
"""Seconds that a gate must take to say so at its start."""
INIT_CALLS, FIXED_CALLS, CALLS_PER_EXAMPLE = 8, 100, 6
"""Of a gate without findings: calls of init(), calls of run(), and those for each example of Hypothesis."""
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
        if self._shown:
            self._write(_BACK)

    def _write(self, text: str) -> None:
        with suppress(OSError):
            self._terminal.write(text)
            self._terminal.flush()


def seconds_expected(baseline: Baseline) -> float:
    """The rest of a gate after the run of its sample, as far as run() and init() decide; 0 if run() never returned."""
    from pytest_parallelrun.contract.bounds import MAX_GENERATED_SECONDS
    from pytest_parallelrun.contract.generation.examples import settings_of_examples

    job = baseline.result
    if not baseline.last_returned:
        return 0.0
    run = max(0.0, baseline.seconds - job.seconds_to_start) / len(job.attempts)
    item = run * len(job.attempts) / max(job.total_items, 1)
    init = min(job.seconds_to_start, baseline.seconds) / max(job.init_calls, 1)
    calls = FIXED_CALLS + CALLS_PER_EXAMPLE * settings_of_examples().max_examples
    return (INIT_CALLS - 1) * init + calls * min(run, max(item, MAX_GENERATED_SECONDS))


def announce(config: pytest.Config, baseline: Baseline) -> None:
    reporter, capture = (config.pluginmanager.get_plugin(name) for name in ("terminalreporter", "capturemanager"))
    seconds = seconds_expected(baseline)
    if seconds < WORTH_SAYING or reporter is None or capture is None or hasattr(config, "workerinput"):
        return
    if config.get_verbosity() >= 0 and not config.option.keyword:
        calls = f"init() takes {baseline.result.seconds_to_start / max(baseline.result.init_calls, 1):.1f} s"
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"parallelrun: the checks will take about {seconds:.0f} s ({calls})")


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

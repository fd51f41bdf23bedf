"""What a script left behind: threads and processes that run, files that are open."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.emulator.worker.process_resources import close_files_left, files_left, open_descriptors

if TYPE_CHECKING:
    from pytest_parallelrun.emulator.worker_plan import WorkerPlan

_MAX_NAMED = 5


class Leftovers:
    """Those of a job in this process, which had threads and files before."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._threads = set(threading.enumerate())
        self._open = open_descriptors()
        self._left: list[str] = []
        self.processes: Sequence[str] = ()
        """Names of those that were killed."""

    def look(self) -> None:
        """Remembers the files that are open while the script is there, whose modules hold them."""
        logs, appended = self._plan.log_folder, self._plan.appended
        left = files_left(self._open, {None if appended is None else str(appended)})
        self._left = [path for path in left if not Path(path).is_relative_to(logs)]

    def close(self, processes: Sequence[str]) -> None:
        """Closes what is still open after the script is gone. processes: names of those that were killed."""
        self.processes = processes
        for thread in self._left_running():
            # Its folders are gone, so its errors say nothing of the script, and pytest would warn of each.
            thread._invoke_excepthook = lambda thread: None  # type: ignore[attr-defined]
        if self.processes or open_descriptors() - self._open:
            close_files_left()

    def notes(self) -> Iterator[str]:
        """A line each, of processes, of threads and of files."""
        if self.processes:
            yield left_processes(self.processes)
        left = self._left_running()
        if left:
            yield left_running([thread.name for thread in left])
        if self._left:
            yield left_open(self._left)

    def _left_running(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in self._threads]


def left_running(threads: Sequence[str]) -> str:
    """What is said of threads that a script left, by their names."""
    return f"the script left {count_text(len(threads), 'thread')} running: {', '.join(threads[:_MAX_NAMED])}"


def left_processes(names: Sequence[str]) -> str:
    """What is said of processes that a script left, by their names."""
    number = "1 process" if len(names) == 1 else f"{len(names)} processes"
    return f"the script left {number} running, killed at the end of the job: {', '.join(names[:_MAX_NAMED])}"


def left_open(files: Sequence[str]) -> str:
    """What is said of files that a script left open, by their paths."""
    return f"the script left {count_text(len(files), 'file')} open: {', '.join(files[:_MAX_NAMED])}"

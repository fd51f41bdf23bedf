"""What a script left behind: threads and processes that run, files that are open."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_parallelrun.emulator.splitting.model import count_text
from pytest_parallelrun.emulator.worker.process_resources import close_files_left, files_left, open_descriptors
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
        if self.processes or open_descriptors() - self._open:
            close_files_left()

    def notes(self) -> Iterator[str]:
        """A line each, of processes, of threads and of files."""
        left = [thread.name for thread in threading.enumerate() if thread not in self._threads]
        return left_behind(processes=self.processes, threads=left, files=self._left)


def left_behind(
    *, processes: Sequence[str] = (), threads: Sequence[str] = (), files: Sequence[str] = ()
) -> Iterator[str]:
    """A line each of what a script left, by the names of these."""
    for names, noun, state in (
        (processes, "process", "running, killed at the end of the job"),
        (threads, "thread", "running"),
        (files, "file", "open"),
    ):
        if names:
            yield f"the script left {count_text(len(names), noun)} {state}: {', '.join(names[:_MAX_NAMED])}"

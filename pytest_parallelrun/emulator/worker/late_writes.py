"""Files that threads of a script write after run() has returned: nobody waits for them, or sees their errors.

While run() works, what its threads are about to write is held up for a moment. A run() that waits for them takes a
little longer, and any other one returns meanwhile: the answer does not depend on the speed of the machine.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import AbstractContextManager
from time import perf_counter
from types import FrameType

from pytest_parallelrun.emulator.worker.file_watch import FilesTouched, files_watched

HELD_UP = 0.05
"""Seconds."""
MOST_HELD_UP = 20
"""Writes; a script may have thousands."""
PAUSE = 0.01
SCRIPT_THREAD = "parallelrun-script"
"""The thread that calls run() with the setting thread="worker"."""
_LIBRARY = os.path.dirname(os.__file__)
_WAITING = frozenset(
    {"connection.py", "pool.py", "queue.py", "queues.py", "selectors.py", "socket.py", "thread.py", "threading.py"}
)
"""Modules of the standard library in which a thread waits for work, for others, or for its end."""

Process = tuple[int, frozenset[int]]
"""A process, and its threads."""


def this_process() -> Process:
    """This one, whose current threads are no threads of a script."""
    return os.getpid(), frozenset(sys._current_frames())


class _LateWrites(FilesTouched):
    """What threads write after `end`."""

    def __init__(self, known: Process) -> None:
        super().__init__()
        self.writers: dict[str, int] = {}
        """Path -> thread."""
        self.is_over = threading.Event()
        process, threads = known
        self._others = {*(threads if process == os.getpid() else ()), threading.main_thread().ident}
        self._others.update(thread.ident for thread in threading.enumerate() if thread.name == SCRIPT_THREAD)
        self._held: set[int] = set()
        self._left = MOST_HELD_UP

    def add(self, event: str, arguments: tuple[object, ...]) -> None:  # pragma: no cover - audit hooks are not traced
        me = threading.get_ident()
        if event.startswith("tempfile."):
            super().add(event, arguments)
        elif me not in self._others:
            touched = FilesTouched()
            touched.add(event, arguments)
            if touched.written and self._left > 0 and not self.is_over.is_set():
                self._left -= 1
                self._held.add(me)
                self.is_over.wait(HELD_UP)
            if self.is_over.is_set():
                super().add(event, arguments)
            self._held.discard(me)

    def _note(self, kind: dict[str, None], path: str | None) -> None:  # pragma: no cover - audit hooks are not traced
        super()._note(kind, path)
        if kind is self.written and path in kind:
            self.writers[path] = threading.get_ident()

    def running(self) -> set[int | None]:
        """Threads of the script that have not ended."""
        return {thread.ident for thread in threading.enumerate()} - self._others

    def at_work(self) -> set[int]:
        """Those that do not wait."""
        frames, running = sys._current_frames(), self.running()
        return {id for id, frame in frames.items() if id in running and (id in self._held or not _waits(frame))}


def _waits(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(_LIBRARY) and os.path.basename(file) in _WAITING


_watch: _LateWrites | None = None
_watching: AbstractContextManager[None] | None = None


def watch_threads(known: Process) -> None:
    """Watches threads from now on, before a call of run(). known: see `this_process`."""
    global _watch, _watching
    late_writes(0.0)
    _watch = _LateWrites(known)
    _watching = files_watched(_watch)
    _watching.__enter__()


def late_writes(patience: float) -> tuple[float, list[tuple[str, bool]]]:
    """What threads write after run() has returned: paths, and whether their thread is done.

    patience: seconds for threads at work. The first value is how long they took.
    """
    global _watch, _watching
    if _watch is None or _watching is None:
        return 0.0, []
    watch, began, quiet = _watch, perf_counter(), 0
    watch.is_over.set()
    # Between two tasks a thread looks as if it had none, so look twice.
    while quiet < 2 and watch.running() and perf_counter() - began < patience:
        # Not time.sleep(), which does not sleep here.
        threading.Event().wait(PAUSE)
        quiet = 0 if watch.at_work() else quiet + 1
    _watching.__exit__(None, None, None)
    _watch = _watching = None
    at_work = watch.at_work()
    return perf_counter() - began, [(path, thread not in at_work) for path, thread in watch.writers.items()]

"""What a worker process has around the script: the life of its parent, its output file, and what is left in the end."""

from __future__ import annotations

import os
import sys

from pytest_parallelrun.emulator.folders import is_device


class WorkerOutputFile:
    """The file in the output folder that this worker alone appends to; made, or gone on with, by the first write."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._number: int | None = None
        self._size = 0

    def write(self, data: bytes) -> tuple[str, int, int]:
        """Path, offset and length of what was written; OSError where it could not be."""
        if self._number is None:
            # A script may have cleared the folder before it began.
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self._number = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            # Of one before it, to which the system gave the same number.
            self._size = os.fstat(self._number).st_size
        elif not os.path.exists(self.path):
            raise FileNotFoundError(2, "the file is gone", self.path)
        offset = self._size
        done = 0
        while done < len(data):
            count = os.write(self._number, data[done:])
            done += count
            # What a full disk took of it is skipped by the next one.
            self._size += count
        return self.path, offset, len(data)


def die_with_parent(lifeline: int) -> None:  # pragma: no cover - in worker processes
    """Has the system kill the processes of this worker when the one that started it is gone, in whatever way."""
    import fcntl

    if hasattr(fcntl, "F_SETSIG"):
        # The end of a pipe is an event like input; nothing is ever written to this one.
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, 9)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
        try:
            if not os.read(lifeline, 1):
                os._exit(0)
        except BlockingIOError:
            return
    import _thread

    _thread.start_new_thread(_kill_at_end, (lifeline,))


def _kill_at_end(lifeline: int) -> None:  # pragma: no cover - in worker processes
    os.read(lifeline, 1)
    os.killpg(0, 9)


def report_fork(path: str | os.PathLike[str]) -> None:
    """Writes the number of this process, a forked child: it may leave its parent, its folder and its environment."""
    try:
        with open(path, "ab", 0) as file:
            file.write(b"%d\n" % os.getpid())
    except OSError:  # pragma: no cover - the job is over, or no file can be opened
        return


def trace_crashes() -> None:
    import faulthandler

    try:
        faulthandler.enable()
    except (OSError, RuntimeError, ValueError):  # stderr is closed
        return


def open_files() -> set[str]:
    """Paths of the regular files that this process has open; empty where the system does not tell."""
    paths: set[str] = set()
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return paths
    for number in numbers:
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if path.startswith("/") and not is_device(path) and os.path.isfile(path):
            paths.add(path)
    return paths


def flush_files(paths: list[str]) -> None:
    """Has file objects of Python write what they hold back, where one of these files is open."""
    known = open_files()
    if known and not known.intersection(paths):
        return
    import gc
    import io

    for thing in gc.get_objects():
        # Not isinstance(): an object of the script may answer in a way of its own.
        if issubclass(type(thing), (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)):
            try:
                thing.flush()
            except (OSError, ValueError):
                # Closed, or not to be written.
                continue


def files_left(before: set[str], excluded: set[str | None]) -> list[str]:
    """Files that are open beside those that were open before, but for those of logging and the emulator's own."""
    handlers = (reference() for reference in getattr(sys.modules.get("logging"), "_handlerList", ()))
    logged = {getattr(handler, "baseFilename", None) for handler in handlers}
    return sorted(open_files() - before - logged - excluded)


def close_files_left() -> None:
    """Lets go of files that scripts left open, now: later the host would be warned of them, in a test of another."""
    import gc
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def threads_left() -> list[str]:
    threading = sys.modules.get("threading")
    if threading is None:
        return []
    excluded = (threading.current_thread(), threading.main_thread())
    return [str(thread.name) for thread in threading.enumerate() if thread not in excluded]


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            continue

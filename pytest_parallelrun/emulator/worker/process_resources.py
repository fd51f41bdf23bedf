"""Resources of a worker process besides the script: its name, the life of its parent, its output file, and what is
left at the end.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


class WorkerOutputFile:
    """The worker's own file in the output folder, created, or continued, by the first write."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._number: int | None = None
        self._size = 0

    def write(self, data: bytes) -> tuple[str, int, int]:
        """Path, offset and length of what was written; OSError if it failed."""
        if self._number is None:
            # A script may have cleared the folder before it began.
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self._number = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            # Of an earlier worker with the same process id.
            self._size = os.fstat(self._number).st_size
        elif not os.path.exists(self.path):
            raise FileNotFoundError(2, "the file is gone", self.path)
        offset = self._size
        done = 0
        while done < len(data):
            count = os.write(self._number, data[done:])
            done += count
            # The next write skips what a full disk accepted of this one.
            self._size += count
        return self.path, offset, len(data)


def is_device(path: str) -> bool:
    """Whether it is a device or a system file without content of its own."""
    # A normal folder in memory: TMPDIR may be there.
    return path.startswith(("/dev/", "/proc/", "/sys/")) and not path.startswith("/dev/shm/")


def die_with_parent(lifeline: int) -> None:  # pragma: no cover - in worker processes
    """Makes the system kill the processes of this worker when its parent is gone, for whatever reason."""
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


def open_descriptors() -> set[str]:
    """What this process has open: paths, and names such as `socket:[4711]`; empty if unknown."""
    open_now: set[str] = set()
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return open_now
    for number in numbers:
        # The listing itself is closed by now.
        with suppress(OSError):
            open_now.add(os.readlink(f"/proc/self/fd/{number}"))
    return open_now


def open_files() -> set[str]:
    """Paths of the regular files that this process has open; empty if unknown."""
    return {
        path for path in open_descriptors() if path.startswith("/") and not is_device(path) and os.path.isfile(path)
    }


def flush_files(paths: list[str]) -> None:
    """Has file objects of Python write what they hold back, where one of these files is open."""
    known = open_files()
    if known and not known.intersection(paths):
        return
    import gc
    import io

    for thing in gc.get_objects():
        # Not isinstance(): an object of the script may answer differently.
        if issubclass(type(thing), (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)):
            try:
                thing.flush()
            except (OSError, ValueError):
                # Closed, or not to be written.
                continue


def files_left(before: set[str], excluded: set[str | None]) -> list[str]:
    """Open files that were not open before, except those of logging and the emulator."""
    handlers = (reference() for reference in getattr(sys.modules.get("logging"), "_handlerList", ()))
    logged = {getattr(handler, "baseFilename", None) for handler in handlers}
    return sorted(open_files() - before - logged - excluded)


def close_files_left() -> None:
    """Closes files that scripts left open, now: later the host would get a warning, in another test."""
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


MAIN_PROCESS = "MainProcess"
"""multiprocessing's own name for a process that it did not start."""
_MODULE = "multiprocessing.process"


def process_name() -> str | None:
    """The name of this process, None if multiprocessing is not loaded."""
    module = sys.modules.get(_MODULE)
    name: str | None = None if module is None else module.current_process().name
    return name


def name_process(name: str) -> None:
    """Names this process, if multiprocessing is loaded."""
    module = sys.modules.get(_MODULE)
    if module is not None:
        module.current_process().name = name


class ProcessNamer:
    """A finder that names the process as soon as multiprocessing is imported, which takes as long as an interpreter.

    Source of the name processNNN: a runtime of Microsoft that reads it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != _MODULE:
            return None
        from importlib.machinery import PathFinder

        spec: Any = PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_and_name(module: ModuleType) -> None:
            load(module)
            module.current_process().name = self._name

        spec.loader.exec_module = load_and_name
        return spec

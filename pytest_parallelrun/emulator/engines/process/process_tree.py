"""Ends a worker process and its descendants, and says how it ended and how much memory it uses."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

MARK = "PARALLELRUN_WORKER"
"""An environment variable that differs in each worker, so that a process shows to which one it belongs."""
_ROUNDS = 20
"""Passes over all processes, for one that keeps starting others."""


class Traces(NamedTuple):
    """How a process started by a worker is recognised, even after the end of the worker.

    mark: the value of MARK. folder: the working folder. since: when the worker started, in ticks of the system.
    """

    mark: str
    folder: Path
    since: int


def kill_all(leader: int, traces: Traces) -> None:
    """Kills a worker, its process group, and descendants that left the group, whether the worker lives or not.

    The leader must not have been waited for: until then its number belongs to no other group. Children of a dead worker
    have no parent; they are recognised by the inherited variable, or by their working folder (Linux).
    """
    # Before the leader is killed, because afterwards they are no descendants.
    strays = {pid for pid in _descendants(leader) if _group_of(pid) != leader}
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    killed = {leader}
    for _ in range(_ROUNDS):
        _kill(strays)
        killed |= strays
        strays = {pid for orphan in _left_by(traces) for pid in (orphan, *_descendants(orphan))} - killed
        if not strays:
            return
    _kill(strays)


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _left_by(traces: Traces) -> Iterator[int]:
    """Processes of a worker, whoever their parents are."""
    mark = f"{MARK}={traces.mark}".encode()
    for name in _listed("/proc"):
        if not name.isdecimal() or started_at(int(name)) < traces.since:
            continue
        with suppress(OSError):
            folder = os.readlink(f"/proc/{name}/cwd").removesuffix(" (deleted)")
            marked = mark in _read(f"/proc/{name}/environ").split(b"\0")
            if marked or Path(folder).is_relative_to(traces.folder):
                yield int(name)


def started_at(pid: int) -> int:
    """When a process started, in ticks of the system; -1 if it is gone, or unknown."""
    try:
        # The third field follows the name of the program, which may contain anything; this is the 22nd.
        return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
    except OSError:
        return -1


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process and its ended children; 0 if unknown."""
    try:
        # The fields 14 to 17.
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[11:15]
    except OSError:
        return 0.0
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")


def memory_taken(leader: int, limit: int) -> int:
    """Resident memory of a worker and its descendants, in bytes; 0 if unknown.

    Above the limit it is measured exactly: shared pages count once, if the system shows them.
    """
    pids = (leader, *_descendants(leader))
    taken = sum(map(_resident, pids))
    return taken if taken <= limit else sum(map(_share, pids))


def can_tell_memory() -> bool:
    """Whether this system shows the memory of a process."""
    return _resident(os.getpid()) > 0


def how_it_ended(status: int | None) -> str:
    """As text; status: the return code of subprocess, negative for a signal; None if it has not ended."""
    if status is None:
        return "the worker process was killed and does not end: it waits for the system, such as for a dead disk"
    if status >= 0:
        return f"the worker process ended itself with exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = {
        "SIGKILL": ", as the system does when memory runs out",
        "SIGSEGV": ", a segmentation fault of native code",
        "SIGABRT": ", an abort of native code",
    }.get(name, "")
    return f"the worker process was killed by {name}{hint}"


def _descendants(pid: int) -> Iterator[int]:
    """Children, their children and so on, as far as the system shows them (Linux)."""
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    children: list[int] = []
    for task in _listed(f"/proc/{pid}/task"):
        with suppress(OSError):
            children += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    return children


def _read(path: str) -> bytes:
    """Reads a file of the system, without the layers of open(), because there may be thousands."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(number, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(number)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


def _resident(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE
    except OSError:
        return 0


def _share(pid: int) -> int:
    """Resident memory, with its share of shared pages."""
    try:
        rollup = _read(f"/proc/{pid}/smaps_rollup")
        # A line of kilobytes.
        return int(rollup.partition(b"\nPss:")[2].split(maxsplit=1)[0]) * 1024
    except (OSError, IndexError):
        # An old kernel, or a process of another user.
        return _resident(pid)

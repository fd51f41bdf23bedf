"""Ends a worker process and all that it started, and says how it ended and how much memory it takes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def kill_group(leader: int) -> None:
    """Kills the process group of a worker, and those of its descendants that have left it.

    The leader must not have been waited for: as long as it is not, its number belongs to no other group.
    """
    strays = [pid for pid in _descendants(leader) if _group_of(pid) != leader]
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for pid in strays:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def resident_bytes(leader: int) -> int:
    """Resident memory of a worker and of its descendants, in bytes; 0 where the system does not tell."""
    return sum(_resident(pid) for pid in (leader, *_descendants(leader)))


def can_tell_memory() -> bool:
    """Whether this system tells how much memory a process takes."""
    return _resident(os.getpid()) > 0


def how_it_ended(status: int) -> str:
    """In words; status: the return code of subprocess, negative for a signal."""
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
    """Children, their children and so on, as far as the system tells (Linux)."""
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text("ascii").split())
    except OSError:
        return found
    return found


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE
    except OSError:
        return 0

"""Processes that a script started: how they are found and ended; what a worker takes, and how it ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from pytest_parallelrun.emulator.clock import real_monotonic, real_sleep

MARK = "PARALLELRUN_WORKER"
"""An environment variable that is different in each worker, so that a process tells whose it is."""
_ROUNDS = 20
"""Looks at all processes, for one that starts another whenever it is about to be killed."""
_LAST_WAIT = 5.0
"""Seconds until what was killed must be gone."""
_OF_PYTHON = ("resource_tracker import main", "loky.backend")
"""In the command line of what Python and joblib keep for the life of the process that asked for it."""


class Traces(NamedTuple):
    """By what a process is known that a worker started, also after the end of the worker.

    mark: the value of MARK. folder: the one that the worker works in. since: when the worker started, in the time of
    the system. forked: a file in which forked children write their numbers, see `report_fork`.
    """

    mark: str
    folder: Path
    since: float
    forked: Path


def kill_all(leader: int, traces: Traces, started: Iterable[psutil.Process] = ()) -> list[str]:
    """Kills a worker, its process group, and what it started that has left the group, whether the worker lives or not.

    The leader must not have been waited for: as long as it is not, its number belongs to no other group. A child of a
    worker that has died is nobody's child any more. Such are known by the variable that they have inherited, or by the
    folder that they are in. started: what it is known to have started. The names of what was running beside the worker.
    """
    # Before the leader is killed, since afterwards they are no descendants any more.
    left = {process for process in (*started, *descendants(leader), *left_by(traces)) if process.pid != leader}
    names = names_of(left)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    kill(left, traces, sparing=leader)
    return names


def kill(strays: set[psutil.Process], traces: Traces, *, sparing: int = 0) -> None:
    """Kills processes, and what else the traces tell of that they start meanwhile.

    sparing: pid of a process that the caller waits for itself, to learn how it ended.
    """
    killed: set[psutil.Process] = set()
    for _ in range(_ROUNDS):
        for process in strays:
            with suppress(psutil.Error):
                process.kill()
        killed |= strays
        found = {process for orphan in left_by(traces) for process in (orphan, *descendants(orphan.pid))} - killed
        # A worker that was killed a moment ago bears the marks of its script until it is gone.
        strays = {process for process in found if process.pid != sparing}
        if not strays:
            break
    until = real_monotonic() + _LAST_WAIT
    while any(map(_is_running, killed)) and real_monotonic() < until:
        real_sleep(0.002)
    for process in killed:
        # Of our own children nothing stays.
        with suppress(psutil.Error):
            process.wait(0)


def left_by(traces: Traces) -> Iterator[psutil.Process]:
    """Processes of a worker, whoever their parents are."""
    forked: set[int] = set()
    with suppress(OSError):
        forked.update(map(int, traces.forked.read_text("ascii").split()))
    for pid in psutil.pids():
        with suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            # Not one of before, nor a later one that was given the same number.
            if process.create_time() >= traces.since and (pid in forked or _is_marked(process, traces)):
                yield process


def _is_marked(process: psutil.Process, traces: Traces) -> bool:
    folder = Path(process.cwd().removesuffix(" (deleted)"))
    return folder.is_relative_to(traces.folder) or process.environ().get(MARK) == traces.mark


def descendants(pid: int) -> list[psutil.Process]:
    """Children, their children and so on."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def names_of(processes: Iterable[psutil.Process]) -> list[str]:
    """Names of those that are running, but for what Python itself starts."""
    names = []
    for process in processes:
        with suppress(psutil.Error):
            if _is_running(process) and not is_of_python(process):
                names.append(process.name())
    return sorted(names)


def _is_running(process: psutil.Process) -> bool:
    try:
        # Of one that has ended and whose parent does not care, something stays.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_of_python(process: psutil.Process) -> bool:
    """Whether it is a resource tracker or one of the pool of joblib, which outlive their users on purpose."""
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return any(text in command for text in _OF_PYTHON)


def started_at(pid: int) -> float:
    """When a process started, in the time of the system; -1 where it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return -1.0


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process and its ended children have used; 0 where it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    except psutil.Error:
        return 0.0


def memory_taken(leader: int, limit: int) -> int:
    """Resident memory of a worker and of its descendants, in bytes; 0 where it is gone.

    Above the limit it is looked at closely: pages that several of them share count once, as far as the system tells.
    """
    try:
        processes = [psutil.Process(leader), *descendants(leader)]
    except psutil.Error:
        return 0
    taken = sum(map(_resident, processes))
    return taken if taken <= limit else sum(map(_share, processes))


def how_it_ended(status: int | None) -> str:
    """In words; status: the return code of subprocess, negative for a signal; None where it has not ended."""
    if status is None:
        return (
            "the worker process did not exit after SIGKILL: it is blocked in the kernel, for example on a dead disk or "
            "network mount"
        )
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


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _share(process: psutil.Process) -> int:
    """Resident memory with its share of the pages that it has in common with others."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, OSError, AttributeError):
        # A process of another user, or a system that does not tell (macOS).
        return _resident(process)

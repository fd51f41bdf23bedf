"""The clock of an emulated worker: real time plus skipped sleep.

Sleeping teaches a test nothing, so `time.sleep` returns at once and the clock jumps ahead; a sleep beyond the limit of
the attempt ends the attempt at once. A loop that polls the clock still ends, because the clock moves. Sleeping is real
if something else could make progress meanwhile, because skipping would turn a patient wait into a timeout: next to a
thread or child process of the script, and in a loop that never looks at the clock, because it waits for a file, a
service, or a clock that is not patched (datetime.now()).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import TypeVar

import psutil

from pytest_parallelrun.emulator.worker.file_watch import unwatched

Number = TypeVar("Number", int, float)

real_sleep = time.sleep
real_time = time.time
real_monotonic = time.monotonic
real_perf_counter = time.perf_counter

BLIND_SLEEPS = 20
"""Consecutive sleeps in one call of the script that are skipped although it does not look at the clock."""

WAITING = 0.05
"""Maximum share of processor time of an attempt that waits for a socket, a lock or a sleep."""


def probe_time_left(limit: float, passed: float, used: float) -> float:
    """Seconds left for a generated attempt after `passed` seconds, `used` of them on the processor.

    On a busy machine an attempt is slow but does not hang: while it works, its limit is in processor time, up to 1 /
    WAITING times as long. An attempt that waits has its limit in real time.
    """
    if passed < limit:
        return limit - passed
    return 0.0 if used < WAITING * passed else max(limit - used, 0.0)


class AttemptTimeout(BaseException):
    """Interrupts the script when its time is up.

    A BaseException, so that `except Exception` in a script does not catch it.
    """


class WorkerClock:
    """Time as the script sees it, in seconds, and the deadline of its current call.

    Without `skipping`, every sleep is real and the clock is real time.
    """

    def __init__(self, *, skipping: bool = True) -> None:
        self.skipped = 0.0
        self.deadline: float | None = None
        self.on_skip: Callable[[], None] | None = None
        self.slept_ahead = 0.0
        """Seconds of sleep that were skipped in the current call of the script."""
        self.blind_sleeps = 0
        """Sleeps skipped in the current call since the script last looked at the clock."""
        self.skipping = skipping
        self.probe_limit: float | None = None
        """Seconds for a call, see `probe_time_left`, in addition to its deadline on the script's clock, if any."""
        self._began = 0.0
        self._used_before = 0.0
        # Thread objects: numbers of threads are reused.
        self._known_threads = set(threading.enumerate())
        self._known_children = _child_processes()

    def now(self) -> float:
        """Seconds on the script's clock; only differences are meaningful."""
        return real_perf_counter() + self.skipped

    def begin(self, deadline: float) -> None:
        """Starts a call of the script with its deadline."""
        self.deadline = deadline
        self.slept_ahead = 0.0
        self.blind_sleeps = 0
        self._began = real_perf_counter()
        self._used_before = time.process_time()

    def remaining(self) -> float:
        """Seconds until the deadline of the current call, negative after it."""
        assert self.deadline is not None
        left = self.deadline - self.now()
        return left if self.probe_limit is None else min(left, probe_time_left(self.probe_limit, *self.spent()))

    def spent(self) -> tuple[float, float]:
        """Seconds of real time, and of processor time of this process, in the current call."""
        return real_perf_counter() - self._began, time.process_time() - self._used_before

    def sleep(self, seconds: float) -> None:
        if not 0 < seconds < threading.TIMEOUT_MAX:
            # Nothing to skip, or an error that `time` should report.
            real_sleep(seconds)
            return
        if self.deadline is not None and seconds >= (remaining := self.deadline - self.now()):
            # This sleep exceeds the limit, whatever else happens.
            self._skip(max(remaining, 0.0))
            raise AttemptTimeout
        if not self.skipping or self.blind_sleeps >= BLIND_SLEEPS or self._others_at_work():
            real_sleep(seconds)
            return
        self.blind_sleeps += 1
        self._skip(seconds)
        if self.on_skip is not None:
            self.on_skip()

    def _skip(self, seconds: float) -> None:
        self.skipped += seconds
        self.slept_ahead += seconds

    def pause(self, seconds: float) -> None:
        """A delay of the runtime's own, between two calls of the script."""
        if self.skipping:
            self.skipped += seconds
        else:
            real_sleep(seconds)

    def _others_at_work(self) -> bool:
        me = get_ident()
        if any(thread not in self._known_threads and thread.ident != me for thread in threading.enumerate()):
            return True
        children = _child_processes()
        return children is None or self._known_children is None or not children <= self._known_children


def _child_processes() -> frozenset[int] | None:
    """Ids of the child processes; None where they cannot be told."""
    try:
        if hasattr(os, "waitid"):
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        with unwatched():
            return frozenset(child.pid for child in psutil.Process().children())
    except ChildProcessError:
        return frozenset()
    except (OSError, psutil.Error):
        return None


# Which thread runs a script under which clock. It belongs to the process as the functions of `time` do:
# libraries that did `from time import sleep` during a job keep the functions below for good, and those must
# find the clock of a later job and fall through to real time when there is none.
_CLOCKS: dict[int, WorkerClock] = {}


def _sleep(seconds: float, /) -> None:
    clock = _CLOCKS.get(get_ident())
    if clock is None or not isinstance(seconds, (int, float)):
        real_sleep(seconds)
    else:
        clock.sleep(seconds)


def _shifted(real: Callable[[], Number], in_its_unit: Callable[[float], Number]) -> Callable[[], Number]:
    def reading() -> Number:
        clock = _CLOCKS.get(get_ident())
        if clock is None:
            return real()
        clock.blind_sleeps = 0
        return real() + in_its_unit(clock.skipped)

    return reading


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


_PATCHES: dict[str, Callable[..., object]] = {
    "sleep": _sleep,
    "time": _shifted(real_time, float),
    "monotonic": _shifted(real_monotonic, float),
    "perf_counter": _shifted(real_perf_counter, float),
    "time_ns": _shifted(time.time_ns, _nanoseconds),
    "monotonic_ns": _shifted(time.monotonic_ns, _nanoseconds),
    "perf_counter_ns": _shifted(time.perf_counter_ns, _nanoseconds),
}


@contextmanager
def patched_time() -> Iterator[None]:
    """Puts the functions above into the module `time`, and removes them."""
    before = {name: getattr(time, name) for name in _PATCHES}
    for name, patch in _PATCHES.items():
        setattr(time, name, patch)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(time, name, function)


@contextmanager
def running_under(clock: WorkerClock) -> Iterator[None]:
    """This thread runs a script under `clock`; a surrounding job gets its own clock back afterwards."""
    me = get_ident()
    before = _CLOCKS.get(me)
    _CLOCKS[me] = clock
    try:
        yield
    finally:
        if before is None:
            _CLOCKS.pop(me, None)
        else:
            _CLOCKS[me] = before


def detach(clock: WorkerClock) -> None:
    """Gives this thread real time while no worker is active; attach() undoes it."""
    if _CLOCKS.get(get_ident()) is clock:
        del _CLOCKS[get_ident()]


def attach(clock: WorkerClock) -> None:
    """Makes this thread run a script under `clock` again."""
    _CLOCKS[get_ident()] = clock

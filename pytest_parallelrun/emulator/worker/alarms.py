"""SIGALRM as a worker process would have it to itself, while the real timer and handler are the guard's.

A process has one real-time timer, and a script that sets an alarm of its own would switch off the limit of its
attempt and that of the test run. So what a script asks for is written down, and the guard sees that it happens.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.worker.process import WorkerExit

_REAL: dict[str, Callable[..., object]] = {
    name: getattr(signal, name)
    for name in ("signal", "getsignal", "alarm", "setitimer", "getitimer")
    if hasattr(signal, name)
}


class ScriptAlarm:
    """Handler and pending alarm of one worker; times are real seconds."""

    def __init__(self) -> None:
        self.handler: object = signal.SIG_DFL
        self.due: float | None = None
        """When it goes off, in time.monotonic(); None while no alarm is pending."""
        self._interval = 0.0

    def left(self) -> tuple[float, float]:
        """Seconds until it goes off, and its interval, as getitimer() has them; zeros while none is pending."""
        if self.due is None:
            return 0.0, 0.0
        return max(self.due - real_monotonic(), 1e-6), self._interval

    def set(self, seconds: float, interval: float = 0.0) -> None:
        """Goes off in `seconds`; zero cancels it."""
        self.due = real_monotonic() + seconds if seconds > 0 else None
        self._interval = interval

    def is_due(self) -> bool:
        return self.due is not None and real_monotonic() >= self.due

    def go_on(self) -> None:
        """It went off: what is pending is the next one of its interval, if it has any."""
        self.set(self._interval, self._interval)

    def deliver(self, signum: int, frame: FrameType | None) -> None:
        """Does what the script wants done: WorkerExit where its process would have died."""
        if callable(self.handler):
            self.handler(signum, frame)
        elif self.handler == signal.SIG_DFL:
            raise WorkerExit(
                "the worker process was killed by SIGALRM: an alarm of the script went off, and no handler was set"
            )


class AlarmOwner(Protocol):
    """Who holds the real timer and handler."""

    script_alarm: ScriptAlarm
    """Of the worker that is active."""
    process: int

    def rearm(self) -> None:
        """The alarm of the script has changed."""


# Functions that a library took out of `signal` during a job must work in a later job, and after all of them.
_OWNERS: list[AlarmOwner] = []


def _owner() -> AlarmOwner | None:
    # A child that the script forked has handlers and timers of its own.
    return _OWNERS[-1] if _OWNERS and _OWNERS[-1].process == os.getpid() else None


def _set_handler(signum: int, handler: object, /) -> object:
    owner = _owner()
    valid = callable(handler) or handler in (signal.SIG_DFL, signal.SIG_IGN)
    on_main = threading.current_thread() is threading.main_thread()
    if owner is None or signum != signal.SIGALRM or not valid or not on_main:
        # Also where it is an error, which is not ours to word.
        return _REAL["signal"](signum, handler)
    before, owner.script_alarm.handler = owner.script_alarm.handler, handler
    return before


def _get_handler(signum: int, /) -> object:
    owner = _owner()
    if owner is None or signum != signal.SIGALRM:
        return _REAL["getsignal"](signum)
    return owner.script_alarm.handler


def _set_alarm(seconds: int, /) -> object:
    owner = _owner()
    before = _REAL["alarm"](seconds)
    if owner is None:
        return before
    left = owner.script_alarm.left()[0]
    owner.script_alarm.set(seconds)
    owner.rearm()
    return max(round(left), 1) if left else 0


def _set_timer(which: int, seconds: float, interval: float = 0.0, /) -> object:
    owner = _owner()
    # Refuses what it refuses elsewhere; the time it is set to holds until rearm().
    before = _REAL["setitimer"](which, seconds, interval)
    if owner is None or which != signal.ITIMER_REAL:
        return before
    left = owner.script_alarm.left()
    owner.script_alarm.set(seconds, interval)
    owner.rearm()
    return left


def _get_timer(which: int, /) -> object:
    owner = _owner()
    if owner is None or which != signal.ITIMER_REAL:
        return _REAL["getitimer"](which)
    return owner.script_alarm.left()


_PATCHES: dict[str, Callable[..., object]] = {
    "signal": _set_handler,
    "getsignal": _get_handler,
    "alarm": _set_alarm,
    "setitimer": _set_timer,
    "getitimer": _get_timer,
}


@contextmanager
def patched_alarms(owner: AlarmOwner) -> Iterator[None]:
    """Puts the functions above into the module `signal`, for the owner, and takes them out again."""
    before = {name: getattr(signal, name) for name in _PATCHES}
    _OWNERS.append(owner)
    for name, patch in _PATCHES.items():
        setattr(signal, name, patch)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(signal, name, function)
        _OWNERS.remove(owner)


def real_signal(signum: int, handler: object) -> object:
    """signal.signal as the process has it, whoever runs in it."""
    return _REAL["signal"](signum, handler)

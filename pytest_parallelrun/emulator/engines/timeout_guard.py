"""Calls of the script in this process: how they are interrupted when their time is up, and the thread they run on.

A process has one real-time timer, and pytest-timeout has usually set it. During a job, the guard sets the earlier of
the two deadlines, calls the outer handler when that is due, and restores handler and remaining time. If a script cannot
be interrupted (another thread, Windows), the attempt is judged when it returns; `interrupts` says which applies.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import TypeVar

from pytest_parallelrun.emulator.clock import AttemptTimeout, WorkerClock, real_monotonic, running_under
from pytest_parallelrun.emulator.sandbox.process_exit import TERMINATIONS, end_forked_child
from pytest_parallelrun.emulator.worker.late_writes import SCRIPT_THREAD

_T = TypeVar("_T")

_ENGINE = (__name__, f"{__package__}.inprocess")
_AROUND_CALLS = ("_attempt", "_guarded_run", "_guarded", "_guarded_call", "begin", "end", "_arm", "__exit__")
REPEAT_AFTER = 1.0
"""Seconds until a script that swallowed the interrupt is interrupted again."""

LOST_AFTER = 0.05
"""Seconds until an alarm is repeated. On a busy machine another thread may have received it.

Python 3.11 then neither stops a loop that keeps the interpreter lock, nor wakes a main thread that waits.
"""

SAY_SO_AFTER = 3
"""Interrupts until the terminal says why nothing moves."""

SAY_SO = (
    b"parallelrun: the script swallows the interrupt of its timeout (a bare `except:` or `except BaseException`) "
    b"and cannot be stopped inside this process.\n"
)

# signal.getsignal creates an enum member, which costs more than the rest of the guard.
_signal = import_module("_signal")
_getsignal = _signal.getsignal

# Zero would switch the timer off.
_SOON = 0.001

_AFTER_OUTER = 0.01

# An untouched timer differs from its expected value by less than this many seconds.
_DRIFT = 0.05


class TimeoutGuard:
    """Limits each call of a script by `clock.deadline`, during one job."""

    def __init__(self, clock: WorkerClock, *, allowed: bool = True) -> None:
        self._clock = clock
        self.interrupts = (
            allowed and hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        )
        self.interruptions = 0
        """Interrupts of the current call; more than one means that the script swallowed the first."""
        self.suspended = False
        """Whether a debugger was at its prompt when the time of the current call was up."""
        self.outside: BaseException | None = None
        """An exception that a handler of the host raised into the script: Ctrl-C, or pytest-timeout.

        It is not the script's failure and ends the job, even if the script swallows it.
        """
        self._outer_due: float | None = None
        self._outer_interval = 0.0
        # Bound once: its identity shows whether the script has set another handler.
        self._alarm_handler = self._on_alarm
        self._interrupt_handler = self._on_interrupt

    def __enter__(self) -> TimeoutGuard:
        if not hasattr(signal, "setitimer"):
            return self
        remaining, self._outer_interval = _signal.getitimer(signal.ITIMER_REAL)
        if remaining:
            self._outer_due = real_monotonic() + remaining
        if not self.interrupts:
            return self
        self._alarms = signal.alarm, signal.setitimer
        signal.alarm, signal.setitimer = self._rearming(_signal.alarm), self._rearming(_signal.setitimer)
        self._outer_alarm = signal.signal(signal.SIGALRM, self._alarm_handler)
        interrupting = [signal.SIGINT, *(number for number in TERMINATIONS if callable(_getsignal(number)))]
        self._outer_interrupts = {number: signal.signal(number, self._interrupt_handler) for number in interrupting}
        self._clock.on_skip = self._arm
        self._arm()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.interrupts:
            self._clock.deadline = None
            self._clock.on_skip = None
            signal.alarm, signal.setitimer = self._alarms
            _set_timer(0)
            signal.signal(signal.SIGALRM, self._outer_alarm)
            for number, handler in self._outer_interrupts.items():
                signal.signal(number, handler)
            if self._outer_due is not None:
                _set_timer(max(self._outer_due - real_monotonic(), _SOON), self._outer_interval)
        elif hasattr(signal, "setitimer"):
            # Here the outer handler got its alarm itself, but a script may set one on any thread.
            expected = 0.0 if self._outer_due is None else max(self._outer_due - real_monotonic(), 0.0)
            if not self._outer_interval and abs(_time_left() - expected) > _DRIFT:
                _set_timer(expected, self._outer_interval)

    def begin(self, deadline: float) -> None:
        """Passes control to the script until `deadline` on its clock."""
        self._clock.begin(deadline)
        self.interruptions = 0
        self.suspended = False
        if not self.interrupts:
            return
        for number in self._outer_interrupts:
            if _getsignal(number) is not self._interrupt_handler:
                signal.signal(number, self._interrupt_handler)
        # Rearming costs a system call, so an alarm that is due earlier is left to find out that it has nothing
        # to do. Scripts set alarms of their own, and leave them; both are looked at first.
        if _getsignal(signal.SIGALRM) is not self._alarm_handler:
            signal.signal(signal.SIGALRM, self._alarm_handler)
            self._arm()
        elif not 0.0 < _time_left() <= self._clock.remaining():
            self._arm()

    def end(self) -> None:
        """The script returned control; later alarms are dropped."""
        self._clock.deadline = None

    def _arm(self, soonest: float = _SOON) -> None:
        now = real_monotonic()
        due = float("inf") if self._outer_due is None else self._outer_due
        if self._clock.deadline is not None:
            due = min(due, now + self._clock.remaining())
        _set_timer(0 if due == float("inf") else max(due - now, soonest))

    def _rearming(self, real: Callable[..., _T]) -> Callable[..., _T]:
        """signal.alarm or setitimer for the script: when it cancels its alarm, ours is set again."""

        def call(*arguments: float) -> _T:
            answer = real(*arguments)
            if self._clock.deadline is not None and not _time_left():
                self._arm()
            return answer

        return call

    def _on_alarm(self, signum: int, frame: FrameType | None) -> None:
        if self._outer_due is not None and real_monotonic() >= self._outer_due:
            self._outer_due = real_monotonic() + self._outer_interval if self._outer_interval else None
            try:
                self._call_outer(self._outer_alarm, signum, frame)
            finally:
                # Afterwards, not immediately: ours must not interrupt the handler or replace its exception.
                self._arm(soonest=_AFTER_OUTER)
        elif self._clock.deadline is not None and self._clock.remaining() <= 0:
            if _is_between_calls(frame):
                self._arm()
                return
            if _in_debugger(frame):
                # A debugger is active: time stops for the rest of the call.
                self.suspended = True
                self._clock.deadline = None
                return
            self._repeat()
            raise AttemptTimeout
        else:
            self._arm()

    def _repeat(self) -> None:
        self.interruptions += 1
        if self.interruptions == SAY_SO_AFTER:
            # Not through a stream: the alarm may have interrupted a write to it.
            with suppress(OSError):
                os.write(2, SAY_SO)
        left = REPEAT_AFTER if self._outer_due is None else min(REPEAT_AFTER, self._outer_due - real_monotonic())
        _set_timer(max(left, _SOON))

    def _on_interrupt(self, signum: int, frame: FrameType | None) -> None:
        self._call_outer(self._outer_interrupts[signum], signum, frame)

    def _call_outer(self, handler: object, signum: int, frame: FrameType | None) -> None:
        if not callable(handler):
            if handler == signal.SIG_DFL:
                signal.signal(signum, signal.SIG_DFL)
                signal.raise_signal(signum)
            return
        try:
            handler(signum, frame)
        except BaseException as error:
            self.blame_outside(error)
            raise

    def blame_outside(self, error: BaseException) -> None:
        """Remembers an exception that came from the host, not from the script."""
        self.outside = error


def _set_timer(seconds: float, interval: float = LOST_AFTER) -> None:
    _signal.setitimer(signal.ITIMER_REAL, seconds, interval)


def _time_left() -> float:
    left: float = _signal.getitimer(signal.ITIMER_REAL)[0]
    return left


def _is_between_calls(frame: FrameType | None) -> bool:
    """Whether the alarm arrived in the engine, coverage or Hypothesis, where an exception would do damage.

    The call is starting or ending, or the interpreter interrupted it, such as for a callback of the garbage collector,
    which swallows exceptions. A moment later it is in the script, or there is no limit.
    """
    name = "" if frame is None else frame.f_globals.get("__name__", "")
    function = "" if frame is None else frame.f_code.co_name
    return name.startswith(("coverage.", "hypothesis.")) or (name in _ENGINE and function in _AROUND_CALLS)


def _in_debugger(frame: FrameType | None) -> bool:
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name in ("bdb", "pdb") or "pydevd" in name:
            return True
        frame = frame.f_back
    return False


_PATIENCE = 1.0
"""Seconds for an abandoned call to end."""
_Task = tuple[Callable[..., object], tuple[object, ...]]


class ScriptThread:
    """Calls functions on one thread, as the service was seen to do (setting thread="worker"); the caller waits.

    on_interrupt: called with exceptions raised in the waiting thread, which the script did not cause.
    """

    def __init__(self, clock: WorkerClock, on_interrupt: Callable[[BaseException], None]) -> None:
        self._clock = clock
        self._on_interrupt = on_interrupt
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[object, BaseException | None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=SCRIPT_THREAD, daemon=True)

    def __enter__(self) -> ScriptThread:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._tasks.put(None)
        # A script that hangs keeps its thread; it is a daemon and ends with the process.
        self._thread.join(timeout=_PATIENCE)

    def call(self, function: Callable[..., object], *arguments: object) -> object:
        """Returns or raises what the function does on its thread."""
        self._tasks.put((function, arguments))
        try:
            value, error = self._results.get()
        except BaseException as interrupt:
            self._on_interrupt(interrupt)
            # An import changes the folder and modules of the process, which must not happen after they were restored.
            with suppress(queue.Empty):
                self._results.get(timeout=_PATIENCE)
            raise
        if error is not None:
            raise error
        return value

    def _work(self) -> None:
        process = os.getpid()
        with running_under(self._clock):
            while (task := self._tasks.get()) is not None:
                function, arguments = task
                try:
                    answer: tuple[object, BaseException | None] = (function(*arguments), None)
                except BaseException as error:
                    answer = (None, error)
                if os.getpid() != process:
                    end_forked_child(answer[1])
                self._results.put(answer)
                del task, function, arguments, answer

"""The guard alone, with real timers of a few hundredths of a second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, SimpleNamespace

import pytest

from pytest_parallelrun.emulator.clock import AttemptTimeout, WorkerClock, real_monotonic
from pytest_parallelrun.emulator.engines import timeout_guard as guard_module
from pytest_parallelrun.emulator.engines.timeout_guard import TimeoutGuard

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")


class OuterLimit(BaseException):
    """What the handler of the test run raises, as pytest-timeout's does."""


@pytest.fixture(autouse=True)
def outer() -> Iterator[list[float]]:
    """Times at which the alarm of the test run came; its own timer and handlers are put aside meanwhile."""
    calls: list[float] = []

    def handler(signum: int, frame: FrameType | None) -> None:
        calls.append(real_monotonic())
        raise OuterLimit

    alarm = signal.signal(signal.SIGALRM, handler)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    yield calls
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGINT, interrupt)
    signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.fixture
def clock() -> WorkerClock:
    return WorkerClock()


def _spin(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Works without any call that blocks; the limit only keeps a failing test from hanging."""
    end = real_monotonic() + seconds
    while real_monotonic() < end and not until():
        pass


def _begin_and_spin(guard: TimeoutGuard, deadline: float) -> None:
    guard.begin(deadline)
    _spin(5)


def _leave_and_spin(guard: TimeoutGuard) -> None:
    guard.__exit__()
    _spin(5)


def _press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    _spin(5)


def _left() -> float:
    return signal.getitimer(signal.ITIMER_REAL)[0]


def test_a_script_is_interrupted_at_its_deadline(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.05)
        with pytest.raises(AttemptTimeout):
            _spin(5)
        guard.end()
    assert guard.interruptions == 1
    assert guard.outside is None


def test_time_that_was_skipped_brings_the_interrupt_forward(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        clock.sleep(59.98)
        with pytest.raises(AttemptTimeout):
            _spin(5)


def test_a_deadline_that_is_over_interrupts_at_once(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard, pytest.raises(AttemptTimeout):
        _begin_and_spin(guard, clock.now() - 1)


def test_an_alarm_after_the_return_is_dropped(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.03)
        guard.end()
        _spin(0.08)
    assert guard.interruptions == 0


def test_a_later_call_has_its_own_deadline(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.05)
        guard.end()
        guard.begin(clock.now() + 0.15)
        _spin(0.08)
        with pytest.raises(AttemptTimeout):
            _spin(5)


def test_a_call_with_a_shorter_limit_is_interrupted_in_time(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        guard.end()
        guard.begin(clock.now() + 0.05)
        with pytest.raises(AttemptTimeout):
            _spin(5)


def test_a_script_that_swallows_the_interrupt_is_interrupted_again(
    clock: WorkerClock, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard_module, "REPEAT_AFTER", 0.02)
    swallowed = 0
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.02)
        while swallowed < 4:
            try:
                _spin(5)
            except AttemptTimeout:
                swallowed += 1
        guard.end()
    assert guard.interruptions == 4
    assert capfd.readouterr().err.count("swallows the interrupt of its timeout") == 1


LOST = """
import signal, sys, threading
from pytest_parallelrun.emulator.clock import AttemptTimeout, WorkerClock
from pytest_parallelrun.emulator.engines.timeout_guard import TimeoutGuard

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
other = threading.Thread(target=signal.sigwait, args=([signal.SIGALRM],))
other.start()
clock = WorkerClock()
with TimeoutGuard(clock) as guard:
    guard.begin(clock.now() + 0.02)
    try:
        other.join()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        threading.Event().wait(30)
        sys.exit("the wait was not interrupted")
    except AttemptTimeout:
        clock.deadline = None
"""


def test_an_alarm_that_another_thread_received_is_repeated() -> None:
    # In a process without other threads, which would be asked first.
    subprocess.run([sys.executable, "-c", LOST], check=True)


STRESS = """
import faulthandler
from pytest_parallelrun.emulator.clock import AttemptTimeout, WorkerClock
from pytest_parallelrun.emulator.engines.timeout_guard import TimeoutGuard

clock = WorkerClock()
with TimeoutGuard(clock) as guard:
    for _ in range(300):
        clock.probe_limit = 0.003
        # It starts a thread, which may receive the signal if the machine is busy.
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            guard.begin(clock.now() + 60)
            # Never gives up the interpreter lock.
            while True:
                [x for x in range(10)]
        except AttemptTimeout:
            clock.deadline = None
"""


def test_a_loop_that_never_gives_up_the_interpreter_lock_is_interrupted_each_time() -> None:
    subprocess.run([sys.executable, "-c", STRESS], check=True, timeout=300)


def test_the_message_about_swallowed_interrupts_survives_a_closed_stderr(
    clock: WorkerClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(number: int, data: bytes) -> int:
        raise OSError("bad file descriptor")

    monkeypatch.setattr(guard_module, "REPEAT_AFTER", 0.01)
    monkeypatch.setattr(guard_module, "SAY_SO_AFTER", 1)
    monkeypatch.setattr(os, "write", closed)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.01)
        with pytest.raises(AttemptTimeout):
            _spin(5)


def test_the_outer_timer_gets_its_remaining_time_back(clock: WorkerClock) -> None:
    signal.setitimer(signal.ITIMER_REAL, 60)
    handler = signal.getsignal(signal.SIGALRM)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.2)
        with pytest.raises(AttemptTimeout):
            _spin(5)
        guard.end()
    assert 40 < _left() <= 60 - 0.2
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_an_outer_timer_none_is_left(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
    assert _left() == 0
    assert clock.deadline is None
    assert clock.on_skip is None


def test_the_outer_alarm_that_is_due_first_reaches_its_handler(clock: WorkerClock, outer: list[float]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.03)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        with pytest.raises(OuterLimit):
            _spin(5)
        guard.end()
    assert len(outer) == 1
    assert isinstance(guard.outside, OuterLimit)
    assert guard.interruptions == 0
    assert _left() == 0


def test_the_outer_alarm_reaches_its_handler_while_a_script_swallows_interrupts(
    clock: WorkerClock, outer: list[float]
) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.06)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.02)
        with pytest.raises(AttemptTimeout):
            _spin(5)
        with pytest.raises(OuterLimit):
            _spin(5)
        guard.end()
    assert len(outer) == 1


def test_an_outer_alarm_that_became_due_meanwhile_comes_after_the_job(
    clock: WorkerClock, outer: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    guard = TimeoutGuard(clock).__enter__()
    # As if native code had kept Python from handling signals.
    guard_module._set_timer(0)
    _spin(0.07)
    with pytest.raises(OuterLimit):
        _leave_and_spin(guard)
    assert len(outer) == 1


def test_an_outer_timer_that_repeats_goes_on_repeating(clock: WorkerClock) -> None:
    ticks: list[float] = []
    signal.signal(signal.SIGALRM, lambda signum, frame: ticks.append(real_monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        _spin(5, until=lambda: len(ticks) >= 2)
        guard.end()
    _spin(5, until=lambda: len(ticks) >= 4)
    assert len(ticks) >= 4
    assert signal.getitimer(signal.ITIMER_REAL)[1] == pytest.approx(0.02)
    assert guard.outside is None


def test_an_outer_handler_that_is_ignored_ends_nothing(clock: WorkerClock) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        _spin(0.05)
        guard.end()
    assert guard.outside is None
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_IGN


def test_an_outer_default_action_is_taken(clock: WorkerClock, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        _spin(5, until=lambda: bool(raised))
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
        guard.end()
    assert raised == [signal.SIGALRM]


def test_a_ctrl_c_is_the_hosts_and_not_the_scripts(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        with pytest.raises(KeyboardInterrupt) as caught:
            _press_ctrl_c()
        guard.end()
    assert guard.outside is caught.value


def test_handlers_that_a_script_put_in_are_gone_at_the_next_call(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        guard.end()
        guard.begin(clock.now() + 0.05)
        with pytest.raises(KeyboardInterrupt):
            _press_ctrl_c()
        with pytest.raises(AttemptTimeout):
            _spin(5)
        guard.end()


def test_an_alarm_that_a_script_leaves_behind_does_not_replace_the_limit_of_the_next_call(clock: WorkerClock) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.05)
        signal.alarm(3600)
        guard.end()
        guard.begin(clock.now() + 0.05)
        with pytest.raises(AttemptTimeout):
            _spin(5)
        guard.end()


@pytest.mark.parametrize("cancel", [lambda: signal.alarm(0), lambda: signal.setitimer(signal.ITIMER_REAL, 0)])
def test_a_script_that_cancels_its_own_alarm_does_not_cancel_its_limit(
    clock: WorkerClock, cancel: Callable[[], object]
) -> None:
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.05)
        signal.alarm(3600)
        cancel()
        with pytest.raises(AttemptTimeout):
            _spin(5)
        guard.end()


def test_an_alarm_that_a_script_cancels_between_calls_sets_none(clock: WorkerClock) -> None:
    with TimeoutGuard(clock):
        signal.alarm(0)
        assert _left() == 0


def test_signal_alarm_is_what_it_was_after_the_job(clock: WorkerClock) -> None:
    before = signal.alarm, signal.setitimer
    with TimeoutGuard(clock) as guard:
        kept = signal.alarm
        guard.begin(clock.now() + 60)
    assert (signal.alarm, signal.setitimer) == before
    kept(0)
    assert _left() == 0


def test_inside_another_job_the_outer_limit_still_holds(clock: WorkerClock) -> None:
    outer_clock = WorkerClock()
    with TimeoutGuard(outer_clock) as outer_guard:
        outer_guard.begin(outer_clock.now() + 0.05)
        with TimeoutGuard(clock) as inner, pytest.raises(AttemptTimeout):
            _begin_and_spin(inner, clock.now() + 60)
        outer_guard.end()
    assert outer_guard.interruptions == 1
    assert inner.interruptions == 0
    assert inner.outside is not None


def test_time_stands_still_at_the_prompt_of_a_debugger(clock: WorkerClock) -> None:
    namespace = {"__name__": "pdb", "_spin": _spin}
    exec("def prompt():\n    _spin(0.3)", namespace)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 0.1)
        namespace["prompt"]()  # type: ignore[operator]
        suspended = [guard.suspended]
        _spin(0.03)
        guard.end()
        guard.begin(clock.now() + 60)
        suspended.append(guard.suspended)
    assert suspended == [True, False]
    assert guard.interruptions == 0


@pytest.mark.parametrize("name", ["bdb", "_pydevd_bundle.pydevd_frame"])
def test_other_debuggers_are_known_too(name: str) -> None:
    namespace: dict[str, object] = {"__name__": name, "look": guard_module._in_debugger}
    exec("import sys\nanswer = look(sys._getframe())", namespace)
    assert namespace["answer"] is True


def test_without_permission_nothing_is_interrupted(clock: WorkerClock) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    with TimeoutGuard(clock, allowed=False) as guard:
        assert not guard.interrupts
        guard.begin(clock.now() + 0.01)
        assert signal.getsignal(signal.SIGALRM) is handler
        _spin(0.03)
        guard.end()


def test_on_another_thread_nothing_is_interrupted(clock: WorkerClock) -> None:
    interrupts: list[bool] = []
    thread = threading.Thread(target=lambda: interrupts.append(TimeoutGuard(clock).interrupts))
    thread.start()
    thread.join()
    assert interrupts == [False]


@pytest.mark.parametrize("touch", [lambda: signal.alarm(0), lambda: signal.alarm(3600), lambda: None])
def test_where_nothing_is_interrupted_the_outer_timer_runs_on_all_the_same(
    clock: WorkerClock, touch: Callable[[], object]
) -> None:
    signal.setitimer(signal.ITIMER_REAL, 60)
    with TimeoutGuard(clock, allowed=False):
        touch()
    assert 55 < _left() <= 60


def test_where_nothing_is_interrupted_the_alarm_of_a_script_is_taken_away(clock: WorkerClock) -> None:
    with TimeoutGuard(clock, allowed=False):
        signal.alarm(3600)
    assert _left() == 0


def test_a_platform_without_timers_is_left_alone(clock: WorkerClock, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is back before the fixtures of this module end, which need it.
    with monkeypatch.context() as patch:
        patch.delattr(signal, "setitimer")
        with TimeoutGuard(clock) as guard:
            assert not guard.interrupts
            guard.begin(clock.now() - 1)
            time.sleep(0)
            guard.end()


@pytest.mark.parametrize("name", ["coverage.collector", guard_module.__name__])
def test_an_alarm_in_the_engine_or_in_coverage_waits_until_the_script_has_control(name: str) -> None:
    clock = WorkerClock()
    frame = SimpleNamespace(f_globals={"__name__": name}, f_code=SimpleNamespace(co_name="begin"), f_back=None)
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        clock.deadline = clock.now() - 1
        guard._on_alarm(signal.SIGALRM, frame)  # type: ignore[arg-type]
        guard.end()
        assert guard.interruptions == 0

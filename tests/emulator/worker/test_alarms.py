"""SIGALRM as scripts have it, under a guard with real timers of a few hundredths of a second."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.clock import AttemptTimeout, WorkerClock, patched_time, real_monotonic, running_under
from pytest_parallelrun.emulator.engines.guard import TimeoutGuard
from pytest_parallelrun.emulator.worker.alarms import ScriptAlarm, real_signal
from pytest_parallelrun.emulator.worker.process import WorkerExit
from tests.emulator._scripts import errors, outcomes, run_script

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")


class SlowItem(Exception):
    """What the handler of a script raises."""


@pytest.fixture
def clock() -> Iterator[WorkerClock]:
    clock = WorkerClock()
    with patched_time(), running_under(clock):
        yield clock


@pytest.fixture
def guard(clock: WorkerClock) -> Iterator[TimeoutGuard]:
    """The script has a minute from here on."""
    with TimeoutGuard(clock) as guard:
        guard.begin(clock.now() + 60)
        yield guard
        guard.end()


def _slow_item(signum: int, frame: object) -> None:
    raise SlowItem


def _spin(seconds: float) -> None:
    end = real_monotonic() + seconds
    while real_monotonic() < end:
        pass


def test_a_script_finds_no_handler_at_first_and_then_its_own(guard: TimeoutGuard) -> None:
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.signal(signal.SIGALRM, _slow_item) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGALRM) is _slow_item
    assert signal.signal(signal.SIGALRM, signal.SIG_IGN) is _slow_item


def test_other_signals_are_what_they_are(guard: TimeoutGuard) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    assert signal.signal(signal.SIGTERM, before) == signal.SIG_IGN


def test_an_alarm_calls_the_handler_of_the_script(guard: TimeoutGuard) -> None:
    signal.signal(signal.SIGALRM, _slow_item)
    signal.setitimer(signal.ITIMER_REAL, 0.03)
    with pytest.raises(SlowItem):
        _spin(5)
    assert guard.outside is None
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_that_nobody_handles_is_the_end_of_the_process(guard: TimeoutGuard) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.03)
    with pytest.raises(WorkerExit, match="killed by SIGALRM"):
        _spin(5)


def test_an_alarm_that_is_ignored_does_nothing(guard: TimeoutGuard) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    _spin(0.06)
    assert guard.interruptions == 0


def test_an_alarm_with_an_interval_goes_off_again_and_again(guard: TimeoutGuard) -> None:
    ticks: list[int] = []
    signal.signal(signal.SIGALRM, lambda signum, frame: ticks.append(signum))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    end = real_monotonic() + 5
    while len(ticks) < 3 and real_monotonic() < end:
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[1] == 0.02
    assert ticks[:3] == [signal.SIGALRM] * 3


def test_setting_an_alarm_tells_what_was_left_of_the_one_before(guard: TimeoutGuard) -> None:
    assert signal.alarm(25) == 0
    assert 24 < signal.getitimer(signal.ITIMER_REAL)[0] <= 25
    assert signal.alarm(40) == 25
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0.4, 7)
    assert 39 < left <= 40
    assert interval == 0
    assert signal.setitimer(signal.ITIMER_REAL, 0.4)[1] == 7
    # A fraction of a second is not nothing.
    assert signal.alarm(0) == 1
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_other_timers_are_what_they_are(guard: TimeoutGuard) -> None:
    assert signal.setitimer(signal.ITIMER_VIRTUAL, 100) == (0.0, 0.0)
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 90
    assert signal.setitimer(signal.ITIMER_VIRTUAL, 0)[0] > 90
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_cannot_be_set_is_the_error_that_it_is_elsewhere(guard: TimeoutGuard) -> None:
    with pytest.raises(TypeError, match="signal handler must be"):
        signal.signal(signal.SIGALRM, "handler")  # type: ignore[arg-type]
    with pytest.raises(signal.ItimerError):
        signal.setitimer(signal.ITIMER_REAL, -1)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_a_handler_is_set_on_the_main_thread_only(guard: TimeoutGuard) -> None:
    raised: list[str] = []

    def attempt() -> None:
        try:
            signal.signal(signal.SIGALRM, _slow_item)
        except ValueError as error:
            raised.append(str(error))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(raised) == 1
    assert "main thread" in raised[0]


def test_an_alarm_beyond_the_limit_does_not_put_the_limit_off(clock: WorkerClock, guard: TimeoutGuard) -> None:
    signal.signal(signal.SIGALRM, _slow_item)
    guard.begin(clock.now() + 0.05)
    signal.alarm(25)
    with pytest.raises(AttemptTimeout):
        _spin(5)


def test_a_handler_that_never_returns_ends_at_the_limit(clock: WorkerClock, guard: TimeoutGuard) -> None:
    signal.signal(signal.SIGALRM, lambda signum, frame: _spin(5))
    guard.begin(clock.now() + 0.06)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    with pytest.raises(AttemptTimeout):
        _spin(5)


def test_between_two_calls_an_alarm_waits_for_the_next_one(clock: WorkerClock, guard: TimeoutGuard) -> None:
    signal.signal(signal.SIGALRM, _slow_item)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    guard.end()
    _spin(0.05)
    with pytest.raises(SlowItem):
        _begin_and_spin(guard, clock.now() + 60)


def _begin_and_spin(guard: TimeoutGuard, deadline: float) -> None:
    guard.begin(deadline)
    _spin(5)


def test_each_worker_has_its_own_handler_and_alarm(clock: WorkerClock, guard: TimeoutGuard) -> None:
    signal.signal(signal.SIGALRM, _slow_item)
    signal.alarm(25)
    first, second = guard.script_alarm, ScriptAlarm()
    guard.watch(second)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert clock.alarm_due is None
    guard.watch(first)
    assert signal.getsignal(signal.SIGALRM) is _slow_item
    assert clock.alarm_due is not None


def test_while_an_alarm_is_pending_a_sleep_is_real_and_ended_by_it(clock: WorkerClock, guard: TimeoutGuard) -> None:
    signal.signal(signal.SIGALRM, _slow_item)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(SlowItem):
        time.sleep(5)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(SlowItem):
        # Past the limit too, but the alarm comes first.
        time.sleep(500)
    assert clock.skipped == 0
    time.sleep(5)
    assert clock.skipped == 5


def test_an_alarm_beyond_the_limit_does_not_make_a_sleep_past_the_limit_real(
    clock: WorkerClock, guard: TimeoutGuard
) -> None:
    signal.alarm(90)
    started = real_monotonic()
    with pytest.raises(AttemptTimeout):
        time.sleep(500)
    assert real_monotonic() - started < 10


def test_a_function_that_was_kept_sets_a_real_alarm_after_the_job(clock: WorkerClock) -> None:
    outer = signal.setitimer(signal.ITIMER_REAL, 0)
    handler = signal.getsignal(signal.SIGALRM)
    with TimeoutGuard(clock):
        alarm, setitimer, getitimer = signal.alarm, signal.setitimer, signal.getitimer
        getsignal, set_handler = signal.getsignal, signal.signal
    try:
        alarm(1000)
        assert getitimer(signal.ITIMER_REAL)[0] > 990
        assert setitimer(signal.ITIMER_REAL, 0)[0] > 990
        assert set_handler(signal.SIGALRM, _slow_item) == handler
        assert getsignal(signal.SIGALRM) is _slow_item
    finally:
        real_signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *outer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_alarms_of_its_own(tmp_path: Path) -> None:
    result = run_script(
        tmp_path,
        """
        import os
        import signal
        def run(batch):
            pid = os.fork()
            if not pid:
                signal.signal(signal.SIGALRM, lambda *arguments: os._exit(7))
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                while True: pass
            return [os.waitpid(pid, 0)[1] >> 8]
        """,
        files=1,
    )
    assert result.rows == [7]


def test_in_a_forked_child_the_handler_of_the_script_goes_on(
    guard: TimeoutGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGALRM, _slow_item)
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    with pytest.raises(SlowItem):
        signal.raise_signal(signal.SIGALRM)


@pytest.mark.parametrize("clock_setting", ["virtual", "real"])
def test_a_script_bounds_each_item_with_an_alarm(tmp_path: Path, clock_setting: str) -> None:
    result = run_script(
        tmp_path,
        """
        import signal, time
        def too_slow(*arguments): raise TimeoutError
        def run(batch):
            signal.signal(signal.SIGALRM, too_slow)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            try:
                time.sleep(5)
            except TimeoutError:
                return ["too slow"]
            finally:
                signal.alarm(0)
        """,
        clock=clock_setting,
    )
    assert result.rows == ["too slow"] * 2


def test_the_alarm_of_a_script_does_not_switch_its_timeout_off(tmp_path: Path) -> None:
    started = time.perf_counter()
    result = run_script(
        tmp_path,
        """
        import signal
        def too_slow(*arguments): raise TimeoutError
        def run(batch):
            signal.signal(signal.SIGALRM, too_slow)
            signal.alarm(25)
            while True: pass
        """,
        timeout=0.1,
    )
    assert outcomes(result) == ["timeout"] * 2
    assert time.perf_counter() - started < 10


def test_an_alarm_without_a_handler_crashes_the_worker_and_not_its_successor(tmp_path: Path) -> None:
    result = run_script(
        tmp_path,
        """
        import os, signal
        def run(batch):
            if "item0" in batch[0]:
                signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
                while True: pass
            end = os.times().elapsed + 0.1
            while os.times().elapsed < end: pass
            return batch
        """,
    )
    assert outcomes(result) == ["crashed", "succeeded"]
    assert "killed by SIGALRM" in errors(result)[0]

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from pytest_parallelrun.emulator import clock as clock_module
from pytest_parallelrun.emulator.clock import (
    BLIND_SLEEPS,
    AttemptTimeout,
    WorkerClock,
    patched_time,
    probe_time_left,
    real_perf_counter,
    real_sleep,
    running_under,
)

READINGS = ("time", "monotonic", "perf_counter")


@pytest.fixture
def clock() -> Iterator[WorkerClock]:
    """The clock of a script that runs in this thread."""
    clock = WorkerClock()
    with patched_time(), running_under(clock):
        yield clock


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was really slept; nothing is."""
    slept: list[float] = []
    monkeypatch.setattr(clock_module, "real_sleep", slept.append)
    return slept


@pytest.mark.parametrize("reading", READINGS)
def test_a_sleep_takes_no_time_and_moves_every_clock_of_the_script(clock: WorkerClock, reading: str) -> None:
    started = real_perf_counter()
    before, before_ns = getattr(time, reading)(), getattr(time, f"{reading}_ns")()
    time.sleep(500)
    assert 500 <= getattr(time, reading)() - before < 560
    assert 500e9 <= getattr(time, f"{reading}_ns")() - before_ns < 560e9
    assert real_perf_counter() - started < 60


def test_a_sleep_up_to_the_limit_ends_the_call_at_the_limit(clock: WorkerClock) -> None:
    clock.deadline = clock.now() + 60
    with pytest.raises(AttemptTimeout):
        time.sleep(3600)
    assert clock.deadline <= clock.now() < clock.deadline + 60


def test_a_sleep_after_the_limit_does_not_turn_the_clock_back(clock: WorkerClock) -> None:
    clock.deadline = clock.now() - 5
    with pytest.raises(AttemptTimeout):
        time.sleep(1)
    assert clock.skipped == 0


def test_sleeps_add_up_to_the_limit(clock: WorkerClock) -> None:
    clock.deadline = clock.now() + 10
    time.sleep(6)
    with pytest.raises(AttemptTimeout):
        time.sleep(6)


def test_a_loop_that_polls_the_clock_ends(clock: WorkerClock) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        time.sleep(1)
    # The rest passed in reality, which is more on a busy machine.
    assert clock.skipped > 250


def test_a_loop_that_never_looks_at_the_clock_sleeps_in_earnest_in_the_end(
    clock: WorkerClock, slept: list[float]
) -> None:
    """It waits for something outside: a file, a service, datetime.now()."""
    for _ in range(BLIND_SLEEPS + 3):
        time.sleep(0.5)
    assert slept == [0.5] * 3
    assert clock.skipped == BLIND_SLEEPS / 2


@pytest.mark.parametrize("reading", [*READINGS, *(f"{name}_ns" for name in READINGS)])
def test_a_loop_that_looks_at_a_clock_is_skipped_to_its_end(
    clock: WorkerClock, slept: list[float], reading: str
) -> None:
    for _ in range(3 * BLIND_SLEEPS):
        getattr(time, reading)()
        time.sleep(1)
    assert slept == []
    assert clock.skipped == 3 * BLIND_SLEEPS


def test_each_call_of_the_script_may_sleep_anew(clock: WorkerClock, slept: list[float]) -> None:
    for _ in range(3 * BLIND_SLEEPS):
        clock.begin(clock.now() + 60)
        time.sleep(1)
    assert slept == []
    assert clock.slept_ahead == 1


def test_a_loop_that_waits_in_earnest_still_ends_at_the_limit(clock: WorkerClock, slept: list[float]) -> None:
    clock.begin(clock.now() + BLIND_SLEEPS + 0.95)
    for _ in range(BLIND_SLEEPS):
        time.sleep(1)
    with pytest.raises(AttemptTimeout):
        time.sleep(1)
    assert slept == []


def test_a_real_clock_sleeps_in_earnest(slept: list[float]) -> None:
    clock = WorkerClock(skipping=False)
    clock.sleep(3)
    assert (slept, clock.skipped) == ([3], 0)


def test_a_real_clock_too_does_not_wait_for_a_limit_that_a_sleep_will_pass() -> None:
    clock = WorkerClock(skipping=False)
    clock.deadline = clock.now() + 60
    with pytest.raises(AttemptTimeout):
        clock.sleep(61)


@pytest.mark.parametrize(("skipping", "real"), [(True, []), (False, [4.0])])
def test_a_pause_of_the_runtime_is_skipped_unless_the_clock_is_real(
    slept: list[float], skipping: bool, real: list[float]
) -> None:
    clock = WorkerClock(skipping=skipping)
    clock.pause(4.0)
    assert slept == real
    assert clock.skipped == (4.0 if skipping else 0)


@pytest.mark.parametrize(
    ("seconds", "error"), [(-1, ValueError), (math.nan, ValueError), (math.inf, OverflowError), ("1", TypeError)]
)
def test_what_cannot_be_slept_is_the_error_that_it_is_elsewhere(
    clock: WorkerClock, seconds: float, error: type[Exception]
) -> None:
    clock.deadline = clock.now() + 60
    with pytest.raises(error):
        time.sleep(seconds)
    assert clock.skipped == 0


def test_a_sleep_of_nothing_lets_others_run(clock: WorkerClock, slept: list[float]) -> None:
    time.sleep(0)
    assert (slept, clock.skipped) == ([0], 0)


def test_a_sleep_is_real_while_a_thread_of_the_script_is_at_work(clock: WorkerClock, slept: list[float]) -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        time.sleep(2)
    finally:
        done.set()
        thread.join()
    assert (slept, clock.skipped) == ([2], 0)


def test_a_thread_that_ran_before_the_job_does_not_make_sleeps_real(slept: list[float]) -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        clock = WorkerClock()
        clock.sleep(2)
    finally:
        done.set()
        thread.join()
    assert (slept, clock.skipped) == ([], 2)


@pytest.fixture
def child() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Put a child process in, and it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def _start_child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_sleep_is_real_while_a_child_process_of_the_script_is_at_work(
    child: list[subprocess.Popen[bytes]], slept: list[float]
) -> None:
    clock = WorkerClock()
    child.append(_start_child())
    clock.sleep(2)
    assert (slept, clock.skipped) == ([2], 0)


def test_a_child_process_of_the_host_does_not_make_sleeps_real(
    child: list[subprocess.Popen[bytes]], slept: list[float]
) -> None:
    child.append(_start_child())
    clock = WorkerClock()
    clock.sleep(2)
    assert (slept, clock.skipped) == ([], 2)


def test_where_children_cannot_be_told_a_sleep_is_real(
    child: list[subprocess.Popen[bytes]], slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    child.append(_start_child())
    monkeypatch.setattr(psutil.Process, "children", _refuse)
    WorkerClock().sleep(2)
    assert slept == [2]


def test_on_a_system_without_waitid_children_are_looked_at(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "waitid", raising=False)
    clock = WorkerClock()
    clock.sleep(2)
    assert (slept, clock.skipped) == ([], 2)


def _refuse(process: psutil.Process) -> list[psutil.Process]:
    raise psutil.AccessDenied(process.pid)


def test_a_skip_is_announced_so_that_an_alarm_can_be_set_anew(clock: WorkerClock) -> None:
    announced: list[float] = []
    clock.on_skip = lambda: announced.append(clock.skipped)
    time.sleep(7)
    assert announced == [7]


def test_other_threads_have_real_time(clock: WorkerClock) -> None:
    clock.skipped = 1000
    readings: list[float] = []
    thread = threading.Thread(target=lambda: readings.append(time.time()))
    thread.start()
    thread.join()
    assert time.time() - readings[0] >= 1000


def test_a_function_that_was_kept_gives_real_time_after_the_job() -> None:
    clock = WorkerClock()
    with patched_time(), running_under(clock):
        kept = {name: getattr(time, name) for name in ("sleep", *READINGS, *(f"{name}_ns" for name in READINGS))}
        clock.skipped = 1000
    for name in READINGS:
        assert abs(kept[name]() - getattr(time, name)()) < 60
        assert abs(kept[f"{name}_ns"]() - getattr(time, f"{name}_ns")()) < 60e9
    started = time.monotonic()
    kept["sleep"](0.02)
    assert time.monotonic() - started >= 0.015


def test_a_function_that_was_kept_finds_the_clock_of_a_later_job() -> None:
    with patched_time():
        kept = time.sleep
    later = WorkerClock()
    with running_under(later):
        kept(100)
    assert later.skipped == 100


def test_an_enclosing_job_gets_its_clock_back(clock: WorkerClock) -> None:
    inner = WorkerClock()
    with running_under(inner):
        time.sleep(5)
    time.sleep(3)
    assert (inner.skipped, clock.skipped) == (5, 3)


def test_the_functions_of_the_module_are_put_back() -> None:
    before = dict(vars(time))
    with patched_time():
        assert time.sleep is not before["sleep"]
    assert dict(vars(time)) == before
    assert time.sleep is real_sleep


@pytest.mark.parametrize(
    ("passed", "used", "left"),
    [
        pytest.param(0.5, 0.0, 0.5, id="at first everybody has the limit in real time"),
        pytest.param(1.0, 0.04, 0.0, id="who waited has no more"),
        pytest.param(1.0, 0.3, 0.7, id="who worked has it in processor time"),
        pytest.param(4.0, 1.2, 0.0, id="until that is used up"),
    ],
)
def test_a_made_up_attempt_that_works_has_its_limit_in_processor_time(passed: float, used: float, left: float) -> None:
    assert probe_time_left(1.0, passed, used) == pytest.approx(left)


def test_the_processor_time_of_a_call_counts_from_its_beginning() -> None:
    clock = WorkerClock()
    clock.begin(clock.now() + 1000)
    clock.probe_limit = 100.0
    passed, used = clock.spent()
    assert 0 <= passed < 100
    assert 0 <= used < 100
    assert clock.remaining() < 100

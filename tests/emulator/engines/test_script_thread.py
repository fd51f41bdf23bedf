from __future__ import annotations

import os
import queue
import threading
import time

import pytest

from pytest_parallelrun.emulator.clock import WorkerClock, patched_time
from pytest_parallelrun.emulator.engines import timeout_guard
from pytest_parallelrun.emulator.engines.timeout_guard import ScriptThread


def _ignore(error: BaseException) -> None: ...


class InterruptedOnce(queue.SimpleQueue[object]):
    """Stands for a Ctrl-C that comes while the caller waits for the first time."""

    done = False

    def get(self, *arguments: object, **keywords: object) -> object:
        if not self.done:
            self.done = True
            raise KeyboardInterrupt
        return super().get(*arguments, **keywords)  # type: ignore[arg-type]


def test_all_calls_are_made_on_one_thread_that_is_not_this_one() -> None:
    with ScriptThread(WorkerClock(), _ignore) as thread:
        idents = {thread.call(threading.get_ident) for _ in range(3)}
    assert len(idents) == 1
    assert threading.get_ident() not in idents


def test_a_call_returns_what_the_function_returns() -> None:
    with ScriptThread(WorkerClock(), _ignore) as thread:
        assert thread.call(divmod, 7, 2) == (3, 1)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(2), KeyboardInterrupt()])
def test_a_call_raises_what_the_function_raises_and_the_thread_goes_on(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with ScriptThread(WorkerClock(), _ignore) as thread:
        with pytest.raises(type(error)) as caught:
            thread.call(fail)
        assert thread.call(len, "abc") == 3
    assert caught.value is error


def test_the_thread_has_the_clock_of_the_script() -> None:
    clock = WorkerClock()
    with patched_time(), ScriptThread(clock, _ignore) as thread:
        thread.call(lambda: time.sleep(100))
    assert clock.skipped == 100


def test_the_thread_ends_with_the_context() -> None:
    with ScriptThread(WorkerClock(), _ignore) as thread:
        thread.call(len, "")
        assert any(alive.name == "parallelrun-script" for alive in threading.enumerate())
    assert not any(alive.name == "parallelrun-script" for alive in threading.enumerate())


def test_what_interrupts_the_waiting_caller_is_told_apart_from_the_script() -> None:
    told: list[BaseException] = []
    with ScriptThread(WorkerClock(), told.append) as thread:
        thread._results = InterruptedOnce()  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt) as caught:
            thread.call(len, "abc")
    assert told == [caught.value]


def test_a_child_that_the_script_forked_on_the_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []
    pids = iter([1, 1, 2])
    monkeypatch.setattr(os, "getpid", lambda: next(pids))
    monkeypatch.setattr(timeout_guard, "end_forked_child", ended.append)
    error = ValueError("in the child")

    def fail() -> None:
        raise error

    with ScriptThread(WorkerClock(), _ignore) as thread:
        thread.call(len, "")
        with pytest.raises(ValueError, match="in the child"):
            thread.call(fail)
    assert ended == [error]


def test_an_interrupted_call_has_ended_before_the_process_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def change() -> None:
        threading.Event().wait(0.2)
        ended.set()

    with ScriptThread(WorkerClock(), _ignore) as thread:
        monkeypatch.setattr(thread, "_results", InterruptedOnce())
        with pytest.raises(KeyboardInterrupt):
            thread.call(change)
        assert ended.is_set()


def test_a_call_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeout_guard, "_PATIENCE", 0.05)
    end = threading.Event()
    with ScriptThread(WorkerClock(), _ignore) as thread:
        monkeypatch.setattr(thread, "_results", InterruptedOnce())
        with pytest.raises(KeyboardInterrupt):
            thread.call(end.wait)
        end.set()

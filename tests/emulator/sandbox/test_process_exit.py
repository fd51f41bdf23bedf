from __future__ import annotations

import multiprocessing.util
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.sandbox import process_exit
from pytest_parallelrun.emulator.sandbox.process_exit import children_ended
from tests.emulator._scripts import make_input, write_files

LEAVES_A_POOL = """
    import multiprocessing as mp
    def score(path):
        return len(path) and 1
    def init():
        global pool
        pool = mp.get_context(METHOD).Pool(2)
    def run(batch):
        return pool.map(score, batch)
"""

USES_IT_THREE_TIMES = """
    import gc
    import multiprocessing
    from pytest_parallelrun import ParallelJob
    from pytest_parallelrun.emulator.probe import probe_startup

    if __name__ == "__main__":
        for _ in range(3):
            result = ParallelJob("code/score.py", "data").run()
            assert result.rows == [1, 1], result.explain()
            attempt = probe_startup(ParallelJob("code/score.py", "data"), first_attempt=True).attempt
            assert attempt.outcome == "succeeded", attempt
            gc.collect()
        assert multiprocessing.active_children() == []
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script on Windows cannot make a pool in init()")
def test_a_pool_that_a_script_keeps_in_a_global_ends_with_the_job(tmp_path: Path) -> None:
    write_files(tmp_path, {"code/score.py": LEAVES_A_POOL.replace("METHOD", "'fork'"), "main.py": USES_IT_THREE_TIMES})
    make_input(tmp_path)
    subprocess.run([sys.executable, "main.py"], cwd=tmp_path, timeout=20, check=True)


def _terminate_pool(*arguments: object) -> None:
    """Has the name by which the finalizer of a Pool is known."""
    for argument in arguments:
        argument()  # type: ignore[operator]


@pytest.fixture
def called() -> Iterator[list[str]]:
    before = dict(multiprocessing.util._finalizer_registry)  # type: ignore[attr-defined]
    yield []
    for key in multiprocessing.util._finalizer_registry.keys() - before.keys():  # type: ignore[attr-defined]
        del multiprocessing.util._finalizer_registry[key]  # type: ignore[attr-defined]


def _register(*calls: object, priority: int = 15, callback: Callable[..., object] = _terminate_pool) -> None:
    multiprocessing.util.Finalize(None, callback, args=calls, exitpriority=priority)


def test_finalizers_run_by_priority_and_each_once(called: list[str]) -> None:
    with children_ended():
        _register(lambda: called.append("early"), priority=5)
        _register(lambda: called.append("late"), priority=15)
    with children_ended():
        pass
    assert called == ["late", "early"]


def test_finalizers_that_were_there_before_are_left_alone(called: list[str]) -> None:
    _register(lambda: called.append("of the host"))
    with children_ended():
        pass
    assert called == []


def test_finalizers_of_what_may_outlive_the_job_are_left_alone(called: list[str]) -> None:
    with children_ended():
        _register(callback=lambda: called.append("of a queue"))
    assert called == []


def test_a_finalizer_that_fails_harms_nobody(called: list[str]) -> None:
    def fail() -> None:
        raise OSError("handle is closed")

    with children_ended():
        _register(lambda: called.append("next"), priority=5)
        _register(fail, priority=15)
    assert called == ["next"]


def test_a_finalizer_that_ends_another_is_enough_for_both(called: list[str]) -> None:
    with children_ended():
        _register(lambda: called.append("inner"), priority=5)
        inner = max(multiprocessing.util._finalizer_registry, key=lambda key: key[1])  # type: ignore[attr-defined]
        _register(lambda: multiprocessing.util._finalizer_registry.pop(inner), priority=15)  # type: ignore[attr-defined]
    assert called == []


def test_a_finalizer_that_never_ends_is_not_waited_for(called: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_exit, "FINALIZER_TIME", 0.05)
    forever = threading.Event()
    started = time.perf_counter()
    with children_ended():
        _register(forever.wait)
    assert time.perf_counter() - started < 10
    forever.set()


def test_without_a_registry_of_finalizers_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(multiprocessing.util, "_finalizer_registry")
    with children_ended():
        pass

"""Files that threads write after run() has returned."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.worker import late_writes as module
from pytest_parallelrun.emulator.worker.late_writes import MOST_HELD_UP, late_writes, this_process, watch_threads

PATIENCE = 10.0


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    watch_threads(this_process())
    yield
    late_writes(0.0)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def write(path: Path) -> None:
    path.write_text("text", encoding="utf-8")


def test_a_write_is_held_up_until_run_has_returned(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    pool.submit(write, tmp_path / "a")
    assert late_writes(PATIENCE)[1] == [(str(tmp_path / "a"), True)]


def test_a_write_that_run_waits_for_is_in_time(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    write(tmp_path / "of the main thread")
    pool.submit(write, tmp_path / "a").result()
    assert late_writes(PATIENCE)[1] == []


def test_only_some_writes_are_held_up(
    tmp_path: Path, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD_UP", 0.0)
    for number in range(MOST_HELD_UP + 1):
        pool.submit(write, tmp_path / str(number)).result()
    monkeypatch.setattr(module, "HELD_UP", PATIENCE)
    pool.submit(write, tmp_path / "a").result(timeout=PATIENCE / 2)


def test_reads_and_files_of_tempfile_do_not_count(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    write(tmp_path / "a")
    scratch = tempfile.mkdtemp(dir=tmp_path)

    def task() -> None:
        while not module._watch or not module._watch.is_over.is_set():
            pass
        (tmp_path / "a").read_text(encoding="utf-8")
        write(Path(scratch, "b"))

    future = pool.submit(task)
    assert late_writes(PATIENCE)[1] == []
    future.result()


def test_a_thread_that_is_still_at_work_is_told_from_one_that_is_done(tmp_path: Path) -> None:
    stop = False

    def beat() -> None:
        while not stop:
            write(tmp_path / "metrics")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        seconds, late = late_writes(0.1)
    finally:
        stop = True
        thread.join()
    assert seconds >= 0.1
    assert late == [(str(tmp_path / "metrics"), False)]


def test_known_threads_are_those_of_the_same_process(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    pool.submit(len, "").result()
    known = this_process()
    watch_threads(known)
    pool.submit(write, tmp_path / "a").result()
    assert late_writes(PATIENCE)[1] == []
    watch_threads((os.getpid() + 1, known[1]))
    pool.submit(write, tmp_path / "b")
    # Threads of other tests may still be there.
    assert (str(tmp_path / "b"), True) in late_writes(PATIENCE)[1]


def test_without_a_watch_nothing_is_late() -> None:
    late_writes(0.0)
    assert late_writes(PATIENCE) == (0.0, [])

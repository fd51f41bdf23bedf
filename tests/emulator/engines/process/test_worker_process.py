"""What is between a worker process and the engine, without a script."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from pytest_parallelrun.emulator import process_tree
from pytest_parallelrun.emulator.clock import real_monotonic
from pytest_parallelrun.emulator.engines.process import worker_process
from pytest_parallelrun.emulator.engines.process.worker_process import MessagePoller, WorkerProcess
from pytest_parallelrun.emulator.events import Failure
from pytest_parallelrun.emulator.worker.messages import PhaseBegun, Start
from tests.emulator.engines.process.scripts import NAMES, none_left, run_on_processes

# It says what it hears, as many bytes at a time as there are.
ECHO = """
import os
while data := os.read({reading}, 1 << 16):
    os.write({writing}, data)
"""


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerProcess]:
    monkeypatch.setattr(worker_process, "_BOOT", ECHO)
    worker = WorkerProcess(0, 0, 0, tmp_path)
    worker.spawn(dict(os.environ), Start(), tmp_path / "logs" / "out", tmp_path / "logs" / "err")  # type: ignore[call-arg]
    yield worker
    if worker.process.returncode is None:
        worker.reap()


def received_from(poller: MessagePoller, count: int) -> list[object]:
    """That many messages."""
    received: list[object] = []
    until = real_monotonic() + 100
    while len(received) < count:
        assert real_monotonic() < until
        for _, messages in poller.wait(until):
            received += messages or []
    return received


def test_a_message_that_is_larger_than_the_pipe_goes_out_while_others_are_waited_for(echo: WorkerProcess) -> None:
    poller = MessagePoller()
    poller.add(echo)
    large, after_it = PhaseBegun(phase="x" * 5_000_000), PhaseBegun(phase="after it")
    poller.send(echo, large)
    waiting = echo.has_more_to_say
    poller.send(echo, after_it)
    assert received_from(poller, 3)[1:] == [large, after_it]
    assert (waiting, echo.has_more_to_say) == (True, False)
    poller.remove(echo)


def test_a_worker_with_more_to_say_is_added_with_it(echo: WorkerProcess) -> None:
    echo.send(PhaseBegun(phase="x" * 3_000_000))
    poller = MessagePoller()
    poller.add(echo)
    assert len(received_from(poller, 2)) == 2


@pytest.mark.parametrize("tells", [True, False])
def test_the_end_of_a_process_is_noticed_with_and_without_the_help_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells: bool
) -> None:
    if not tells:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
        monkeypatch.delattr(os, "waitid", raising=False)
    script = "import os, time\ndef run(paths):\n    if paths[0].endswith('b'): os._exit(3)\n    return paths"
    result = run_on_processes(tmp_path, script, "a", "b", "c")
    assert [batch.status for batch in result.mini_batches] == ["succeeded", "failed", "succeeded"]
    assert "exit code 3" in (result.mini_batches[1].attempts[0].error or "")


def test_a_pipe_that_the_script_has_closed_ends_its_attempt_by_the_limit(tmp_path: Path) -> None:
    script = "import os, time\ndef run(paths):\n    os.closerange(3, 100)\n    time.sleep(60)"
    result = run_on_processes(tmp_path, script, "a", timeout=0.5)
    assert result.mini_batches[0].attempts[0].outcome == "timeout"


def test_what_is_sent_to_a_process_that_is_gone_is_lost(echo: WorkerProcess) -> None:
    os.kill(echo.process.pid, signal.SIGKILL)
    echo._wait_for_end(5)
    assert echo.send(PhaseBegun(phase="nobody hears it"))
    echo._outgoing += b"nor this"
    assert echo.push()
    assert echo.is_dead
    echo.receive_all()
    assert echo.receive_all() == []


def test_of_a_worker_that_was_removed_nothing_more_is_told(echo: WorkerProcess) -> None:
    poller = MessagePoller()
    poller.add(echo)
    received_from(poller, 1)
    os.kill(echo.process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, echo.process.pid, os.WEXITED | os.WNOWAIT)
    # The end of its pipe and that of the process come together.
    messages_received = []
    for _, messages in poller.wait(None):
        messages_received.append(messages)
        poller.remove(echo)
    assert messages_received == [[]]


@pytest.mark.parametrize("tells", [True, False])
def test_a_process_that_does_not_end_is_waited_for_and_then_killed(echo: WorkerProcess, tells: bool) -> None:
    if not tells:
        os.close(echo.pidfd)
        echo.pidfd = -1
    before = real_monotonic()
    assert echo.reap(0.05) == "the worker process was killed by SIGKILL, as the system does when memory runs out"
    assert real_monotonic() - before >= 0.05
    # It is told again, and done once.
    assert echo.reap() == echo.reap()
    assert echo.is_dead


def test_what_is_gone_is_not_killed_again_whose_number_may_be_that_of_another(
    echo: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo.reap()
    monkeypatch.setattr(worker_process, "kill_all", None)
    echo.kill("too late")


def test_a_full_pipe_takes_more_later(echo: WorkerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int, data: bytes) -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "write", full)
    assert not echo.send(PhaseBegun(phase="later"))
    assert not echo.push()


def test_a_pipe_without_anything_in_it_says_nothing(echo: WorkerProcess) -> None:
    poller = MessagePoller()
    poller.add(echo)
    received_from(poller, 1)
    assert echo.receive() == ([], False)
    assert echo.receive_all() == []


def test_a_system_without_larger_pipes_has_small_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("fcntl.F_SETPIPE_SZ", raising=False)
    assert run_on_processes(tmp_path, NAMES, "a").rows == ["a"]


def test_an_old_kernel_that_has_no_pidfd_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError("not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert run_on_processes(tmp_path, NAMES, "a").rows == ["a"]


STRAY = """
import os, subprocess, sys, time
stray = f"import time; time.sleep(600) # {{sys.argv[1]}}"
subprocess.Popen([sys.executable, "-c", stray], start_new_session=True, env={inherits}, cwd={cwd!r})
print("started", flush=True)
if {dies}:
    os._exit(3)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("inherits", "cwd", "dies"),
    [("None", "/", True), ("{}", None, True), ("{}", "/", False)],
    ids=["known by its environment", "known by its folder", "known by its parent"],
)
def test_children_that_have_left_are_killed_whether_their_worker_lives_or_not(
    tmp_path: Path, inherits: str, cwd: str | None, dies: bool
) -> None:
    script = STRAY.format(inherits=inherits, cwd=cwd, dies=dies)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        start_new_session=True,
        cwd=tmp_path,
        env={**os.environ, process_tree.MARK: str(tmp_path)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if dies:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        since = process_tree.started_at(process.pid)
        traces = process_tree.Traces(str(tmp_path), tmp_path, since, tmp_path / "forked")
        process_tree.kill_all(process.pid, traces)
    assert none_left(str(tmp_path))


def traces_of(folder: Path, since: float = 0.0) -> process_tree.Traces:
    return process_tree.Traces("x", folder, since, folder / "forked")


def test_who_was_there_before_the_worker_is_not_of_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=tmp_path) as other:
        later = process_tree.started_at(other.pid) + 1
        assert [process.pid for process in process_tree.left_by(traces_of(tmp_path, later - 1))] == [other.pid]
        assert list(process_tree.left_by(traces_of(tmp_path, later))) == []
        other.communicate(b"\n")


def test_how_a_worker_ended_is_left_to_who_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as worker:
        # Killed a moment ago, it is still found by its marks.
        monkeypatch.setattr(process_tree, "left_by", lambda traces: [psutil.Process(worker.pid)])
        assert process_tree.kill_all(worker.pid, traces_of(tmp_path)) == []
        assert worker.wait() == -signal.SIGKILL


def test_one_that_starts_another_whenever_it_is_killed_is_left_to_itself_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()

    class Stray:
        def __init__(self) -> None:
            self.pid = 2**22 + 1 + next(looks)

        def kill(self) -> None:
            raise psutil.NoSuchProcess(self.pid)

        is_running = status = wait = name = lambda self, *arguments: self.kill()

    monkeypatch.setattr(process_tree, "left_by", lambda traces: [Stray()])
    assert process_tree.kill_all(2**22, traces_of(tmp_path)) == []
    assert next(looks) == 1 + process_tree._ROUNDS


def test_what_does_not_end_is_waited_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stray(psutil.Process):  # type: ignore[misc]
        def kill(self) -> None: ...

    monkeypatch.setattr(process_tree, "_LAST_WAIT", 0.01)
    process_tree.kill({Stray()}, traces_of(tmp_path))
    assert process_tree.names_of([Stray()]) == [psutil.Process().name()]
    assert not process_tree.is_of_python(psutil.Process())


def test_memory_that_processes_share_counts_once_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Process:
        def __init__(self, pid: int, share: int | None = None) -> None:
            self.share = share

        def memory_info(self) -> SimpleNamespace:
            return SimpleNamespace(rss=20_000)

        def memory_full_info(self) -> SimpleNamespace:
            if self.share is None:
                raise psutil.AccessDenied(1)
            return SimpleNamespace(pss=self.share)

    monkeypatch.setattr(psutil, "Process", Process)
    monkeypatch.setattr(process_tree, "descendants", lambda pid: [Process(2, share=10_000)])
    assert process_tree.memory_taken(1, 40_000) == 40_000
    # Of the first the system tells no share.
    assert process_tree.memory_taken(1, 39_999) == 30_000


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "the worker process ended itself with exit code 0"),
        (-9, "the worker process was killed by SIGKILL, as the system does when memory runs out"),
        (-15, "the worker process was killed by SIGTERM"),
        (-250, "the worker process was killed by signal 250"),
        (
            None,
            "the worker process did not exit after SIGKILL: it is blocked in the kernel, for example on a dead "
            "disk or network mount",
        ),
    ],
)
def test_how_a_process_ended_is_told_in_words(status: int | None, text: str) -> None:
    assert process_tree.how_it_ended(status) == text


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert process_tree.memory_taken(ended.pid, -1) == 0
    assert process_tree.started_at(ended.pid) == -1
    assert process_tree.processor_time(ended.pid) == 0
    assert process_tree.descendants(ended.pid) == []
    gone: Any = SimpleNamespace(memory_info=_no_such_process, cmdline=_no_such_process)
    assert process_tree._resident(gone) == 0
    assert not process_tree.is_of_python(gone)


def _no_such_process() -> None:
    raise psutil.NoSuchProcess(0)


def test_output_that_is_gone_is_not_told(echo: WorkerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    echo.stdout.unlink()
    echo.stderr.unlink()
    worker_process.tell_output(echo)
    assert capsys.readouterr() == ("", "")
    assert worker_process.crash_failure("run", "it died", echo.last_errors()) == Failure(phase="run", error="it died")


def test_a_crash_without_a_frame_of_the_script_shows_none(echo: WorkerProcess) -> None:
    echo.stderr.write_text('Fatal Python error: Aborted\n\n  File "<frozen x>", line 1 in y\n', encoding="utf-8")
    assert worker_process.crash_failure("run", "it died", echo.last_errors()) == Failure(phase="run", error="it died")

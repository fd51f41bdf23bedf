"""One worker process as seen by the engine: started, written to without waiting, and killed."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import psutil

from pytest_parallelrun.emulator.clock import real_monotonic, real_sleep
from pytest_parallelrun.emulator.engines.outcome import DispatchedTask
from pytest_parallelrun.emulator.events import Failure, Frame, Phase
from pytest_parallelrun.emulator.folders import sizes_of_files
from pytest_parallelrun.emulator.process_tree import (
    MARK,
    Traces,
    descendants,
    how_it_ended,
    kill_all,
    memory_taken,
    processor_time,
    started_at,
)
from pytest_parallelrun.emulator.sandbox.streams import show
from pytest_parallelrun.emulator.worker.messages import Called, Message, MessageDecoder, Shutdown, Start

ROOT = str(Path(__file__).parents[4])
"""The folder of this package."""
_BOOT = (
    "import sys; sys.path.insert(0, {root!r}); "
    "from pytest_parallelrun.emulator.worker.child import main; main({reading}, {writing}, {lifeline})"
)
_CHUNK = 1 << 20
_PIPE_BYTES = 1 << 20
_LAST_WAIT = 10.0
"""Seconds until a killed process must be gone: one that waits for a dead disk cannot be killed."""


class WorkerProcess:
    """A worker: number counts all workers of the job, slot is its position among those that run at a time."""

    def __init__(self, number: int, slot: int, instance: int, folder: Path) -> None:
        self.number = number
        self.slot = slot
        self.instance = instance
        self.folder = folder
        self.name = f"process{number:03d}"
        self.up = False
        self.stopping = False
        self.phase: Phase = "import"
        self.assigned: deque[DispatchedTask] = deque()
        """The worker runs the first of them."""
        self.deadline: float | None = None
        """When it is killed, by the monotonic clock."""
        self.head_since = 0.0
        """When its first mini-batch, or the current phase, began."""
        self.used_before = 0.0
        """Seconds of processor time that it had used then."""
        self.pausing_until = 0.0
        """End of a requested pause, by the monotonic clock."""
        self.run_finished = False
        """Whether run() is done, and its result is being sent."""
        self.quick = False
        """Whether its mini-batches are so short that one more should wait in its pipe."""
        self.started = 0.0
        """Seconds since the start of the job."""
        self.killed_for = ""
        """Why it was killed, as text; "" if it was not."""
        self.answer: Called | None = None
        self.left: list[str] = []
        """Names of processes that it started and that had to be killed."""
        self.started_processes: list[psutil.Process] = []
        """Its descendants before it was told to end."""
        self._outgoing = bytearray()
        self._decoder = MessageDecoder()

    def spawn(self, environment: Mapping[str, str], start: Start, stdout: Path, stderr: Path) -> None:
        """Starts a clean interpreter in its own session. OSError if the system refuses."""
        self.stdout, self.stderr = stdout, stderr
        for path in (stdout, stderr):
            path.parent.mkdir(parents=True, exist_ok=True)
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        theirs_lifeline, ours_lifeline = os.pipe()
        theirs = theirs_in, theirs_out, theirs_lifeline
        self._ours: tuple[int, ...] = ours_in, ours_out, ours_lifeline
        self.pidfd = -1
        mark = f"{os.getpid()}-{os.urandom(8).hex()}"
        boot = _BOOT.format(root=ROOT, reading=theirs_in, writing=theirs_out, lifeline=theirs_lifeline)
        try:
            with open(stdout, "ab", 0) as out, open(stderr, "ab", 0) as err:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", boot],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=self.folder,
                    env={**environment, MARK: mark},
                    pass_fds=theirs,
                    start_new_session=True,
                )
        except BaseException:
            for number in self._ours:
                os.close(number)
            raise
        finally:
            for number in theirs:
                os.close(number)
        self._traces = Traces(
            mark=mark,
            folder=Path(os.path.realpath(self.folder)),
            since=started_at(self.process.pid),
            forked=self.folder.parent / f"forked-{self.name}",
        )
        self.reading, self.writing = ours_in, ours_out
        for number in (ours_in, ours_out):
            os.set_blocking(number, False)
            _enlarge(number)
        if hasattr(os, "pidfd_open"):
            # Missing on old kernels; then only the end of the pipe shows the end of the process.
            with suppress(OSError):
                self.pidfd = os.pidfd_open(self.process.pid)
        self.head_since = real_monotonic()
        self.send(start)

    def send(self, message: Message) -> bool:
        """Writes a message, as much as the pipe takes at once; False if a part waits for `push`."""
        if isinstance(message, Shutdown):
            self.started_processes = descendants(self.process.pid)
        data = message.to_bytes()
        if self._outgoing:
            self._outgoing += data
            return False
        try:
            written = os.write(self.writing, data)
        except BlockingIOError:
            written = 0
        except OSError:
            # It is gone, which is noticed elsewhere.
            return True
        if written == len(data):
            return True
        self._outgoing += memoryview(data)[written:]
        return False

    def push(self) -> bool:
        """Continues writing; returns whether all is written."""
        try:
            written = os.write(self.writing, self._outgoing)
        except BlockingIOError:
            return False
        except OSError:
            written = len(self._outgoing)
        del self._outgoing[:written]
        return not self._outgoing

    @property
    def has_more_to_say(self) -> bool:
        """Whether a part of a message waits for `push`."""
        return bool(self._outgoing)

    def receive(self) -> tuple[list[Message], bool]:
        """The messages that have arrived, and whether the pipe has ended."""
        try:
            data = os.read(self.reading, _CHUNK)
        except BlockingIOError:
            return [], False
        return self._decoder.messages(data), not data

    def receive_all(self) -> list[Message]:
        """The remaining messages in the pipe of an ended process."""
        messages: list[Message] = []
        with suppress(OSError):
            while data := os.read(self.reading, _CHUNK):
                messages += self._decoder.messages(data)
        return messages

    @property
    def is_dead(self) -> bool:
        """Whether the process has ended; it keeps its number until `reap`."""
        if not hasattr(os, "waitid"):
            return self.process.poll() is not None
        try:
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def processor_time(self) -> float:
        return processor_time(self.process.pid)

    def memory_taken(self, limit: int) -> int:
        """In bytes, looked at closely above the limit."""
        return memory_taken(self.process.pid, limit)

    def files(self) -> dict[str, int]:
        return sizes_of_files(self.folder)

    def last_errors(self) -> str:
        try:
            with open(self.stderr, "rb") as file:
                file.seek(max(0, file.seek(0, 2) - _LAST_LINES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def kill(self, why: str = "") -> None:
        self.killed_for = self.killed_for or why
        if self.process.returncode is None or not hasattr(os, "waitid"):
            self.left += kill_all(self.process.pid, self._traces, self.started_processes)

    def reap(self, patience: float = 0.0) -> str:
        """Kills what is left, closes the pipes, and returns how the process ended, as text; only once.

        patience: seconds for it to end by itself.
        """
        if self._ours:
            self._wait_for_end(patience)
            self.kill()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_LAST_WAIT)
            for number in (*self._ours, self.pidfd):
                if number >= 0:
                    os.close(number)
            self._ours = ()
        return self.killed_for or how_it_ended(self.process.returncode)

    def _wait_for_end(self, seconds: float) -> None:
        until = real_monotonic() + seconds
        while not self.is_dead and real_monotonic() < until:
            if self.pidfd >= 0:
                poll = select.poll()
                poll.register(self.pidfd, select.POLLIN)
                poll.poll(int(max(0.0, until - real_monotonic()) * 1000) + 1)
            else:
                real_sleep(0.005)


def _enlarge(pipe: int) -> None:
    """Lets a large message through in few pieces, if the system allows it."""
    # Missing on Windows, where this module can still be imported.
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


MAX_TOLD = 100_000
"""Bytes of a stream that are shown; the log has all of it."""
_CRASH = re.compile(r"^Fatal Python error: .*", re.MULTILINE | re.DOTALL)
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_LAST_LINES = 20_000


def tell_output(worker: WorkerProcess) -> None:
    """Writes the worker's output to sys.stdout and sys.stderr of this process, without the middle of a long one."""
    _tell(worker.stdout, sys.stdout)
    _tell(worker.stderr, sys.stderr)


def _tell(path: Path, stream: TextIO | None) -> None:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size <= MAX_TOLD:
                data = file.read()
            else:
                first = file.read(MAX_TOLD // 2)
                file.seek(size - MAX_TOLD // 2)
                left_out = f"\n... {size - MAX_TOLD:,} bytes left out, all of it is in {path.name} of the logs ...\n"
                data = first + left_out.encode() + file.read()
    except OSError:
        return
    show(data.decode("utf-8", "replace"), stream)


def crash_failure(phase: Phase, reason: str, last_errors: str) -> Failure:
    """The end of a process, with the frames of the script that the interpreter wrote when native code crashed."""
    frames = _crash_frames(last_errors)
    lines = [f'  File "{frame.file}", line {frame.line}, in {frame.function}' for frame in frames]
    traceback = "\n".join(["Traceback (most recent call last):", *lines]) if frames else ""
    return Failure(phase=phase, error=reason, traceback=traceback, frames=frames)


def _crash_frames(text: str) -> tuple[Frame, ...]:
    crash = _CRASH.search(text)
    if crash is None:
        return ()
    package = str(Path(__file__).parents[3])
    frames = [
        Frame(path, int(line), function)
        for path, line, function in _FRAME.findall(crash.group())
        if not path.startswith((package, "<"))
    ]
    # The interpreter writes the innermost frame first.
    return tuple(reversed(frames))


LOOK_INTERVAL = 0.05
"""Seconds between two checks of workers whose end the system does not signal."""


class MessagePoller:
    """Maps pipes to workers."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._by_number: dict[int, WorkerProcess] = {}
        self._without_pidfd: set[WorkerProcess] = set()

    def add(self, worker: WorkerProcess) -> None:
        self._register(worker.reading, worker, select.POLLIN)
        if worker.pidfd >= 0:
            self._register(worker.pidfd, worker, select.POLLIN)
        else:
            self._without_pidfd.add(worker)
        if worker.has_more_to_say:
            self._register(worker.writing, worker, select.POLLOUT)

    def remove(self, worker: WorkerProcess) -> None:
        """Stops listening; its pipes must still be open."""
        for number in (worker.reading, worker.pidfd, worker.writing):
            self._unregister(number)
        self._without_pidfd.discard(worker)

    def send(self, worker: WorkerProcess, message: Message) -> None:
        """Sends a message; what does not fit into the pipe follows while waiting for others."""
        if not worker.send(message):
            self._register(worker.writing, worker, select.POLLOUT)

    def wait(self, until: float | None) -> Iterator[tuple[WorkerProcess, list[Message] | None]]:
        """What has arrived, at the latest at `until` on the monotonic clock: messages, None for the end of a worker."""
        if self._without_pidfd:
            soon = real_monotonic() + LOOK_INTERVAL
            until = soon if until is None else min(until, soon)
        # Rounded up: a wait that ends slightly early would be followed by one of zero length.
        timeout = None if until is None else max(0, int((until - real_monotonic()) * 1000) + 1)
        for number, _ in self._poll.poll(timeout):
            worker = self._by_number.get(number)
            if worker is None:
                # It was removed because of another one of its pipes.
                continue
            if number == worker.reading:
                messages, at_end = worker.receive()
                if at_end:
                    # Closed by the script, or by its end, which is noticed elsewhere.
                    self._unregister(number)
                yield worker, messages
            elif number == worker.pidfd:
                yield worker, None
            elif worker.push():
                self._unregister(number)
        for worker in [worker for worker in self._without_pidfd if worker.is_dead]:
            yield worker, None

    def _register(self, number: int, worker: WorkerProcess, events: int) -> None:
        self._by_number[number] = worker
        self._poll.register(number, events)

    def _unregister(self, number: int) -> None:
        if self._by_number.pop(number, None) is not None:
            self._poll.unregister(number)

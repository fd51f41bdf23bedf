"""A worker process: it imports the script, calls init(), then run() for each mini-batch that it is sent.

It knows nothing of retries, limits or thresholds; its parent kills it when its time is up. Imports before the script
delay the first result, so everything else is imported where it is needed.
"""

from __future__ import annotations

import _thread
import errno
import os
import sys
from time import perf_counter, sleep

from pytest_parallelrun.emulator.service import STAND_IN_PACKAGES
from pytest_parallelrun.emulator.worker import messages
from pytest_parallelrun.emulator.worker.process_resources import (
    ProcessNamer,
    WorkerOutputFile,
    die_with_parent,
    files_left,
    flush,
    open_files,
    report_fork,
    threads_left,
    trace_crashes,
)
from pytest_parallelrun.emulator.worker.script import FileMiniBatch, functions_of, import_script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched
    from pytest_parallelrun.emulator.worker.script import EntryFunctions

_PLAIN = frozenset({str, int, float, bool, type(None)})
_PACKAGE = __name__.partition(".")[0]
_ENDING = ("Retry.RestartProcess", "Retry.StopProcess")
_FOR_GOOD = 86_400.0
_CHUNK = 1 << 20
_MANY = 1_000
"""Number or length of results that take a moment to send, which is not time of run()."""


def main(reading: int, writing: int, lifeline: int) -> None:  # pragma: no cover - in worker processes
    """Runs until it is told to shut down. The three are pipes: messages in, messages out, and one that only ends."""
    for number in (reading, writing, lifeline):
        os.set_inheritable(number, False)
    die_with_parent(lifeline)
    channel = Channel(reading, writing)
    start = channel.receive()
    assert isinstance(start, messages.Start)
    forked = os.path.join(os.path.dirname(os.getcwd()), f"forked-{start.name}")
    os.register_at_fork(after_in_child=lambda: report_fork(forked))
    worker = ChildWorker(channel, start)
    if start.thread == "worker":
        import threading

        thread = threading.Thread(target=worker.live, name="parallelrun-script")
        thread.start()
        thread.join()
    else:
        worker.live()


class Channel:
    """Messages over the pipes; the end of the incoming one ends the process."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        self._decoder = messages.MessageDecoder()
        self._waiting: list[messages.Message] = []
        # Threads of the script may cause gaps. Not `threading`, whose import takes time; re-entrant, for signal
        # handlers.
        self._lock = _thread.RLock()

    def receive(self) -> messages.Message:
        while not self._waiting:
            data = os.read(self._reading, _CHUNK)
            if not data:  # pragma: no cover - in worker processes
                os._exit(0)
            self._waiting = self._decoder.messages(data)
        return self._waiting.pop(0)

    def send(self, message: messages.Message) -> None:
        data = message.to_bytes()
        with self._lock:
            written = os.write(self._writing, data)
            while written < len(data):
                with memoryview(data) as view:
                    written += os.write(self._writing, view[written:])


class ChildWorker:
    functions: EntryFunctions

    def __init__(self, channel: Channel, start: messages.Start) -> None:
        self._channel = channel
        self._start = start
        self._installed = start.installed
        self._me = os.getpid()
        self._open_before = open_files()
        self._output_file: WorkerOutputFile | None = None
        self._context: Callable[..., object] | None = None
        self._touched: FilesTouched | None = None
        self._observer: Any = None
        self._gap_watch: Any = None

    def live(self) -> None:
        if not self._come_up():
            return
        channel = self._channel
        while True:
            message = channel.receive()
            if type(message) is messages.Run:
                self._attempt(message)
            elif type(message) is messages.Call:
                self._answer(message)
            else:
                self._shut_down()
                return

    def emulator_module(self, module: str) -> ModuleType:
        return self.installed_module(f"{_PACKAGE}.emulator.{module}")

    def _come_up(self) -> bool:
        start = self._start
        sys.path[:] = self._installed
        sys.meta_path.insert(0, ProcessNamer(start.name))
        for name in start.preloaded:
            __import__(name)
        sys.argv = start.argv
        sys.path[:] = [*start.code_path, *self._installed]
        # A run leaves no __pycache__ next to the user's code.
        sys.dont_write_bytecode = True
        for stream in (sys.stdout, sys.stderr):
            # Line by line, since a killed process loses what it has not written yet.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
        trace_crashes()
        sys.meta_path.insert(0, _StandInsOnDemand(self, start.stand_ins))
        if start.quiet:
            import warnings

            warnings.simplefilter("ignore")
        if start.appended:
            self._output_file = WorkerOutputFile(start.appended.replace("<pid>", str(self._me)))
        if start.observer is not None:
            module, name = start.observer
            self._observer = getattr(self.installed_module(module), name)()
            self._observer.__enter__()
        self._watch_files(start.watch)
        if not (self._guarded("import", self._import) and self._guarded("define", self._find_functions)):
            return False
        self._log_to_stdout()
        functions = self.functions
        if functions.takes_context:
            self._context = self.emulator_module("service.worker_info").mini_batch_context
        self._channel.send(messages.PhaseBegun(phase="init"))
        if start.init_failure is not None:
            self._channel.send(messages.StartupFailed(failure=start.init_failure, touched=None, observed=None))
            return False
        if start.init and functions.init is not None and not self._guarded("init", functions.init):
            return False
        touched = self._files_touched()
        if self._observer is not None:
            self._observer.inspect(functions)
        self._channel.send(messages.Up(touched=touched, observed=self._observed()))
        return True

    def report_gaps(self) -> None:
        """Reports each gap of the stand-ins to the parent, once, from now on."""
        self._gap_watch = self.emulator_module("service.missing_api").GapWatch(self._gap_met)
        self._gap_watch.__enter__()

    def _gap_met(self, gap: tuple[str, str]) -> None:
        # At once: the process may not live to the end of the attempt.
        self._channel.send(messages.GapMet(thing=gap[0], advice=gap[1]))

    def _observed(self) -> bytes | None:
        if self._observer is None:
            return None
        self._observer.__exit__(None, None, None)
        data: bytes = self.emulator_module("worker.result_serializer").encode([self._observer.result()])[0]
        return data

    def installed_module(self, module: str) -> ModuleType:
        """An installed module; no file of the user can replace one that it needs."""
        if module not in sys.modules:
            path, before = sys.path, list(sys.path)
            path[:] = self._installed
            try:
                __import__(module)
            finally:
                path[:] = before
        return sys.modules[module]

    def _import(self) -> None:
        self._script = import_script(*self._start.script)

    def _find_functions(self) -> None:
        self.functions = functions_of(self._script)

    def _guarded(self, phase: str, function: Callable[[], object]) -> bool:
        """Calls a function of the script; an exception is sent, and ends the process."""
        failure = self._call(phase, function)
        if failure is not None:
            flush()
            message = messages.StartupFailed(failure=failure, touched=self._files_touched(), observed=self._observed())
            self._channel.send(message)
        return failure is None

    def _call(self, phase: str, function: Callable[[], object]) -> dict[str, Any] | None:
        """The failure of a call, None if it succeeded."""
        failure = None
        ending: BaseException | None = None
        try:
            function()
        except BaseException as error:
            failure = self._failure(phase, error)
            ending = error
        self._after_call(ending)
        return failure

    def _after_call(self, ending: BaseException | None) -> None:
        if os.getpid() != self._me:
            self.emulator_module("sandbox.process_exit").end_forked_child(ending)
        if self._gap_watch is not None:
            self._gap_watch.collect()

    def _failure(self, phase: str, error: BaseException) -> dict[str, Any]:
        """The fields of a `Failure`, even if the script has broken what is needed for them."""
        try:
            fields: dict[str, Any] = self.emulator_module("engines.tracebacks").failure_of(phase, error).to_plain()
            return fields
        except BaseException:
            try:
                return {"phase": phase, "error": f"{type(error).__name__}: {error}"}
            except BaseException:
                return {"phase": phase, "error": type(error).__name__}

    def _attempt(self, message: messages.Run) -> None:
        run, payload = self.functions.run, message.payload
        self._watch_files(message.watch)
        ending: BaseException | None = None
        if type(payload) is bytes:
            try:
                import pickle

                payload = pickle.loads(payload)
            except BaseException as error:
                failure = self._failure("load", error)
                self._channel.send(messages.Raised(running=0.0, failure=failure, touched=self._files_touched()))
                return
            self._channel.send(messages.RunBegun())
        if type(payload) is list and (not payload or type(payload[0]) is str):
            payload = FileMiniBatch(payload, message.mini_batch)
        began = perf_counter()
        try:
            if self._context is None:
                value = run(payload)
            else:
                context = self._context(message.mini_batch, message.first_item, message.partition, message.attempt)
                value = run(payload, context)
            running = perf_counter() - began
        except BaseException as error:
            running = perf_counter() - began
            ending = error
        self._after_call(ending)
        if ending is not None:
            self._channel.send(messages.RunFinished())
            failure = self._failure("run", ending)
            ending = None
            self._channel.send(messages.Raised(running=running, failure=failure, touched=self._files_touched()))
            self._wait_as_requested(failure)
            return
        count: int | None
        if type(value) is list or type(value) is tuple or type(value) is FileMiniBatch:
            count = len(value)
            if count > _MANY or any(type(item) is str and len(item) > _MANY for item in value):
                self._channel.send(messages.RunFinished())
        else:
            self._channel.send(messages.RunFinished())
            count = self.emulator_module("output").count_returned(value)
        if message.drops and count is not None:
            value = value[: -message.drops]  # type: ignore[index]
            count = len(value)
        self._send_returned(running, count, value)

    def _wait_as_requested(self, failure: dict[str, Any]) -> None:
        """Nothing more may happen to a worker that is about to be ended."""
        code, delay = failure.get("retry_request") or ("", 0.0)
        if code == "Retry.Sleep":
            sleep(delay)
        elif code in _ENDING:
            sleep(_FOR_GOOD)

    def _send_returned(self, running: float, count: int | None, value: Any) -> None:
        """The result of run(), unchanged or from `result_serializer`, and appended if required."""
        message = messages.Returned(running=running, count=count)
        if count is None:
            output = self.emulator_module("output")
            message.failure = {
                "phase": "return",
                "error": output.wrong_type_message(value),
                "returned_type": output.returned_type(value),
            }
        else:
            if self._output_file is not None:
                try:
                    message.written = self._append(value)
                except OSError as error:
                    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                    if full:
                        # It is so for all workers, and ends the job.
                        message.written = self._output_file.path, 0, 0, f"'{self._output_file.path}': {error.strerror}"
                    reason = f"the results cannot be appended to '{self._output_file.path}': {error}"
                    message.failure = None if full else {"phase": "return", "error": reason}
            if isinstance(value, (list, tuple)):
                value = list(value)
            if type(value) is list and _PLAIN.issuperset(map(type, value)):
                message.value = value
            else:
                serializer = self.emulator_module("worker.result_serializer")
                try:
                    message.encoded, message.represented = serializer.encode(value)
                except serializer.SerializationError as error:
                    message.failure = message.failure or {"phase": "return", "error": str(error)}
        message.touched = self._files_touched()
        self._channel.send(message)

    def _append(self, value: object) -> tuple[str, int, int, str]:
        assert self._output_file is not None
        output = self.emulator_module("output")
        try:
            return (*self._output_file.write(output.lines_of(value)), "")
        except output.OutputError as error:
            return self._output_file.path, 0, 0, str(error)

    def _answer(self, message: messages.Call) -> None:
        """Calls a function of the emulator or its users, for a question about this worker."""
        import pickle

        try:
            function = getattr(self.installed_module(message.module), message.name)
            answer = function(*pickle.loads(message.arguments))
            self._channel.send(messages.Called(value=pickle.dumps(answer, 5)))
        except Exception as error:
            self._channel.send(messages.Called(failure=self._failure("run", error)))

    def _shut_down(self) -> None:
        shutdown = self.functions.shutdown
        failure = None if shutdown is None else self._call("shutdown", shutdown)
        own_files = {None if self._output_file is None else self._output_file.path}
        files = files_left(self._open_before, own_files)
        self._channel.send(messages.Stopped(failure=failure, threads=threads_left(), files=files))
        flush()

    def _watch_files(self, watch: bool) -> None:
        """Records what is opened from now on, until `_files_touched` is asked."""
        self._touched = None
        if watch:
            file_watch = self.emulator_module("worker.file_watch")
            self._touched = file_watch.FilesTouched()
            self._watch = file_watch.files_watched(self._touched)
            self._watch.__enter__()

    def _files_touched(self) -> list[list[str]] | None:
        touched, self._touched = self._touched, None
        if touched is None:
            return None
        self._watch.__exit__(None, None, None)
        return touched.as_lists()

    def _log_to_stdout(self) -> None:
        """As on the service, records of the root logger go to stdout, unless the script configures logging."""
        logging = sys.modules.get("logging")
        if logging is None or logging.root.handlers:
            return
        logging.root.addHandler(logging.StreamHandler(sys.stdout))
        logging.root.setLevel(self._start.logging_level)


class _StandInsOnDemand:
    """Creates the stand-ins of the service's modules when the script first imports one of them."""

    def __init__(self, worker: ChildWorker, arguments: bytes) -> None:
        self._worker = worker
        self._arguments = arguments

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] not in STAND_IN_PACKAGES:
            return None
        # First, so that everything for unpickling is loaded, whatever the names of the user's files.
        module = self._worker.emulator_module("service.stand_ins")
        self._worker.report_gaps()
        stand_ins = module.StandIns(**self._worker.installed_module("pickle").loads(self._arguments))
        sys.meta_path[sys.meta_path.index(self)] = stand_ins
        return stand_ins.find_spec(name, path, target)

"""A worker process: it imports the script, calls init(), then run() for each mini-batch that it is sent.

It knows nothing of retries, limits or thresholds, and the process that started it kills it when its time is up. What
it imports before the script is time until the first result, so everything else is imported where it is needed.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter, sleep

from pytest_parallelrun.emulator.worker.messages import (
    BEGUN,
    CALL,
    CALLED,
    DOWN,
    INIT,
    OVER,
    PHASE,
    RAISED,
    RETURNED,
    RUN,
    STOPPED,
    UP,
    MessageDecoder,
    frame,
)
from pytest_parallelrun.emulator.worker.process_resources import (
    WorkerOutputFile,
    die_with_parent,
    files_left,
    flush,
    open_files,
    threads_left,
    trace_crashes,
)
from pytest_parallelrun.emulator.worker.script import functions_of, import_script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from pytest_parallelrun.emulator.splitting.model import Partition
    from pytest_parallelrun.emulator.worker.file_watch import FilesTouched
    from pytest_parallelrun.emulator.worker.messages import Message
    from pytest_parallelrun.emulator.worker.script import EntryFunctions

_PLAIN = frozenset({str, int, float, bool, type(None)})
_PACKAGE = __name__.partition(".")[0]
_STAND_IN_ROOTS = ("azureml", "azureml_user", "entry_script")
_ENDING = ("Retry.RestartProcess", "Retry.StopProcess")
_FOR_GOOD = 86_400.0
_CHUNK = 1 << 20
_MANY = 1_000
"""Results, or characters of one, that take a moment to be handed over, which is no time of run()."""


def main(reading: int, writing: int, lifeline: int) -> None:  # pragma: no cover - in worker processes
    """Runs until it is told to shut down. The three are pipes: messages in, messages out, and one that only ends."""
    for number in (reading, writing, lifeline):
        os.set_inheritable(number, False)
    die_with_parent(lifeline)
    channel = Channel(reading, writing)
    start: dict[str, Any] = channel.receive()[1]  # type: ignore[assignment]
    worker = ChildWorker(channel, start)
    if start["thread"] == "worker":
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
        self._unframed = MessageDecoder()
        self._waiting: list[Message] = []

    def receive(self) -> Message:
        while not self._waiting:
            data = os.read(self._reading, _CHUNK)
            if not data:  # pragma: no cover - in worker processes
                os._exit(0)
            self._waiting = self._unframed.messages(data)
        return self._waiting.pop(0)

    def send(self, *message: object) -> None:
        data = frame(message)
        written = os.write(self._writing, data)
        while written < len(data):
            with memoryview(data) as view:
                written += os.write(self._writing, view[written:])


class ChildWorker:
    """The life of a worker, made of the values of the start message (see engines.process.start_message)."""

    functions: EntryFunctions

    def __init__(self, channel: Channel, start: dict[str, Any]) -> None:
        self._channel = channel
        self._start = start
        self._installed: list[str] = start["installed"]
        self._me = os.getpid()
        self._open_before = open_files()
        self._appended: WorkerOutputFile | None = None
        self._context: Callable[..., object] | None = None
        self._touched: FilesTouched | None = None

    def live(self) -> None:
        if not self._come_up():
            return
        channel = self._channel
        while True:
            message = channel.receive()
            kind = message[0]
            if kind == RUN:
                self._attempt(*message[1:])  # type: ignore[arg-type]
            elif kind == CALL:
                self._answer(*message[1:])  # type: ignore[arg-type]
            else:
                self._shut_down()
                return

    def own(self, module: str) -> ModuleType:
        """Imports a module of the emulator."""
        return self._imported(f"{_PACKAGE}.emulator.{module}")

    def _come_up(self) -> bool:
        start = self._start
        sys.path[:] = self._installed
        for name in start["preloaded"]:
            __import__(name)
        sys.argv = start["argv"]
        sys.path[:] = [*start["code_path"], *self._installed]
        # A run leaves no __pycache__ beside the user's code.
        sys.dont_write_bytecode = True
        for stream in (sys.stdout, sys.stderr):
            # Line by line, since a process that is killed loses what it has not written yet.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
        trace_crashes()
        sys.meta_path.insert(0, _StandInsOnDemand(self, start["facts"]))
        if start["quiet"]:
            import warnings

            warnings.simplefilter("ignore")
        if start["appended"]:
            self._appended = WorkerOutputFile(start["appended"].replace("<pid>", str(self._me)))
        observer = self._observer(start["observer"])
        touched = self._watching(start["watch"])
        if not (self._guarded("import", self._import) and self._guarded("define", self._find_functions)):
            return False
        self._log_to_stdout()
        functions = self.functions
        if functions.takes_context:
            self._context = self.own("service.worker_info").MiniBatchContext
        self._channel.send(PHASE, INIT)
        if start["init_fails"]:
            self._channel.send(DOWN, "init", *start["init_fails"], None, None)
            return False
        if start["init"] and functions.init is not None and not self._guarded("init", functions.init):
            return False
        seen = self._seen(touched)
        if observer is not None:
            observer.look(functions)
        self._channel.send(UP, seen, self._observed())
        return True

    def _observer(self, place: tuple[str, str] | None) -> Any:
        """Begins to watch with an observer of the caller's, from before the script is imported."""
        self._watching_too = None
        if place is not None:
            self._watching_too = getattr(self._imported(place[0]), place[1])()
            self._watching_too.__enter__()
        return self._watching_too

    def _observed(self) -> bytes | None:
        if self._watching_too is None:
            return None
        self._watching_too.__exit__(None, None, None)
        data: bytes = self.own("worker.result_serializer").encode([self._watching_too.told()])[0]
        return data

    def _imported(self, module: str) -> ModuleType:
        """A module that is installed, where no file of the user's can be taken for one that it needs."""
        if module not in sys.modules:
            path, before = sys.path, list(sys.path)
            path[:] = self._installed
            try:
                __import__(module)
            finally:
                path[:] = before
        return sys.modules[module]

    def _import(self) -> None:
        script: tuple[str, str, str] = self._start["script"]
        self._script = import_script(*script)

    def _find_functions(self) -> None:
        self.functions = functions_of(self._script)

    def _guarded(self, phase: str, function: Callable[[], object]) -> bool:
        """Calls a function of the script; what it raises is told, and ends the process."""
        failure = self._call(function)
        if failure is not None:
            flush()
            self._channel.send(DOWN, phase, *failure, self._seen(self._touched), self._observed())
        return failure is None

    def _call(self, function: Callable[[], object]) -> tuple[str, str] | None:
        """The error and the traceback of a call, None where it went well."""
        failure = None
        ending: BaseException | None = None
        try:
            function()
        except BaseException as error:
            failure = self._told(error)
            ending = error
        if os.getpid() != self._me:
            self.own("sandbox.process_exit").end_forked_child(ending)
        return failure

    def _told(self, error: BaseException) -> tuple[str, str]:
        """Error and traceback in words, also where the script has broken what is needed for it."""
        try:
            failures = self.own("engines.tracebacks")
            return failures.describe_exception(error), failures.user_traceback(error)
        except BaseException:
            try:
                return f"{type(error).__name__}: {error}", ""
            except BaseException:
                return type(error).__name__, ""

    def _attempt(
        self, number: int, first_item: int, partition: Partition, payload: Any, drops: int, watch: bool
    ) -> None:
        """One call of run(); payload: a list of paths or of dicts, or the pickle of a DataFrame."""
        run = self.functions.run
        touched = self._watching(watch) if watch else None
        ending: BaseException | None = None
        if type(payload) is bytes:
            try:
                payload = self._unpickled(payload)
            except BaseException as error:
                self._channel.send(RAISED, 0.0, "load", *self._told(error), None, self._seen(touched))
                return
            self._channel.send(BEGUN)
        began = perf_counter()
        try:
            if self._context is None:
                value = run(payload)
            else:
                context = self._context(
                    minibatch_index=number,
                    global_row_index_lower_bound=first_item,
                    partition_key_value=dict(partition) or None,
                )
                value = run(payload, context)
            running = perf_counter() - began
        except BaseException as error:
            running = perf_counter() - began
            ending = error
        if os.getpid() != self._me:
            self.own("sandbox.process_exit").end_forked_child(ending)
        if ending is not None:
            self._channel.send(OVER)
            retry_request = self.own("engines.tracebacks").retry_code(ending)
            told = self._told(ending)
            ending = None
            self._channel.send(RAISED, running, "run", *told, retry_request, self._seen(touched))
            if retry_request is not None:
                # Of a worker that is to be ended nothing more may happen.
                sleep(
                    retry_request[1]
                    if retry_request[0] == "Retry.Sleep"
                    else _FOR_GOOD
                    if retry_request[0] in _ENDING
                    else 0.0
                )
            return
        count: int | None
        wrong = None
        if type(value) is list or type(value) is tuple:
            count = len(value)
            if count > _MANY or any(type(item) is str and len(item) > _MANY for item in value):
                self._channel.send(OVER)
        else:
            self._channel.send(OVER)
            output = self.own("output")
            count = output.count_returned(value)
            if count is None:
                wrong = output.wrong_type_message(value)
        if drops and count is not None:
            value = value[:-drops]  # type: ignore[index]
            count = len(value)
        self._hand_over(running, count, wrong, value, touched)

    def _unpickled(self, data: bytes) -> object:
        import pickle

        return pickle.loads(data)

    def _hand_over(
        self, running: float, count: int | None, wrong: str | None, value: Any, touched: FilesTouched | None
    ) -> None:
        """Sends what run() returned: as it is, or as `handing_over` makes it; and appends it where it is to be."""
        blob: bytes | None = None
        represented = 0
        cannot: str | None = None
        written = None
        if count is None:
            value = None
        else:
            if self._appended is not None:
                try:
                    written = self._append(value)
                except OSError as error:
                    cannot = f"the results cannot be appended to '{self._appended.path}': {error}"
            if isinstance(value, (list, tuple)):
                value = list(value)
            if type(value) is not list or not _PLAIN.issuperset(map(type, value)):
                handing_over = self.own("worker.result_serializer")
                try:
                    blob, represented = handing_over.encode(value)
                except handing_over.SerializationError as error:
                    cannot = cannot or str(error)
                value = None
        if cannot is not None:
            value = None
        seen = self._seen(touched)
        self._channel.send(RETURNED, running, count, wrong, value, blob, represented, cannot, written, seen)

    def _append(self, value: object) -> tuple[str, int, int, str]:
        assert self._appended is not None
        output = self.own("output")
        try:
            return (*self._appended.write(output.lines_of(value)), "")
        except output.OutputError as error:
            return self._appended.path, 0, 0, str(error)

    def _answer(self, module: str, name: str, arguments: bytes) -> None:
        """Calls a function of the emulator or of its users, for a question about this worker."""
        import pickle

        try:
            function = getattr(self._imported(module), name)
            answer = function(*pickle.loads(arguments))
            self._channel.send(CALLED, pickle.dumps(answer, 5), "")
        except Exception as error:
            self._channel.send(CALLED, b"", "\n".join(self._told(error)))

    def _shut_down(self) -> None:
        shutdown = self.functions.shutdown
        failure = None if shutdown is None else self._call(shutdown)
        own = {None if self._appended is None else self._appended.path}
        self._channel.send(STOPPED, failure, threads_left(), files_left(self._open_before, own))
        flush()

    def _watching(self, watch: bool) -> FilesTouched | None:
        """What is opened from now on, until `_seen` is asked."""
        self._touched = None
        if watch:
            file_watch = self.own("worker.file_watch")
            self._touched = file_watch.FilesTouched()
            self._watch = file_watch.files_watched(self._touched)
            self._watch.__enter__()
        return self._touched

    def _seen(self, touched: FilesTouched | None) -> list[list[str]] | None:
        if touched is None:
            return None
        self._watch.__exit__(None, None, None)
        self._touched = None
        return touched.as_lists()

    def _log_to_stdout(self) -> None:
        """As on the service, records of the root logger go to stdout, where the script has arranged for nothing."""
        logging = sys.modules.get("logging")
        if logging is None or logging.root.handlers:
            return
        logging.root.addHandler(logging.StreamHandler(sys.stdout))
        logging.root.setLevel(self._start["logging_level"])


class _StandInsOnDemand:
    """Makes the stand-ins of the service's modules when the script first asks for one of them."""

    def __init__(self, worker: ChildWorker, facts: dict[str, Any]) -> None:
        self._worker = worker
        self._facts = facts

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] not in _STAND_IN_ROOTS:
            return None
        from_facts = self._worker.own("service.stand_ins").stand_ins_from
        stand_ins = from_facts(self._facts)
        sys.meta_path[sys.meta_path.index(self)] = stand_ins
        return stand_ins.find_spec(name, path, target)

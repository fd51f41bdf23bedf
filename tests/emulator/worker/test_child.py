"""What a worker process executes, here in this one: messages in, messages out."""

from __future__ import annotations

import errno
import io
import logging
import os
import pickle
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pytest

from pytest_parallelrun.emulator.events import Failure
from pytest_parallelrun.emulator.sandbox.process_state import process_state_restored
from pytest_parallelrun.emulator.service.worker_info import WorkerInfo
from pytest_parallelrun.emulator.worker import child, process_resources
from pytest_parallelrun.emulator.worker.child import Channel, ChildWorker
from pytest_parallelrun.emulator.worker.messages import (
    Call,
    Called,
    GapMet,
    Message,
    MessageDecoder,
    PhaseBegun,
    Raised,
    Returned,
    Run,
    RunBegun,
    RunFinished,
    Shutdown,
    Start,
    StartupFailed,
    Stopped,
    Up,
)
from pytest_parallelrun.emulator.worker.process_resources import WorkerOutputFile
from pytest_parallelrun.emulator.worker.result_serializer import decode

NAMES = "import os\ndef run(paths):\n    return [os.path.basename(path) for path in paths]\n"


class Exchange:
    """A channel: gives what it was made with, keeps what it is sent."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)
        self.sent: list[Any] = []

    def receive(self) -> Message:
        return self._messages.pop(0)

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.sent if type(message) is kind]


def answer(*arguments: object) -> object:
    """What is asked of a worker in these tests."""
    if not arguments:
        raise ValueError("no arguments")
    return arguments


class Watching:
    """An observer of these tests."""

    def __init__(self) -> None:
        self._seen = ["made"]

    def __enter__(self) -> Watching:
        self._seen.append("entered")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._seen.append("left")

    def inspect(self, functions: object) -> None:
        self._seen.append("looked")

    def result(self) -> list[str]:
        return self._seen


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Path]:
    """This process as a worker finds its own, put back afterwards."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(process_resources, "trace_crashes", lambda: None)
    monkeypatch.setattr(child, "trace_crashes", lambda: None)
    before = set(sys.modules)
    with process_state_restored():
        os.chdir(tmp_path)
        yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(("azureml", "entry_of")):
            del sys.modules[name]


_COUNT = iter(range(1000))


def live(folder: Path, script: str, *messages: Message, **changes: object) -> Exchange:
    """The life of a worker that gets the messages."""
    # Modules stay, so each has a name of its own.
    path = folder / f"entry_of_test_{next(_COUNT)}.py"
    path.write_text(script, encoding="utf-8")
    worker_info = WorkerInfo(
        agent_name="process000",
        output_dir=folder / "out",
        working_dir=folder,
        entry_dir=folder,
        log_dir=folder / "logs",
        logging_level="INFO",
        models={"m": folder},
    )
    start = {
        "name": "process000",
        "script": (path.stem, str(path), path.name),
        "argv": [str(path), "--one", "1"],
        "code_path": [str(folder)],
        "installed": list(sys.path),
        "preloaded": [],
        "stand_ins": pickle.dumps({"worker_info": worker_info, "code_root": folder, "azureml": "standin"}),
        "logging_level": "INFO",
        "appended": None,
        "thread": "main",
        "init": True,
        "init_failure": None,
        "watch": False,
        "quiet": False,
        "observer": None,
        **changes,
    }
    exchange = Exchange(*messages, Shutdown())
    ChildWorker(exchange, Start(**start)).live()  # type: ignore[arg-type]
    return exchange


def run_message(
    payload: object, *, partition: tuple[tuple[str, str], ...] = (), drops: int = 0, watch: bool = False
) -> Run:
    return Run(mini_batch=3, attempt=2, first_item=30, partition=partition, payload=payload, drops=drops, watch=watch)


def test_it_comes_up_runs_and_shuts_down(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = f"import sys\nprint(sys.argv)\ndef init():\n    print('init')\n{NAMES}def shutdown():\n    print('bye')"
    # This process is that of all tests, and some of them leave threads that only its end can end.
    there_already = process_resources.threads_left()
    sent = live(here, script, run_message(["/a/b", "/a/c"])).sent
    assert [type(message) for message in sent] == [PhaseBegun, Up, Returned, Stopped]
    assert sent[2] == Returned(running=sent[2].running, count=2, value=["b", "c"], touched=None)
    assert sent[2].running >= 0
    assert sent[3] == Stopped(failure=None, threads=there_already, files=[])
    arguments, *printed = capsys.readouterr().out.splitlines()
    assert arguments.endswith("'--one', '1']")
    assert printed == ["init", "bye"]


@pytest.mark.parametrize(
    ("script", "phase", "error"),
    [
        ("1 / 0", "import", "ZeroDivisionError: division by zero"),
        ("run = 1", "define", "AttributeError: the entry script has a run that is int; "),
        ("def init(): 1 / 0\ndef run(paths): return paths", "init", "ZeroDivisionError"),
        ("import sys\nsys.exit('no')", "import", "SystemExit: no"),
    ],
)
def test_what_fails_before_it_is_up_is_told_with_its_phase(here: Path, script: str, phase: str, error: str) -> None:
    [message] = live(here, script).of(StartupFailed)
    failure = Failure.from_plain(message.failure)
    assert failure.phase == phase
    assert failure.error.startswith(error)
    assert bool(failure.frames) == (phase != "define")
    assert ("Traceback" in failure.traceback) == (phase != "define")


def test_init_is_left_out_on_wish(here: Path) -> None:
    assert live(here, "def init(): 1 / 0\ndef run(paths): return paths", init=False).of(Up) == [
        Up(touched=None, observed=None)
    ]


def test_a_fault_in_init_needs_no_call_of_it(here: Path) -> None:
    failure = {"phase": "init", "error": "injected"}
    exchange = live(here, NAMES, init_failure=failure)
    assert exchange.of(StartupFailed) == [StartupFailed(failure=failure, touched=None, observed=None)]


def test_the_context_goes_to_a_run_that_takes_it(here: Path) -> None:
    script = "def run(paths, context):\n    return [context.minibatch_index, context.global_row_index_lower_bound]"
    assert live(here, script, run_message(["a"])).of(Returned)[0].value == [3, 30]


def test_files_and_not_rows_of_json_come_with_the_id_of_their_mini_batch(here: Path) -> None:
    script = "def run(batch, context):\n    return [str(getattr(batch, 'task_id', None)), context.retry_count]"
    first, second = live(here, script, run_message(["a"]), run_message([{"a": 1}])).of(Returned)
    assert (first.value, second.value) == (["3", 1], ["None", 1])


def test_the_context_has_the_partition_in_a_worker_process_too(here: Path) -> None:
    script = "def run(paths, context):\n    return [str(context.partition_key_value)] * len(paths)"
    first, second = (run_message(["a"], partition=partition) for partition in ((), (("Store", "1000"),)))
    assert [answer.value for answer in live(here, script, first, second).of(Returned)] == [
        ["None"],
        ["{'Store': '1000'}"],
    ]


def test_a_table_is_unpacked_before_run_begins(here: Path) -> None:
    frame_bytes = pickle.dumps(pd.DataFrame({"x": [1, 2]}))
    exchange = live(here, "def run(table):\n    return table", run_message(frame_bytes), preloaded=["pandas"])
    assert exchange.of(RunBegun) == [RunBegun()]
    [message] = exchange.of(Returned)
    assert (message.count, message.value) == (2, None)
    returned = decode(message.encoded)
    assert isinstance(returned, pd.DataFrame)
    assert returned["x"].tolist() == [1, 2]


def test_a_table_that_cannot_be_unpacked_fails_to_load(here: Path) -> None:
    [message] = live(here, NAMES, run_message(b"no pickle")).of(Raised)
    assert message.failure["phase"] == "load"
    assert message.failure["error"].startswith("_pickle.UnpicklingError")


def test_what_run_raises_is_told_with_what_it_wishes(here: Path) -> None:
    script = """
from azureml.exceptions import ParallelRunException
def run(paths):
    if paths == ["plain"]:
        raise ValueError("bad")
    raise ParallelRunException("not again", code="Retry.NoRetry")
"""
    messages = live(here, script, run_message(["plain"]), run_message(["other"])).of(Raised)
    plain, requesting = (Failure.from_plain(message.failure) for message in messages)
    assert (plain.phase, plain.error, plain.retry_request) == ("run", "ValueError: bad", None)
    assert requesting.retry_request == ("Retry.NoRetry", 0.0)


def test_a_gap_of_the_stand_ins_is_told_at_once_and_only_once(here: Path) -> None:
    script = """
from azureml.core import Run
def run(paths):
    hasattr(Run, "gap")
    return paths
"""
    sent = live(here, script, run_message(["a"]), run_message(["b"])).sent
    assert [type(message) for message in sent] == [PhaseBegun, Up, GapMet, Returned, Returned, Stopped]
    assert sent[2].thing == "azureml.core.run.Run.gap"
    assert "azureml=installed" in sent[2].advice


def test_pauses_and_ends_are_waited_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(child, "sleep", slept.append)
    script = """
from azureml.exceptions import ParallelRunException
def run(paths):
    raise ParallelRunException("later", code=paths[0], delay_seconds=5)
"""
    live(here, script, *(run_message([code]) for code in ("Retry.Sleep", "Retry.StopProcess", "Retry.NoRetry")))
    assert slept == [5.0, 86_400.0]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(("error", "text"), [(ValueError("bad"), "ValueError: bad"), (Unspeakable(), "Unspeakable")])
def test_an_error_is_told_though_what_words_it_is_broken(
    here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    monkeypatch.setattr(ChildWorker, "emulator_module", lambda self, module: None)
    worker = ChildWorker(Exchange(), Start(installed=list(sys.path)))  # type: ignore[call-arg, arg-type]
    assert worker._failure("run", error) == {"phase": "run", "error": text}


@pytest.mark.parametrize(
    ("returns", "count", "wrong"),
    [
        ("None", None, "run() returned None."),
        ("(1, 2)", 2, None),
        ("[]", 0, None),
        ("'text'", None, "run() returned str"),
    ],
)
def test_what_is_returned_is_counted(here: Path, returns: str, count: int | None, wrong: str | None) -> None:
    [message] = live(here, f"def run(paths):\n    return {returns}", run_message(["a"])).of(Returned)
    assert message.count == count
    if wrong is None:
        assert message.failure is None
    else:
        assert message.failure["error"].startswith(wrong)
        assert message.failure["returned_type"] in wrong


@pytest.mark.parametrize("returns", ["['x'] * 1001", "['x' * 1001]", "{1: 2}"])
def test_that_run_is_over_is_told_before_what_takes_a_moment(here: Path, returns: str) -> None:
    sent = live(here, f"def run(paths):\n    return {returns}", run_message(["a"])).sent
    assert [type(message) for message in sent][2:4] == [RunFinished, Returned]


def test_results_are_dropped_where_a_fault_wants_it(here: Path) -> None:
    [message] = live(here, "def run(paths):\n    return (1, 2, 3)", run_message(["a"], drops=2)).of(Returned)
    assert (message.count, message.failure, message.value) == (1, None, [1])


def test_objects_cross_as_their_texts(here: Path) -> None:
    script = "class Own:\n    def __str__(self): return 'mine'\ndef run(paths):\n    return [Own(), 1]"
    [message] = live(here, script, run_message(["a"])).of(Returned)
    assert [str(thing) for thing in decode(message.encoded)] == ["mine", "1"]  # type: ignore[attr-defined]
    assert message.represented == 1


def test_what_has_no_text_is_told_as_what_cannot_cross(here: Path) -> None:
    script = "class Own:\n    def __str__(self): raise KeyError('no')\ndef run(paths):\n    return [Own()]"
    [message] = live(here, script, run_message(["a"])).of(Returned)
    error = "a result of type Own cannot be serialized: str() or repr() of it raised KeyError: 'no'"
    assert message.failure == {"phase": "return", "error": error}


def test_results_are_appended_and_where_is_told(here: Path) -> None:
    appended = str(here / "temp_0_<pid>_out.txt")
    exchange = live(here, NAMES, run_message(["a"]), run_message(["bc"]), appended=appended)
    path = here / f"temp_0_{os.getpid()}_out.txt"
    assert [message.written for message in exchange.of(Returned)] == [(str(path), 0, 2, ""), (str(path), 2, 3, "")]
    assert path.read_text("utf-8") == "a\nbc\n"


def test_a_file_of_an_earlier_worker_of_the_same_number_is_gone_on_with(here: Path) -> None:
    (here / "temp").write_text("earlier\n", encoding="utf-8")
    [message] = live(here, NAMES, run_message(["a"]), appended=str(here / "temp")).of(Returned)
    assert message.written == (str(here / "temp"), 8, 2, "")


def test_a_full_disk_ends_the_job_and_not_the_attempt_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: WorkerOutputFile, data: bytes) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(WorkerOutputFile, "write", write)
    [message] = live(here, NAMES, run_message(["a"]), appended=str(here / "temp")).of(Returned)
    assert message.failure is None
    assert message.written == (str(here / "temp"), 0, 0, f"'{here / 'temp'}': No space left on device")


def test_what_cannot_be_appended_is_told(here: Path) -> None:
    (here / "gone").touch()
    appended = str(here / "gone" / "temp")
    [message] = live(here, NAMES, run_message(["a"]), appended=appended).of(Returned)
    assert message.failure["error"].startswith(f"the results cannot be appended to '{appended}': [Errno 17]")
    surrogate = "def run(paths):\n    return ['\\udc80']"
    [message] = live(here, surrogate, run_message(["a"]), appended=str(here / "temp")).of(Returned)
    assert message.written[3].startswith("run() returned text that UTF-8 cannot hold")


def test_a_file_that_is_gone_is_not_written_to_where_nobody_finds_it(here: Path) -> None:
    script = "import os\ndef run(paths):\n    if paths == ['b']: os.remove('temp')\n    return paths"
    exchange = live(here, script, run_message(["a"]), run_message(["b"]), appended=str(here / "temp"))
    assert "the file is gone" in exchange.of(Returned)[1].failure["error"]


def test_what_is_opened_is_told_where_somebody_watches(here: Path) -> None:
    script = "open('in_import', 'w').close()\ndef run(paths):\n    open('in_run', 'w').close()\n    return paths"
    exchange = live(here, script, run_message(["a"], watch=True), run_message(["b"]), watch=True)
    assert str(here / "in_import") in exchange.of(Up)[0].touched[1]
    watched, unwatched = exchange.of(Returned)
    assert watched.touched[1] == [str(here / "in_run")]
    assert unwatched.touched is None


def test_an_observer_watches_from_before_the_import(here: Path) -> None:
    place = (__name__, "Watching")
    [up] = live(here, NAMES, observer=place).of(Up)
    assert decode(up.observed) == [["made", "entered", "looked", "left"]]
    [down] = live(here, "1 / 0", observer=place).of(StartupFailed)
    assert decode(down.observed) == [["made", "entered", "left"]]


def test_questions_are_answered(here: Path) -> None:
    calls = (Call(module=__name__, name="answer", arguments=pickle.dumps(each)) for each in ((1, "two"), ()))
    answered, failed = live(here, NAMES, *calls).of(Called)
    assert (pickle.loads(answered.value), answered.failure) == ((1, "two"), None)
    assert failed.failure["error"] == "ValueError: no arguments"


def test_modules_are_imported_apart_from_files_of_the_user(here: Path) -> None:
    (here / "this.py").write_text("1 / 0", encoding="utf-8")
    sys.modules.pop("this", None)
    installed = [path for path in sys.path if path != str(here)]
    worker = ChildWorker(Exchange(), Start(installed=installed))  # type: ignore[call-arg, arg-type]
    sys.path.insert(0, str(here))
    assert "this" in vars(worker.installed_module("this"))["__name__"]
    assert sys.path[0] == str(here)


@pytest.mark.parametrize("quiet", [True, False])
def test_warnings_are_shown_unless_they_are_not_wanted(here: Path, quiet: bool) -> None:
    script = "import warnings\nwarnings.warn('careful')\ndef run(paths): return paths"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        live(here, script, quiet=quiet)
    assert [str(each.message) for each in seen] == ([] if quiet else ["careful"])


def test_what_shutdown_raises_and_leaves_is_told(here: Path) -> None:
    script = """
import threading, logging
kept = open("kept", "w")
logging.getLogger("own").addHandler(logging.FileHandler("logged"))
ended = threading.Event()
threading.Thread(target=ended.wait, name="waiting", daemon=True).start()
def run(paths):
    return paths
def shutdown():
    raise ValueError("no end")
"""
    exchange = live(here, script)
    [stopped] = exchange.of(Stopped)
    assert stopped.failure["error"] == "ValueError: no end"
    assert "waiting" in stopped.threads
    assert str(here / "kept") in stopped.files
    assert str(here / "logged") not in stopped.files
    script_module = next(
        module for name, module in sys.modules.items() if name.startswith("entry_of") and "kept" in vars(module)
    )
    script_module.kept.close()
    script_module.ended.set()
    for handler in logging.getLogger("own").handlers:
        handler.close()
    logging.getLogger("own").handlers.clear()


def test_the_root_logger_is_left_to_a_script_that_has_set_it_up(here: Path) -> None:
    root = logging.root
    root.handlers[:] = []
    script = "import logging\nlogging.basicConfig(level='ERROR')\n" + NAMES
    live(here, script)
    assert root.level == logging.ERROR
    root.handlers[:] = []
    live(here, NAMES)
    assert root.level == logging.INFO


def test_a_process_that_the_script_forked_ends_where_it_came_back(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if this were the child: the number is another one after each call.
    ended: list[BaseException | None] = []
    monkeypatch.setattr("pytest_parallelrun.emulator.sandbox.process_exit.end_forked_child", ended.append)
    numbers = iter(range(100))
    monkeypatch.setattr(os, "getpid", lambda: next(numbers))
    live(here, NAMES, run_message(["a"]))
    assert ended == [None] * len(ended)
    assert len(ended) >= 2


def test_messages_come_whole_through_a_pipe() -> None:
    reading, theirs = os.pipe()
    ours, writing = os.pipe()
    channel = Channel(reading, writing)
    first, second = run_message(["a"]), Shutdown()
    os.write(theirs, first.to_bytes() + second.to_bytes())
    assert [channel.receive(), channel.receive()] == [first, second]
    large = Returned(running=0.1, count=1, value=["x" * 5_000_000])
    sender = threading.Thread(target=channel.send, args=(large,))
    sender.start()
    decoder = MessageDecoder()
    messages: list[Message] = []
    while not messages:
        messages = decoder.messages(os.read(ours, 1 << 16))
    sender.join()
    assert messages == [large]
    for number in (reading, theirs, ours, writing):
        os.close(number)


def test_a_message_that_goes_out_in_pieces_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    out = bytearray()

    def write(number: int, data: bytes) -> int:
        out.extend(data[:3])
        return min(3, len(data))

    monkeypatch.setattr(os, "write", write)
    message = PhaseBegun(phase="init")
    Channel(-1, -1).send(message)
    assert MessageDecoder().messages(bytes(out)) == [message]


def test_streams_that_are_closed_do_not_stop_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def flush(self) -> None:
            flushed.append(True)
            raise OSError("closed")

    flushed: list[bool] = []
    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(sys, "stderr", Closed())
    process_resources.flush()
    monkeypatch.undo()
    assert flushed == [True, True]


def test_open_files_are_none_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> list[str]:
        raise OSError("no /proc")

    monkeypatch.setattr(os, "listdir", refuse)
    assert process_resources.open_files() == set()


def test_a_file_that_is_closed_meanwhile_is_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", lambda path: ["99999"])
    assert process_resources.open_files() == set()


def test_without_threading_no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "threading")
    assert process_resources.threads_left() == []


@pytest.mark.parametrize("closed", [True, False])
def test_crashes_are_traced_where_there_is_a_stderr(monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    calls: list[bool] = []

    def enable() -> None:
        calls.append(closed)
        if closed:
            raise RuntimeError("sys.stderr is None")

    monkeypatch.setattr("faulthandler.enable", enable)
    process_resources.trace_crashes()
    assert calls == [closed]

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_parallelrun import JobSettings
from pytest_parallelrun.contract.entry.entry_under_test import EntryUnderTest
from pytest_parallelrun.emulator.entry import EntryFile, find_entry
from tests.contract.conftest import Judge

NAME = "runs_off_main_thread"
HEAD = "import asyncio, signal, threading, time\n"


def judged(judge: Judge, script: str, *arguments: str) -> tuple[str, str]:
    found = judge(HEAD + script, *arguments, "-k", NAME)
    return found.outcomes[NAME], found.messages[NAME]


ALARM = "signal.signal(signal.SIGINT, signal.default_int_handler)"
RESULT = "    return list(mini_batch)\n"

BOUND = {
    "signal in init": (f"def init():\n    {ALARM}\ndef run(mini_batch):\n" + RESULT, "init() fails", "ValueError"),
    "signal in run": (f"def run(mini_batch):\n    {ALARM}\n" + RESULT, "run() fails", "ValueError"),
    "asserts": (
        "def run(mini_batch):\n    assert threading.current_thread() is threading.main_thread()\n" + RESULT,
        "run() fails",
        "AssertionError",
    ),
    "error rows": (
        f"def run(mini_batch):\n    try: {ALARM}\n"
        "    except ValueError as error: return [f'{path}: ERROR {error}' for path in mini_batch]\n" + RESULT,
        "run() fails",
        "its rows report errors",
    ),
    "None": (
        f"def run(mini_batch):\n    try: {ALARM}\n    except ValueError: return None\n" + RESULT,
        "run() fails",
        "run() returned None",
    ),
}


@pytest.mark.parametrize(("script", "phase", "error"), BOUND.values(), ids=BOUND)
def test_what_only_the_main_thread_may_do_is_advice(judge: Judge, script: str, phase: str, error: str) -> None:
    outcome, message = judged(judge, script)
    assert outcome == "advice"
    assert f"{phase} outside the main thread: " in message
    assert error in message
    assert "--parallelrun-set=thread=worker" in message


@pytest.mark.skipif(sys.platform == "win32", reason="loops handle no signals there")
def test_signal_handlers_of_an_event_loop_are_found(judge: Judge) -> None:
    script = (
        "async def score(): asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)\n"
        "def run(mini_batch):\n    asyncio.run(score())\n" + RESULT
    )
    outcome, message = judged(judge, script)
    assert outcome == "advice"
    assert "only works in main thread" in message


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "asyncio.run(asyncio.sleep(0))",
        "time.sleep(0.01)",
        "signal.getsignal(signal.SIGINT)",
        "threading.current_thread() is threading.main_thread() and signal.signal(signal.SIGTERM, signal.SIG_DFL)",
    ],
)
def test_what_any_thread_may_do_passes(judge: Judge, body: str) -> None:
    assert judged(judge, f"def run(mini_batch):\n    {body}\n" + RESULT)[0] == "passed"


@pytest.mark.parametrize(("body", "expected"), [("pass", "passed"), (ALARM, "advice")])
def test_a_script_that_returns_nothing_on_purpose_is_tried(judge: Judge, body: str, expected: str) -> None:
    script = f"def run(mini_batch):\n    {body}\n    return []\n"
    assert judged(judge, script, "--parallelrun-set=error_threshold=-1")[0] == expected


def test_rows_that_name_their_thread_pass(judge: Judge) -> None:
    script = "def run(mini_batch):\n    return [threading.current_thread().name for path in mini_batch]\n"
    assert judged(judge, script)[0] == "passed"


def test_a_script_that_fails_on_the_main_thread_as_well_cannot_be_decided(judge: Judge) -> None:
    outcome, message = judged(judge, "def run(mini_batch):\n    raise ValueError\n")
    assert outcome == "skipped"
    assert "run() fails for every mini-batch; see test_no_silent_losses: ValueError" in message


def test_a_script_that_hangs_is_not_tried_where_nothing_stops_it(judge: Judge) -> None:
    outcome, message = judged(judge, "def run(mini_batch):\n    time.sleep(1000)\n" + RESULT)
    assert outcome == "skipped"
    assert "outside the main thread it cannot be stopped" in message


def test_a_failure_that_comes_and_goes_is_not_the_thread(judge: Judge) -> None:
    # The second worker of all fails, and every later one.
    script = (
        "import os, tempfile\nMARK = os.path.join(os.path.dirname(__file__), 'mark')\n"
        "def run(mini_batch):\n    if os.path.exists(MARK) and os.getcwd() not in open(MARK).read(): raise ValueError\n"
        "    open(MARK, 'w').write(os.getcwd())\n" + RESULT
    )
    outcome, message = judged(judge, script)
    assert outcome == "skipped"
    assert "so the thread may not be the cause: ValueError" in message


def test_a_gate_that_runs_off_the_main_thread_has_shown_it(judge: Judge) -> None:
    assert judged(judge, "def run(mini_batch):\n" + RESULT, "--parallelrun-set=thread=worker")[0] == "passed"


def test_copies_of_the_sample_differ_by_a_number_alone(project: Path, tmp_path: Path) -> None:
    # Rows hold paths: with a random name in them they would differ in form, and be taken for rows that tell of errors.
    script = find_entry(project / "score.py")
    assert isinstance(script, EntryFile)
    entry = EntryUnderTest(
        entry=script, settings=JobSettings(), arguments=(), models={}, sample=None, folder=tmp_path / "copies"
    )
    entry.folder.mkdir()
    made = [entry.new_folder("sample") for _ in range(3)]
    assert [folder.name for folder in made] == ["sample-1", "sample-2", "sample-3"]
    # A script that skips paths it has seen must not take new files for old ones.
    made[2].rmdir()
    assert entry.new_folder("sample").name == "sample-4"

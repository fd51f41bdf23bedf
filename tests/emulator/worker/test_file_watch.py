"""What a script opens, as an audit hook sees it."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.worker import file_watch
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched, files_watched, unwatched


def watched(action: Callable[[], object]) -> FilesTouched:
    touched = FilesTouched()
    with files_watched(touched):
        action()
    return touched


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("text", encoding="utf-8")
    return str(tmp_path) + os.sep


def test_files_that_are_read_and_those_that_could_not_be(here: str) -> None:
    def read() -> None:
        Path("there").read_text(encoding="utf-8")
        with pytest.raises(FileNotFoundError):
            open(b"missing")  # noqa: SIM115
        with pytest.raises(IsADirectoryError):
            open(here)  # noqa: SIM115

    assert list(watched(read).read) == [here + "there", here + "missing", here[:-1]]


@pytest.mark.parametrize("mode", ["w", "x", "r+", "a+"])
def test_files_that_are_written(here: str, mode: str) -> None:
    name = "new" if mode == "x" else "there"
    touched = watched(lambda: open(name, mode).close())
    assert list(touched.written) == [here + name]
    assert list(touched.appended) == ([here + name] if mode == "a+" else [])
    assert not touched.read


def test_files_that_are_moved_linked_and_removed(here: str) -> None:
    def move() -> None:
        os.rename("there", "moved")
        os.symlink("moved", "link")
        os.remove("link")
        os.mkdir("folder")
        os.rmdir("folder")

    touched = watched(move)
    assert list(touched.written) == [here + "moved", here + "link"]
    assert list(touched.removed) == [here + "there", here + "link", here + "folder"]


def test_databases_count_as_written(here: str) -> None:
    def connect() -> None:
        sqlite3.connect("cache.db").close()
        sqlite3.connect(":memory:").close()

    assert list(watched(connect).written) == [here + "cache.db"]


def test_logs_and_scratch_files_are_told_apart(here: str) -> None:
    def log() -> None:
        logging.FileHandler("run.log").close()
        with tempfile.TemporaryDirectory(dir=here) as folder:
            Path(folder, "inside").touch()

    touched = watched(log)
    assert list(touched.logged) == [here + "run.log"]
    assert not touched.written
    assert not touched.removed
    (scratch,) = touched.scratch
    assert os.path.dirname(scratch) == here[:-1]


def test_what_has_no_path_of_its_own_is_left_out(here: str) -> None:
    def write() -> None:
        reading, writing = os.pipe()
        with open(reading, "rb"), open(writing, "wb"):
            pass
        open(os.devnull, "w").close()

    touched = watched(write)
    assert not touched.read
    assert not touched.written


def test_other_threads_are_watched_too(here: str) -> None:
    def read() -> None:
        thread = threading.Thread(target=Path("there").read_bytes)
        thread.start()
        thread.join()

    assert list(watched(read).read) == [here + "there"]


def test_watches_may_overlap_and_end_in_any_order(here: str) -> None:
    outer, inner = FilesTouched(), FilesTouched()
    with files_watched(outer):
        with files_watched(inner):
            open("a", "w").close()
        open("b", "w").close()
    open("c", "w").close()
    assert list(inner.written) == [here + "a"]
    assert list(outer.written) == [here + "a", here + "b"]


def test_an_error_of_the_watch_does_not_reach_the_script(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watch, "_path", lambda given: 1 / 0)
    touched = watched(lambda: Path("there").read_bytes())
    assert not touched.read


def test_nothing_is_hooked_before_somebody_watches() -> None:
    code = (
        "import sys; hooks = []; sys.addaudithook = hooks.append\n"
        "import pytest_parallelrun.emulator.worker.file_watch as watch; assert not hooks\n"
        "for _ in 'ab':\n    with watch.files_watched(watch.FilesTouched()): pass\n"
        "assert len(hooks) == 1"
    )
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True)


def test_events_say_what_was_touched(here: str) -> None:
    # Directly, since nothing traces what an audit hook calls.
    touched = FilesTouched()
    reading, writing, appending = os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_APPEND
    for event, arguments in (
        ("open", ("there", "r", reading)),
        ("open", (Path("out"), "w", writing)),
        ("open", (b"log", "a", appending)),
        ("open", ("by flags", None, "no number")),
        ("open", (3, "r", reading)),
        ("open", (os.devnull, "w", writing)),
        ("open", ("", "r", reading)),
        ("tempfile.mkstemp", (here + "scratch",)),
        ("tempfile.mkdtemp", (here + "scratches",)),
        ("open", ("scratch", "w", writing)),
        ("os.remove", ("scratches/inside", -1)),
        ("os.remove", ("relative to a folder", 7)),
        ("os.rename", ("out", "moved", -1, -1)),
        ("os.link", ("moved", "linked", -1, -1)),
        ("sqlite3.connect", ("some.db",)),
        ("sqlite3.connect", (":memory:",)),
        ("shutil.rmtree", ("folder", None)),
    ):
        touched.add(event, arguments)
    assert list(touched.read) == [here + "there", here + "by flags"]
    assert list(touched.written) == [here + "out", here + "log", here + "moved", here + "linked", here + "some.db"]
    assert list(touched.appended) == [here + "log"]
    assert list(touched.removed) == [here + "out", here + "folder"]
    assert list(touched.scratch) == [here + "scratch", here + "scratches"]


def test_a_logging_handler_is_known_by_the_frames_above(here: str) -> None:
    touched = FilesTouched()
    namespace = {"__name__": "logging.handlers", "touched": touched, "flags": os.O_WRONLY}
    exec("touched.add('open', ('run.log', 'a', flags))", namespace)
    assert list(touched.logged) == [here + "run.log"]
    assert not touched.written


@pytest.mark.parametrize("module", ["mlflow.store.tracking.file_store", "mlflow.tracking.client"])
def test_what_mlflow_tracks_runs_in_is_told_apart(here: str, module: str) -> None:
    touched = FilesTouched()
    namespace = {"__name__": module, "touched": touched, "flags": os.O_WRONLY | os.O_APPEND}
    code = """
touched.add('open', ('metric', 'a', flags))
touched.add('os.rename', ('made', 'meta.yaml', -1, -1))
touched.add('sqlite3.connect', ('mlflow.db',))
"""
    exec(code, namespace)
    assert list(touched.logged) == [here + "metric", here + "meta.yaml", here + "mlflow.db"]
    assert not touched.written
    assert not touched.appended


@pytest.mark.parametrize("module", ["mlflow.sklearn", "mlflow_helpers", "logging_setup"])
def test_a_model_that_mlflow_saves_is_the_script_s_own(here: str, module: str) -> None:
    touched = FilesTouched()
    namespace = {"__name__": module, "touched": touched, "flags": os.O_WRONLY}
    exec("touched.add('open', ('model.pkl', 'w', flags))", namespace)
    assert list(touched.written) == [here + "model.pkl"]


def test_the_hook_tells_all_who_watch_and_keeps_errors_to_itself(here: str) -> None:
    arguments = ("there", "r", os.O_RDONLY)
    file_watch._hook("open", arguments)
    first, second = FilesTouched(), FilesTouched()
    with files_watched(first), files_watched(second):
        file_watch._hook("open", arguments)
        file_watch._hook("compile", (b"", "there"))
        file_watch._hook("open", ())
    assert list(first.read) == list(second.read) == [here + "there"]


def test_what_the_emulator_opens_itself_is_no_script_s(tmp_path: Path) -> None:
    touched = FilesTouched()
    with files_watched(touched):
        with unwatched():
            (tmp_path / "own").touch()
        (tmp_path / "theirs").write_text("x", encoding="utf-8")
    assert list(touched.written) == [str(tmp_path / "theirs")]

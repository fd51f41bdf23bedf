"""What is around a worker: its name, files that it has open, and what these hold back."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import sys
from importlib.util import module_from_spec
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.worker import process_resources
from pytest_parallelrun.emulator.worker.process_resources import (
    MAIN_PROCESS,
    ProcessNamer,
    flush_files,
    is_device,
    name_process,
    process_name,
)


@pytest.mark.parametrize("mode", ["w", "wb", "w+"])
def test_what_an_open_file_holds_back_is_written(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "held"
    with open(path, mode) as file:
        file.write(b"x" if mode == "wb" else "x")
        assert path.read_text() == ""
        flush_files([str(path)])
        assert path.read_text() == "x"


def test_a_file_that_is_not_open_flushes_no_other(tmp_path: Path) -> None:
    with open(tmp_path / "held", "w") as file:
        file.write("x")
        flush_files([str(tmp_path / "another")])
        assert (tmp_path / "held").read_text() == ""


def test_where_the_system_does_not_tell_what_is_open_all_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_resources, "open_files", set)
    with open(tmp_path / "held", "w") as file, open(tmp_path / "closed", "w") as closed:
        closed.close()
        file.write("x")
        flush_files([str(tmp_path / "held")])
        assert (tmp_path / "held").read_text() == "x"


@pytest.mark.parametrize(
    ("path", "device"), [("/dev/null", True), ("/proc/self/fd/1", True), ("/dev/shm/a", False), ("/a", False)]
)
def test_a_folder_in_memory_is_no_device(path: str, device: bool) -> None:
    assert is_device(path) is device


def test_forked_children_are_told_line_by_line(tmp_path: Path) -> None:
    for _ in range(2):
        process_resources.report_fork(tmp_path / "forked")
    assert (tmp_path / "forked").read_text() == f"{os.getpid()}\n" * 2


def test_a_process_is_named_and_named_back() -> None:
    before = process_name()
    assert before == multiprocessing.current_process().name
    name_process("process003")
    try:
        assert multiprocessing.current_process().name == process_name() == "process003"
    finally:
        name_process(before or MAIN_PROCESS)


def test_where_multiprocessing_was_not_imported_there_is_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing.process")
    name_process("process003")
    assert process_name() is None
    assert multiprocessing.current_process().name == MAIN_PROCESS


def test_a_first_import_of_multiprocessing_finds_the_name() -> None:
    namer = ProcessNamer("process007")
    assert namer.find_spec("multiprocessing") is None
    spec = namer.find_spec("multiprocessing.process", multiprocessing.__path__)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.current_process().name == "process007"

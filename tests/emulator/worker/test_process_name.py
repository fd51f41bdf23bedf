from __future__ import annotations

import multiprocessing
import multiprocessing.process
import sys
from importlib.util import module_from_spec

import pytest

from pytest_parallelrun.emulator.worker.process_name import MAIN_PROCESS, ProcessNamer, name_process, process_name


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

"""Settings of the process: the host's are put back, also between two questions to the workers."""

from __future__ import annotations

import asyncio
import bdb
import decimal
import faulthandler
import gc
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pytest_parallelrun.emulator.sandbox import interpreter
from pytest_parallelrun.emulator.sandbox.interpreter import Interpreter
from tests.emulator._scripts import run_script


def test_workers_find_theirs_again_after_a_pause() -> None:
    host = os.umask(0o022)
    os.umask(host)
    state = Interpreter()
    state.take_over()
    os.umask(0o123)
    gc.disable()
    state.give_back()
    assert (interpreter._umask(), gc.isenabled()) == (host, True)
    state.take_over()
    assert (interpreter._umask(), gc.isenabled()) == (0o123, False)
    state.give_back()
    assert (interpreter._umask(), gc.isenabled()) == (host, True)


def test_the_fault_handler_of_the_host_is_out_of_reach_and_works_between() -> None:
    state = Interpreter()
    before = faulthandler.dump_traceback_later
    state.take_over()
    faulthandler.dump_traceback_later(0.001, exit=True)
    faulthandler.disable()
    state.give_back()
    assert faulthandler.dump_traceback_later is before
    time.sleep(0.01)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zones on this platform")
def test_a_time_zone_goes_with_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.tzname
    state = Interpreter()
    state.take_over()
    monkeypatch.setenv("TZ", "XYZ-3")
    time.tzset()
    state.give_back()
    assert (time.tzname, os.environ["TZ"]) == (before, "XYZ-3")
    monkeypatch.delenv("TZ")
    state.take_over()
    assert time.tzname == ("XYZ", "XYZ")
    state.give_back()
    assert time.tzname == before


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zones on this platform")
def test_the_time_zone_of_the_job_is_that_of_its_workers(tmp_path: Path) -> None:
    before = time.tzname
    source = "import time\nzone = time.tzname[0]\ndef run(batch): return [(zone, time.localtime(0).tm_hour)]"
    result = run_script(tmp_path, source, environment_variables={"TZ": "XYZ-3"}, max_concurrency_per_instance=2)
    assert result.rows == [("XYZ", 3)] * 2
    assert time.tzname == before


def test_decimals_and_event_loops_are_those_of_a_new_process() -> None:
    with decimal.localcontext() as context:
        context.prec = 5
        state = Interpreter()
        state.take_over()
        assert decimal.getcontext().prec == 28
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        state.give_back()
        assert decimal.getcontext() is context
        assert not loop.is_closed()
        state.end()
        assert loop.is_closed()


@pytest.mark.parametrize("module", ["socket", "warnings"])
def test_a_module_that_a_script_has_put_in_the_place_of_another_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    socket.setdefaulttimeout(3.0)
    try:
        state = Interpreter()
        state.take_over()
        socket.setdefaulttimeout(1.0)
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        state.give_back()
        assert socket.getdefaulttimeout() == 3.0
    finally:
        socket.setdefaulttimeout(None)


@pytest.mark.usefixtures("nothing_frozen")
def test_the_temporary_folder_of_a_script_and_frozen_objects_are_none_of_the_hosts() -> None:
    before = tempfile.tempdir
    state = Interpreter()
    state.take_over()
    tempfile.tempdir = "/nowhere"
    state.give_back()
    # Some are frozen when Python 3.12.1 starts.
    few = gc.get_freeze_count()
    state.take_over()
    gc.freeze()
    many = gc.get_freeze_count()
    state.give_back()
    assert (tempfile.tempdir, few < 1000 < many, gc.get_freeze_count() <= few) == (before, True, True)
    state.take_over()
    assert gc.get_freeze_count() > 1000
    state.give_back()
    assert gc.get_freeze_count() <= few


def test_what_is_loaded_meanwhile_begins_as_it_does_and_what_is_no_module_costs_its_own_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interpreter, "_known", {})
    state = Interpreter()
    with monkeypatch.context() as absent:
        for name in ("numpy", "decimal", "asyncio.events", "socket", "ssl"):
            absent.delitem(sys.modules, name, raising=False)
        state.take_over()
    import ssl

    monkeypatch.setitem(sys.modules, "numpy", ModuleType("numpy"))
    ssl._create_default_https_context = ssl._create_unverified_context  # type: ignore[assignment]
    socket.setdefaulttimeout(1.0)
    gc.disable()
    state.give_back()
    assert gc.isenabled()
    assert socket.getdefaulttimeout() is None
    assert ssl._create_default_https_context is ssl.create_default_context


def test_numpy_prints_and_warns_as_before() -> None:
    before = np.geterr(), np.get_printoptions()
    state = Interpreter()
    state.take_over()
    np.seterr(all="raise")
    np.set_printoptions(precision=1, formatter={"float": str})
    state.give_back()
    assert (np.geterr(), np.get_printoptions()) == before


def test_an_attribute_that_was_not_there_is_not_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "tracebacklimit", raising=False)
    state = Interpreter()
    state.take_over()
    sys.tracebacklimit = 0
    state.give_back()
    assert not hasattr(sys, "tracebacklimit")


@pytest.mark.parametrize("debugging", [False, True])
def test_a_trace_function_of_the_script_ends_with_it_but_a_debugger_goes_on(debugging: bool) -> None:
    class Debugger(bdb.Bdb):
        pass

    traced: Any = Debugger().trace_dispatch if debugging else (lambda *arguments: None)
    seen: list[object] = []
    _, write = interpreter._unless_debugging(lambda: traced, seen.append)
    write("the host's")
    assert seen == ([] if debugging else ["the host's"])


def test_what_a_script_was_the_first_to_load_is_as_it_is_when_it_is_loaded(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from tests.emulator._scripts import run_script
        source = '''
        import csv, decimal, numpy, socket, ssl, tracemalloc, asyncio, urllib.request
        def run(batch):
            csv.field_size_limit(5)
            decimal.getcontext().prec = 3
            numpy.seterr(all="raise")
            numpy.set_printoptions(precision=2)
            socket.setdefaulttimeout(0.5)
            ssl._create_default_https_context = ssl._create_unverified_context
            tracemalloc.start()
            urllib.request.install_opener(urllib.request.build_opener())
            return batch
        '''
        assert not {"numpy", "ssl"} & sys.modules.keys()
        assert run_script(Path(sys.argv[1]), source).status == "Completed"
        import csv, decimal, numpy, socket, ssl, tracemalloc, urllib.request
        print(csv.field_size_limit(), decimal.getcontext().prec, numpy.geterr()["over"])
        print(numpy.get_printoptions()["precision"], socket.getdefaulttimeout(), tracemalloc.is_tracing())
        print(ssl._create_default_https_context is ssl.create_default_context, urllib.request._opener)
    """
    command = [sys.executable, "-c", dedent(code), str(tmp_path)]
    root = Path(__file__).parents[3]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=100, check=False)
    assert answer.stdout.splitlines() == ["131072 28 warn", "8 None False", "True None"], answer.stderr

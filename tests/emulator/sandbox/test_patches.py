"""What a script replaces in the standard library: its workers have it, the host does not."""

from __future__ import annotations

import json
import os
import queue
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_parallelrun.emulator.sandbox.patches import Patches
from tests.emulator._scripts import outcomes, run_script


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    places = ((json, "dumps"), (json.JSONEncoder, "default"), (os, "rename"), (queue, "Queue"))
    before = [(owner, name, getattr(owner, name)) for owner, name in places]
    yield
    for owner, name, value in before:
        setattr(owner, name, value)


def mine(*arguments: object, **options: object) -> Any:
    raise AssertionError("not for the host")


def patch(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


def of_package(value: object) -> bool:
    return value is of_package


def nothing(value: object) -> bool:
    return False


def test_the_host_has_its_own_again_and_the_workers_theirs() -> None:
    dumps, default, rename = json.dumps, json.JSONEncoder.default, os.rename
    patches = Patches(nothing)
    patches.take_over()
    patch(json, "dumps", mine)
    patch(json.JSONEncoder, "default", mine)
    del os.rename
    patches.give_back()
    assert (json.dumps, json.JSONEncoder.default, os.rename) == (dumps, default, rename)
    patches.take_over()
    assert (json.dumps, json.JSONEncoder.default) == (mine, mine)
    assert not hasattr(os, "rename")
    patches.give_back()
    assert (json.dumps, json.JSONEncoder.default, os.rename) == (dumps, default, rename)


@pytest.mark.parametrize("value", [queue.SimpleQueue, None])
def test_what_a_package_patches_stays_as_a_whole_but_not_what_the_script_does(value: object) -> None:
    dumps = json.dumps
    patches = Patches(of_package)
    patches.take_over()
    patch(os, "rename", of_package)
    patch(queue, "Queue", value)
    patch(json, "dumps", mine)
    patches.give_back()
    now: list[object] = [os.rename, queue.Queue, json.dumps]
    assert now == [of_package, value, dumps]


def test_what_is_no_function_or_cannot_be_compared_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("neither equal nor not")

        __hash__ = object.__hash__

    dumps = json.dumps
    monkeypatch.setattr("pytest_parallelrun.emulator.sandbox.patches._OF_PYTEST", {"not_loaded": ("Any",)})
    monkeypatch.setattr(json, "__version__", Odd())
    patches = Patches(nothing)
    patches.take_over()
    monkeypatch.setattr(json, "__version__", Odd())
    patch(json, "dumps", mine)
    patches.give_back()
    assert isinstance(vars(json)["__version__"], Odd)
    assert json.dumps is dumps
    for other in (ModuleType("json"), None):
        monkeypatch.setitem(sys.modules, "json", other)
        patches.take_over()
        patches.give_back()
        assert json.dumps is dumps


def test_what_cannot_be_set_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(type):
        def __setattr__(cls, name: str, value: object) -> None:
            if name == "method":
                raise AttributeError(name)
            super().__setattr__(name, value)

    class Class(metaclass=Closed):
        def method(self) -> None: ...

    monkeypatch.setattr("pytest_parallelrun.emulator.sandbox.patches._CLASSES", (Class,))
    patches = Patches(nothing)
    patches.take_over()
    type.__setattr__(Class, "method", mine)
    patches.give_back()
    assert Class.method is mine


BREAKS = """
    import builtins, io, json, os, pathlib, shutil
    def broken(*arguments, **options):
        raise AssertionError("not for the host")
    names = []
    for place, name in ((io, "open"), (json, "dumps"), (json, "loads"), (os, "unlink"), (os, "makedirs"),
                        (shutil, "rmtree"), (pathlib.Path, "read_text"), (os.path, "relpath")):
        setattr(place, name, broken)
        names.append(getattr(place, name) is broken)
    def run(batch):
        return [str(json.dumps is broken and os.unlink is broken) for _ in batch]
"""


def test_a_script_that_breaks_the_library_runs_and_the_host_goes_on(tmp_path: Path) -> None:
    functions: list[Callable[..., Any]] = [json.dumps, json.loads, os.unlink, os.makedirs]
    result = run_script(tmp_path, BREAKS)
    assert outcomes(result) == ["succeeded"] * 2
    assert result.rows == ["True"] * 2
    assert [json.dumps, json.loads, os.unlink, os.makedirs] == functions

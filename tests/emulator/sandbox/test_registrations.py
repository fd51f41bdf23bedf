"""Finders and codecs: the host has its own, the workers those of installed packages too."""

from __future__ import annotations

import codecs
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.sandbox import registrations
from pytest_parallelrun.emulator.sandbox.registrations import KEPT, Kept, Registrations
from pytest_parallelrun.emulator.sandbox.sandbox import Sandbox, Worker
from pytest_parallelrun.emulator.worker_plan import WorkerPlan
from tests.emulator._scripts import outcomes, run_script, write_files

PACKAGES = {
    # Its moved modules are there by its finder alone, as those of six are.
    "lazy6/__init__.py": """
        import sys
        from importlib.machinery import ModuleSpec
        __path__ = []
        class Finder:
            def find_spec(self, name, path=None, target=None):
                return ModuleSpec(name, self) if name in ("lazy6.a", "lazy6.b") else None
            def create_module(self, spec):
                return None
            def exec_module(self, module):
                module.value = module.__name__
        sys.meta_path.PLACE(Finder())
    """,
    # Takes the place of the standard finder of distributions, as importlib_metadata does.
    "backport.py": """
        import sys
        from importlib.machinery import PathFinder
        class Finder:
            def find_spec(self, name, path=None, target=None):
                return None
            def find_distributions(self, context=None):
                return iter(["mine"])
        sys.meta_path.append(Finder())
        if hasattr(PathFinder, "find_distributions"):
            del PathFinder.find_distributions
    """,
    "codec_of_package.py": """
        import codecs
        def search(name):
            return codecs.lookup("utf-8") if name == "of_package" else None
        codecs.register(search)
        codecs.unregister(print)
    """,
    "hook_of_package.py": """
        import sys
        def hook(path):
            raise ImportError(path)
        sys.path_hooks.append(hook)
    """,
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; what they leave in this process is gone in the end."""
    folder = tmp_path / "site-packages"
    write_files(folder, {name: source.replace("PLACE", "append") for name, source in PACKAGES.items()})
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(registrations, "KEPT", Kept())
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _rows(folder: Path, body: str, job: str = "one", workers: int = 2, **options: Any) -> list[object]:
    """Rows of a job in which each worker gets one mini-batch."""
    (folder / job).mkdir(exist_ok=True)
    source = "import sys\ndef run(batch):\n" + "".join(f"    {line}\n" for line in body.split("; "))
    result = run_script(folder / job, source, files=2, max_concurrency_per_instance=workers, **options)
    assert outcomes(result) == ["succeeded"] * 2, result.explain()
    return list(result.rows)


@pytest.mark.parametrize("place", ["append", "insert"])
def test_what_an_installed_package_adds_is_there_in_every_worker_and_in_the_next_job(
    tmp_path: Path, installed: Path, place: str
) -> None:
    lazy6 = PACKAGES["lazy6/__init__.py"].replace("PLACE(", "insert(0, " if place == "insert" else "append(")
    write_files(installed, {"lazy6/__init__.py": lazy6})
    before = list(sys.meta_path)
    body = "import lazy6; sys.modules.pop('lazy6.a', None); import lazy6.a; return [lazy6.a.value]"
    for job in ("first", "second"):
        assert _rows(tmp_path, body, job) == ["lazy6.a"] * 2
        assert sys.meta_path == before
    # In front of those of the host, or behind; the code root, the name of the process and stand-ins have one each.
    body = "names = [type(it).__name__ for it in sys.meta_path]; return [names.index('Finder')]"
    expected = 0 if place == "insert" else len(before) + 3
    assert _rows(tmp_path, body, "third") == [expected] * 2


def test_the_host_can_import_what_a_package_had_added_and_workers_then_use_that_of_the_host(
    tmp_path: Path, installed: Path
) -> None:
    body = "import lazy6, codec_of_package; return [id(lazy6)]"
    of_workers = _rows(tmp_path, body)[0]
    assert "lazy6" not in sys.modules
    assert importlib.import_module("lazy6.b").value == "lazy6.b"
    assert id(sys.modules["lazy6"]) != of_workers
    before = list(sys.meta_path)
    assert _rows(tmp_path, body, "two") == [id(sys.modules["lazy6"])] * 2
    assert _rows(tmp_path, "return [sum(type(it).__name__ == 'Finder' for it in sys.meta_path)]", "three") == [1, 1]
    assert sys.meta_path == before


def test_a_package_that_takes_the_place_of_a_standard_finder_does_so_for_workers_alone(
    tmp_path: Path, installed: Path
) -> None:
    body = "import backport, importlib.machinery as m; return [hasattr(m.PathFinder, 'find_distributions')]"
    for job in ("first", "second"):
        assert _rows(tmp_path, body, job) == [False, False]
        assert "find_distributions" in vars(PathFinder)
        assert importlib.metadata.version("pytest") == pytest.__version__


def test_a_module_with_native_code_is_not_loaded_a_second_time(tmp_path: Path, installed: Path) -> None:
    write_files(installed, {"lazy6/native.py": "__file__ = __file__.removesuffix('py') + 'so'\n"})
    _rows(tmp_path, "import lazy6; lazy6.__path__ = [lazy6.__file__.removesuffix('__init__.py')]; "
          "import lazy6.native; return batch", workers=1)  # fmt: skip
    assert "lazy6" in sys.modules


def test_a_module_of_the_code_root_hides_one_that_was_set_aside(tmp_path: Path, installed: Path) -> None:
    _rows(tmp_path, "import codec_of_package; return batch")
    write_files(tmp_path / "two" / "code", {"codec_of_package.py": "mine = 1"})
    assert _rows(tmp_path, "import codec_of_package; return [codec_of_package.mine]", "two") == [1, 1]


def test_codecs_of_packages_are_there_for_workers_and_those_of_scripts_for_the_job(
    tmp_path: Path, installed: Path
) -> None:
    body = "import codec_of_package; return ['x'.encode('of_package').decode()]"
    for job in ("first", "second"):
        assert _rows(tmp_path, body, job) == ["x", "x"]
        with pytest.raises(LookupError):
            "x".encode("of_package")
    body = "import codecs; s = lambda name: codecs.lookup('utf-8') if name == 'mine' else None; codecs.register(s); "
    assert _rows(tmp_path, body + "x = 'x'.encode('mine').decode(); codecs.unregister(s); return [x]") == ["x", "x"]
    assert _rows(tmp_path, body + "return ['x'.encode('mine').decode()]", "kept") == ["x", "x"]
    with pytest.raises(LookupError):
        "x".encode("mine")


def test_path_hooks_of_packages_stay_for_workers(tmp_path: Path, installed: Path) -> None:
    before = list(sys.path_hooks)
    body = "import hook_of_package; return [sys.path_hooks[-1].__module__]"
    for job in ("first", "second"):
        assert _rows(tmp_path, body, job) == ["hook_of_package"] * 2
        assert sys.path_hooks == before


def test_a_finder_that_a_path_hook_of_the_script_made_is_forgotten(tmp_path: Path) -> None:
    folder = str(tmp_path / "nowhere")
    before = dict(sys.path_importer_cache)
    _rows(tmp_path, f"sys.path_importer_cache[{folder!r}] = 1; sys.path_importer_cache.clear(); "
          f"sys.path_importer_cache[{folder!r}] = 1; return batch")  # fmt: skip
    assert folder not in sys.path_importer_cache
    assert before.items() <= sys.path_importer_cache.items()


def test_a_finder_of_the_script_is_that_of_its_worker(tmp_path: Path) -> None:
    count = "return [sum(type(it).__name__ == 'Mine' for it in sys.meta_path)]"
    body = f"class Mine(list): pass; sys.meta_path.append(Mine()); {count}"
    before = list(sys.meta_path)
    assert _rows(tmp_path, body) == [1, 1]
    assert _rows(tmp_path, body, "one_worker", workers=1) == [1, 2]
    # Those of the standard library are put there by calls of the script.
    body = "import importlib.machinery as m; sys.meta_path.append(m.PathFinder); "
    body += "return [sys.meta_path.count(m.PathFinder)]"
    assert _rows(tmp_path, body, "standard") == [2, 2]
    assert sys.meta_path == before
    assert KEPT.everything() == []


def test_between_two_questions_the_host_has_its_own(tmp_path: Path, installed: Path) -> None:
    source = """
        import codecs, sys, backport, codec_of_package
        codecs.register(lambda name: codecs.lookup('utf-8') if name == 'mine' else None)
        sys.path_hooks.append(backport.Finder)
        def run(batch):
            return batch
    """
    code = write_files(tmp_path / "code", {"score.py": source})
    plan = WorkerPlan(entry=EntryFile(code / "score.py", code), folder=tmp_path)
    before = list(sys.meta_path), list(sys.path_hooks)
    with Sandbox(plan) as sandbox:
        worker = Worker(0, 0, plan)
        sandbox.start(worker)
        sandbox.release()
        assert (list(sys.meta_path), list(sys.path_hooks)) == before
        assert importlib.metadata.version("pytest") == pytest.__version__
        assert "backport" not in sys.modules
        host_finder: Any = SimpleNamespace(find_spec=lambda *it: None)
        sys.meta_path.append(host_finder)
        sandbox.switch(worker)
        assert not hasattr(PathFinder, "find_distributions")
        assert "x".encode("mine") == b"x"
        assert "backport" in sys.modules
        assert len(sys.path_hooks) == len(before[1]) + 1
    assert sys.meta_path == [*before[0], host_finder]
    assert sys.path_hooks == before[1]


def test_what_nobody_has_loaded_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Registrations(lambda name: True).is_kept
    monkeypatch.setitem(sys.modules, "loaded", ModuleType("loaded"))
    assert kept(SimpleNamespace(__module__="loaded"))
    assert not kept(SimpleNamespace(__module__="not_loaded"))
    assert not kept(SimpleNamespace(__module__="__main__"))
    assert codecs.lookup("utf-8").name == "utf-8"

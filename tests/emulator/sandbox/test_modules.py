from __future__ import annotations

import email.mime.text
import os
import site
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from pytest_parallelrun.emulator.sandbox import modules
from pytest_parallelrun.emulator.sandbox.modules import (
    CodeRoot,
    CodeRootFinder,
    FreshLoader,
    code_root_at,
    is_installed_path,
    is_shared,
)


@pytest.fixture
def root(tmp_path: Path) -> CodeRoot:
    return CodeRoot(tmp_path)


def _module(name: str, **facts: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(facts)
    return module


def test_what_lies_below_the_code_root_is_the_users(root: CodeRoot, tmp_path: Path) -> None:
    assert root.owns(str(tmp_path / "src" / "helper.py"))
    assert not root.shares(str(tmp_path / "src" / "helper.py"))


def test_a_folder_that_only_starts_with_the_same_letters_is_another(root: CodeRoot, tmp_path: Path) -> None:
    assert not root.owns(f"{tmp_path}2{os.sep}helper.py")


@pytest.mark.parametrize("part", ["site-packages", "dist-packages"])
def test_packages_installed_below_the_code_root_are_shared(root: CodeRoot, tmp_path: Path, part: str) -> None:
    file = str(tmp_path / ".venv" / "lib" / part / "six.py")
    assert not root.owns(file)
    assert root.shares(file)


def test_a_prefix_inside_the_code_root_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    root = CodeRoot(tmp_path)
    assert not root.owns(str(tmp_path / "env" / "lib" / "os.py"))
    assert root.owns(str(tmp_path / "environment.py"))


def test_a_prefix_around_the_code_root_says_nothing_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    assert CodeRoot(tmp_path / "app").owns(str(tmp_path / "app" / "score.py"))


def test_the_standard_library_is_shared(root: CodeRoot) -> None:
    assert root.shares(os.__file__)


def test_this_package_is_shared_even_from_below_the_code_root() -> None:
    root = CodeRoot(Path(modules.__file__).parents[3])
    assert not root.owns(modules.__file__)
    assert root.shares(modules.__file__)


def test_code_of_the_user_outside_the_code_root_is_not_shared(root: CodeRoot, tmp_path: Path) -> None:
    assert not root.shares(str(tmp_path.parent / "elsewhere" / "conftest.py"))


def test_an_extension_module_is_shared_wherever_it_lies(root: CodeRoot, tmp_path: Path) -> None:
    assert root.shares(str(tmp_path.parent / f"fast{EXTENSION_SUFFIXES[0]}"))


def test_one_folder_has_one_code_root(tmp_path: Path) -> None:
    assert code_root_at(tmp_path) is code_root_at(tmp_path)


def test_top_level_names_are_those_of_modules_and_packages(root: CodeRoot, tmp_path: Path) -> None:
    (tmp_path / "score.py").touch()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "notes.txt").touch()
    assert root.top_level_names() == {"score", "package"}


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("sys", sys),
        ("os", os),
        ("email.mime.text", email.mime.text),
        ("__main__", ModuleType("__main__")),
        ("odd", "not a module"),
    ],
)
def test_installed_and_odd_modules_are_shared(root: CodeRoot, name: str, module: object) -> None:
    assert is_shared(name, module, root)


def test_a_module_of_the_user_is_not_shared(root: CodeRoot, tmp_path: Path) -> None:
    assert not is_shared("helper", _module("helper", __file__=str(tmp_path / "helper.py")), root)


def test_a_frozen_module_is_shared(root: CodeRoot) -> None:
    spec = ModuleSpec("zipimport", None, origin="frozen")
    assert is_shared("zipimport", _module("zipimport", __spec__=spec), root)


def test_a_folder_without_init_is_shared_if_all_of_it_is_installed(root: CodeRoot, tmp_path: Path) -> None:
    installed = sysconfig.get_path("purelib") + "/azure"
    assert is_shared("azure", _module("azure", __path__=[installed]), root)
    assert not is_shared("azure", _module("azure", __path__=[installed, str(tmp_path / "azure")]), root)


def test_a_module_made_by_code_goes_with_the_package_that_made_it(
    root: CodeRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "helper", _module("helper", __file__=str(tmp_path / "helper.py")))
    assert is_shared("email.moves", _module("email.moves"), root)
    assert not is_shared("helper.moves", _module("helper.moves"), root)


def test_a_module_made_by_code_on_its_own_is_not_shared(root: CodeRoot) -> None:
    assert not is_shared("made", _module("made"), root)
    assert not is_shared("nowhere.made", _module("nowhere.made"), root)


def test_a_lazy_module_is_not_loaded_by_the_question(root: CodeRoot) -> None:
    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"asked for {name}")

    assert not is_shared("lazy", Lazy("lazy"), root)


@pytest.mark.parametrize(
    "entry",
    [
        os.path.dirname(os.__file__),
        sysconfig.get_path("purelib"),
        "/anywhere/site-packages",
        "/somewhere/python313.zip",
        "__editable__.package-1.0.finder.__path_hook__",
    ],
)
def test_what_an_installation_put_on_the_path_stays_on_it(entry: str) -> None:
    assert is_installed_path(entry)


def test_the_current_folder_and_those_of_tests_are_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_installed_path("")
    assert not is_installed_path(str(tmp_path))


def test_what_a_pth_file_names_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "editable.pth").write_text("# a comment\n\nimport os; os.x = 1\n../mein Paket\n", encoding="utf-8")
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(packages)])
    modules._installed_folders.cache_clear()
    try:
        assert is_installed_path(str(tmp_path / "mein Paket"))
        assert not is_installed_path(str(tmp_path / "import os"))
    finally:
        modules._installed_folders.cache_clear()


def test_the_finder_gives_the_users_code_a_loader_without_bytecode(
    root: CodeRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helper.py").write_text("x = 1", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    spec = CodeRootFinder(root).find_spec("helper")
    assert spec is not None
    assert isinstance(spec.loader, FreshLoader)


@pytest.mark.parametrize("name", ["sys", "json", "nothing_of_that_name"])
def test_the_finder_leaves_what_is_not_the_users_to_others(root: CodeRoot, name: str) -> None:
    assert CodeRootFinder(root).find_spec(name) is None


def test_the_finder_looks_into_packages_of_the_user_alone(root: CodeRoot, tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "part.py").touch()
    finder = CodeRootFinder(root)
    assert finder.find_spec("package.part", [str(package)]) is not None
    assert finder.find_spec("package.none", [str(package)]) is None
    assert finder.find_spec("email.mime", email.__path__) is None


def test_the_finder_does_not_own_what_is_installed_below_the_code_root(root: CodeRoot, tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    (folder / "six.py").touch()
    assert CodeRootFinder(root).find_spec("vendored.six", [str(folder)]) is None


def test_the_finder_leaves_a_module_without_source_its_loader(
    root: CodeRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import py_compile

    (tmp_path / "source.py").touch()
    py_compile.compile(str(tmp_path / "source.py"), cfile=str(tmp_path / "shipped.pyc"))
    monkeypatch.syspath_prepend(tmp_path)
    spec = CodeRootFinder(root).find_spec("shipped")
    assert spec is not None
    assert not isinstance(spec.loader, SourceFileLoader)


def test_an_edit_within_a_second_is_not_missed_and_no_bytecode_is_left(tmp_path: Path) -> None:
    file = tmp_path / "helper.py"
    values = []
    for value in (1, 2):
        file.write_text(f"x = {value}", encoding="utf-8")
        os.utime(file, (1, 1))
        module = ModuleType("helper")
        FreshLoader("helper", str(file)).exec_module(module)
        values.append(module.x)
    assert values == [1, 2]
    assert not (tmp_path / "__pycache__").exists()


def test_source_is_compiled_once_for_all_workers(tmp_path: Path) -> None:
    file = tmp_path / "helper.py"
    file.write_text("x = 1", encoding="utf-8")
    assert FreshLoader("helper", str(file)).get_code("helper") is FreshLoader("helper", str(file)).get_code("helper")

from __future__ import annotations

import functools
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from pytest_parallelrun.emulator.entry import EntryFile, EntryObject, find_entry
from pytest_parallelrun.emulator.errors import EntryScriptError
from pytest_parallelrun.emulator.worker.script import functions_of, takes_context
from tests.emulator._scripts import errors, make_input, run_script, write_files


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return write_files(tmp_path / "mein Code", {"score.py": "", "src/deep/scöre.py": ""})


def test_the_folder_of_a_script_is_its_code_root(code: Path) -> None:
    assert find_entry(code / "score.py") == EntryFile(code / "score.py", code)


def test_a_script_is_imported_by_its_dotted_name_below_the_code_root(code: Path) -> None:
    entry = find_entry(str(code / "src" / "deep" / "scöre.py"), code=str(code))
    assert isinstance(entry, EntryFile)
    assert entry.module_name == "src.deep.scöre"
    assert entry.label == "src/deep/scöre.py"


def test_a_relative_path_starts_at_the_current_folder(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(code)
    assert find_entry("src/../score.py", code=".") == EntryFile(code / "score.py", code)


def test_a_misspelt_script_is_told_the_right_name(code: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"entry script '.*scor\.py' does not exist\. .*score\.py"):
        find_entry(code / "scor.py")


def test_a_folder_that_does_not_exist_is_named(code: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"There is no script in '.*none'"):
        find_entry(code / "none" / "score.py")


def test_a_folder_is_no_script_and_those_in_it_are_named(code: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"is a folder; give the script itself, one of: score\.py\."):
        find_entry(code)


def test_an_empty_folder_is_no_script(tmp_path: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"is a folder; give the script itself\.$"):
        find_entry(tmp_path)


def test_a_script_ends_in_py(code: Path) -> None:
    (code / "score.ipynb").touch()
    with pytest.raises(EntryScriptError, match=r"'.*score\.ipynb' is not a Python file: its name must end in \.py"):
        find_entry(code / "score.ipynb")


def test_a_script_that_cannot_be_read_is_named(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not through chmod: root may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(EntryScriptError, match=r"score\.py' cannot be read: permission denied"):
        find_entry(code / "score.py")


def test_a_code_root_is_a_folder(code: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"code root '.*none' is not a folder"):
        find_entry(code / "score.py", code=code / "none")


def test_a_script_lies_below_its_code_root(code: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"score\.py' does not lie below the code root '.*src'"):
        find_entry(code / "score.py", code=code / "src")


def test_an_object_has_no_code_root(code: Path) -> None:
    with pytest.raises(EntryScriptError, match=r"code='x' goes with the path of a script, not an object"):
        find_entry(SimpleNamespace(), code="x")


def test_any_object_may_be_an_entry() -> None:
    target = SimpleNamespace(run=list)
    assert find_entry(target) == EntryObject(target)


def test_a_module_is_called_by_its_name_and_an_object_by_its_type() -> None:
    assert EntryObject(ModuleType("scorer")).label == "scorer"
    assert EntryObject(SimpleNamespace()).label == "<SimpleNamespace object>"


def test_init_and_shutdown_are_optional() -> None:
    functions = functions_of(SimpleNamespace(run=list))
    assert (functions.run, functions.init, functions.shutdown) == (list, None, None)


def test_the_three_functions_are_found() -> None:
    def init() -> None: ...
    def shutdown() -> None: ...

    functions = functions_of(SimpleNamespace(run=list, init=init, shutdown=shutdown))
    assert (functions.init, functions.shutdown) == (init, shutdown)


def test_what_is_not_callable_is_no_init() -> None:
    functions = functions_of(SimpleNamespace(run=list, init=True, shutdown="no"))
    assert (functions.init, functions.shutdown) == (None, None)


def test_a_script_without_run_is_told_what_the_service_calls() -> None:
    with pytest.raises(AttributeError, match=r"the entry script defines no run\(mini_batch\); the service calls run"):
        functions_of(ModuleType("score"))


def test_a_run_that_is_no_function_is_named_by_its_type() -> None:
    with pytest.raises(AttributeError, match="the entry object has a run that is int"):
        functions_of(SimpleNamespace(run=1))


class _Scorer:
    def run(self, batch: object) -> None: ...
    def run_with_context(self, batch: object, context: object) -> None: ...


@pytest.mark.parametrize(
    "run",
    [
        lambda batch, context: None,
        lambda batch, anything=None: None,
        lambda batch, context, /: None,
        lambda batch, context, more=1: None,
        _Scorer().run_with_context,
    ],
)
def test_a_second_positional_parameter_is_the_context(run: object) -> None:
    assert takes_context(run)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "run",
    [
        lambda batch: None,
        lambda batch, *, context=None: None,
        lambda *batches: None,
        lambda batch, **more: None,
        _Scorer().run,
        functools.partial(lambda model, batch: None, "model"),
    ],
)
def test_without_a_second_positional_parameter_there_is_no_context(run: object) -> None:
    assert not takes_context(run)  # type: ignore[arg-type]


def test_a_function_that_tells_nothing_of_its_parameters_gets_no_context() -> None:
    class Silent:
        __signature__ = "none"

        def __call__(self, batch: object) -> None: ...

    assert not takes_context(Silent())


@pytest.mark.parametrize("name", ["json", "random"])
def test_a_script_named_like_a_standard_module_is_not_what_a_worker_imports(tmp_path: Path, name: str) -> None:
    result = run_script(tmp_path, "def run(batch): return batch", name=name)
    assert result.status == "Failed"
    assert f"imports '{name}' gets the standard library's module" in result.worker_failures[0].failure.error
    assert "rename the script" in result.worker_failures[0].failure.error


def test_a_script_with_a_dot_in_its_name_cannot_be_imported(tmp_path: Path) -> None:
    result = run_script(tmp_path, "def run(batch): return batch", name="score.v2")
    assert result.worker_failures[0].failure.phase == "import"
    assert "No module named 'score'" in result.worker_failures[0].failure.error


def test_a_package_of_the_same_name_is_imported_instead_of_the_script(tmp_path: Path) -> None:
    write_files(tmp_path / "code", {"score/__init__.py": ""})
    result = run_script(tmp_path, "def run(batch): return batch")
    error = result.worker_failures[0].failure.error
    assert "__init__.py, not" in error
    assert "rename the script" in error


def test_a_script_in_a_folder_with_spaces_and_umlauts_runs(tmp_path: Path) -> None:
    folder = tmp_path / "Größe und Maß"
    folder.mkdir()
    result = run_script(folder, "def run(batch): return [__file__ for _ in batch]", name="scöre")
    assert result.rows == [str(folder / "code" / "scöre.py")] * 2
    assert errors(result) == []


def test_an_object_runs_as_it_is(tmp_path: Path) -> None:
    from pytest_parallelrun import ParallelJob

    seen: list[str] = []

    def run(batch: list[str]) -> list[str]:
        seen.extend(batch)
        return batch

    result = ParallelJob(SimpleNamespace(run=run), make_input(tmp_path)).run()
    assert result.status == "Completed"
    assert len(seen) == 2

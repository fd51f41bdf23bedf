"""What a worker finds around it, asked of scripts in a job of one or two workers."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_parallelrun import JobSettings, ParallelJob
from pytest_parallelrun.emulator.entry import EntryObject
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.sandbox.process_exit import apply_start_method, start_method
from pytest_parallelrun.emulator.sandbox.sandbox import Sandbox
from pytest_parallelrun.emulator.worker_plan import WorkerPlan
from tests.emulator._scripts import errors, make_input, outcomes, run_script, write_files


def _run(code: Path, script: str, data: Path, *, workers: int = 1, **options: Any) -> JobResult:
    """Runs a script below a code root; with two workers, each gets one of two mini-batches."""
    settings = JobSettings(max_concurrency_per_instance=workers, max_retries=0)
    result = ParallelJob(code / script, data, settings, code=code, **options).run()
    assert result.status == "Completed", result.explain()
    assert errors(result) == []
    return result


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return tmp_path / "mein Code"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_input(tmp_path)


def test_only_the_code_root_is_on_the_path_and_not_the_folder_of_the_script(
    code: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path / "tests")
    monkeypatch.syspath_prepend("")
    monkeypatch.chdir(tmp_path)
    write_files(code, {"src/score.py": "import sys\ndef run(batch): return [list(sys.path)]"})
    path = _run(code, "src/score.py", data).rows[0]
    assert isinstance(path, list)
    assert path[0] == str(code)
    assert str(code / "src") not in path
    assert str(tmp_path / "tests") not in path
    assert "" not in path


def test_pythonpath_is_that_of_the_worker_and_is_gone_afterwards(
    code: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubs = tmp_path / "stubs with space"
    write_files(stubs, {"heavy.py": "NAME = 'stub'\ncalls = []", "numpy.py": "NAME = 'stub'", "score2.py": ""})
    write_files(
        code,
        {
            "score.py": "import sys, heavy, numpy, score2\ndef run(batch):\n  heavy.calls.append(1)\n"
            "  return [[heavy.NAME, numpy.NAME, score2.NAME, len(heavy.calls), sys.path[:2]]]",
            "score2.py": "NAME = 'of the code root'",
        },
    )
    before = dict(sys.modules), list(sys.path), list(sys.meta_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = JobSettings(environment_variables={"PYTHONPATH": str(stubs)}, max_concurrency_per_instance=2)
    result = ParallelJob(code / "score.py", data, settings, code=code).run()
    # Each worker has a copy of its own, and what lies with the code comes first.
    assert result.rows == [["stub", "stub", "of the code root", 1, [str(code), str(stubs)]]] * 2
    assert (dict(sys.modules), list(sys.path), list(sys.meta_path)) == before
    assert not list(stubs.rglob("__pycache__"))


def test_an_object_finds_the_modules_of_pythonpath_too(data: Path, tmp_path: Path) -> None:
    write_files(tmp_path / "stubs", {"numpy.py": "NAME = 'stub'"})

    def run(batch: list[str]) -> list[str]:
        return [importlib.import_module("numpy").NAME for _ in batch]

    settings = JobSettings(environment_variables={"PYTHONPATH": str(tmp_path / "stubs")})
    assert set(ParallelJob(SimpleNamespace(run=run), data, settings).run().rows) == {"stub"}
    assert importlib.import_module("numpy").__version__


def test_siblings_are_imported_from_the_code_root(code: Path, data: Path) -> None:
    write_files(
        code,
        {
            "src/score.py": "from src.helper import name\ndef run(batch): return [name(i) for i in batch]",
            "src/helper.py": "import os.path\ndef name(item): return os.path.basename(item)",
        },
    )
    assert _run(code, "src/score.py", data).rows == ["item0.txt", "item1.txt"]


def test_imports_relative_to_the_script_work_below_the_code_root(code: Path, data: Path) -> None:
    write_files(
        code,
        {
            "package/__init__.py": "",
            "package/score.py": "from . import part\nfrom .deep.leaf import x\ndef run(batch): return [x + part.y]",
            "package/part.py": "y = 1",
            "package/deep/__init__.py": "",
            "package/deep/leaf.py": "from ..part import y\nx = y + 1",
        },
    )
    assert _run(code, "package/score.py", data).rows == [3, 3]


def test_every_worker_has_its_own_copy_of_the_script_and_its_siblings(code: Path, data: Path) -> None:
    write_files(
        code,
        {
            "score.py": """
                import helper
                calls = []
                def run(batch):
                    calls.append(1)
                    helper.calls.append(1)
                    return [(len(calls), len(helper.calls))]
            """,
            "helper.py": "calls = []",
        },
    )
    assert _run(code, "score.py", data, workers=2).rows == [(1, 1), (1, 1)]
    assert _run(code, "score.py", data, workers=1).rows == [(1, 1), (2, 2)]


def test_a_sibling_that_is_imported_late_is_the_workers_own_too(code: Path, data: Path) -> None:
    write_files(
        code,
        {
            "score.py": "def run(batch):\n  import helper\n  helper.calls.append(1)\n  return [len(helper.calls)]",
            "helper.py": "calls = []",
        },
    )
    assert _run(code, "score.py", data, workers=2).rows == [1, 1]


def test_installed_packages_are_shared_with_the_host(code: Path, data: Path) -> None:
    import numpy

    write_files(code, {"score.py": "import numpy\ndef run(batch): return [id(numpy)]"})
    assert _run(code, "score.py", data, workers=2).rows == [id(numpy)] * 2


def test_an_installed_module_that_a_script_brought_in_stays_loaded(code: Path, data: Path) -> None:
    write_files(code, {"score.py": "import this_is_shared\ndef run(batch): return [id(this_is_shared)]"})
    write_files(code, {".venv/lib/site-packages/this_is_shared.py": "", "score2.py": "def run(batch): return batch"})
    sys.path.append(str(code / ".venv/lib/site-packages"))
    try:
        ids = set(_run(code, "score.py", data, workers=2).rows)
        assert ids == {id(sys.modules["this_is_shared"])}
    finally:
        sys.path.remove(str(code / ".venv/lib/site-packages"))
        sys.modules.pop("this_is_shared", None)


def test_modules_of_a_worker_are_gone_after_the_job(code: Path, data: Path) -> None:
    write_files(code, {"score.py": "import helper_of_score\ndef run(batch): return batch", "helper_of_score.py": ""})
    before = set(sys.modules)
    _run(code, "score.py", data, workers=2)
    assert set(sys.modules) - before == set()


def test_a_test_module_of_the_same_name_is_hidden_and_comes_back(
    code: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = ModuleType("helper")
    loaded.__file__ = str(code.parent / "tests" / "helper.py")
    monkeypatch.setitem(sys.modules, "helper", loaded)
    write_files(
        code, {"score.py": "import helper\ndef run(batch): return [helper.whose]", "helper.py": "whose = 'mine'"}
    )
    assert _run(code, "score.py", data).rows == ["mine"] * 2
    assert sys.modules["helper"] is loaded


def test_a_conftest_that_pytest_loaded_cannot_be_imported_by_a_script(
    code: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = ModuleType("conftest")
    loaded.__file__ = str(code.parent / "conftest.py")
    monkeypatch.setitem(sys.modules, "conftest", loaded)
    write_files(
        code,
        {
            "score.py": """
                def run(batch):
                    try:
                        import conftest
                    except ImportError:
                        return ["hidden"]
                    return ["seen"]
            """
        },
    )
    assert _run(code, "score.py", data).rows == ["hidden"] * 2
    assert sys.modules["conftest"] is loaded


def test_a_module_that_a_script_put_in_place_of_another_is_taken_out(code: Path, data: Path) -> None:
    import json

    write_files(
        code,
        {"score.py": "import sys\nsys.modules['json'] = sys\ndel sys.modules['csv']\ndef run(batch): return batch"},
    )
    import csv

    _run(code, "score.py", data)
    assert sys.modules["json"] is json
    assert sys.modules["csv"] is csv


def test_a_script_that_was_edited_a_moment_ago_is_loaded_as_it_is_now(code: Path, data: Path) -> None:
    for value in (1, 2):
        write_files(code, {"score.py": f"def run(batch): return [{value}]"})
        os.utime(code / "score.py", (1, 1))
        assert _run(code, "score.py", data).rows == [value] * 2
    assert not (code / "__pycache__").exists()


def test_a_module_that_came_in_while_no_worker_was_active_is_taken_out(tmp_path: Path) -> None:
    with Sandbox(WorkerPlan(entry=EntryObject(SimpleNamespace(run=list)), folder=tmp_path)):
        sys.modules["made_by_a_late_thread"] = ModuleType("made_by_a_late_thread")
    assert "made_by_a_late_thread" not in sys.modules


def test_each_worker_works_in_a_fresh_folder_of_its_own(code: Path, data: Path) -> None:
    write_files(
        code, {"score.py": "import os\nhere = os.getcwd()\ndef run(batch): return [(os.getcwd(), here, os.listdir())]"}
    )
    rows: list[Any] = _run(code, "score.py", data, workers=2).rows
    assert rows[0][0] != rows[1][0]
    for folder, at_import, content in rows:
        assert folder == at_import
        assert content == []
        assert not folder.startswith(str(code))


def test_a_worker_keeps_the_folder_that_it_went_to(code: Path, tmp_path: Path) -> None:
    data = make_input(tmp_path, files=4)
    write_files(
        code,
        {
            "score.py": """
                import os
                def init():
                    os.mkdir("deeper")
                    os.chdir("deeper")
                def run(batch):
                    return [os.path.basename(os.getcwd())]
            """
        },
    )
    assert _run(code, "score.py", data, workers=2).rows == ["deeper"] * 4


def test_a_worker_whose_folder_is_gone_gets_it_back(code: Path, tmp_path: Path) -> None:
    data = make_input(tmp_path, files=4)
    write_files(code, {"score.py": "import os\ndef run(batch):\n    os.rmdir(os.getcwd())\n    return batch"})
    assert outcomes(_run(code, "score.py", data, workers=2)) == ["succeeded"] * 4


def test_a_worker_is_born_from_the_host_and_not_from_the_worker_before_it(
    code: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_HOST", "1")
    write_files(
        code,
        {
            "score.py": """
                import multiprocessing
                import os
                def init():
                    assert "ONCE" not in os.environ
                    os.environ["ONCE"] = "1"
                    del os.environ["FROM_HOST"]
                    multiprocessing.set_start_method("spawn")
                def run(batch):
                    return [(os.environ["ONCE"], os.environ.get("FROM_HOST"), multiprocessing.get_start_method())]
            """
        },
    )
    assert _run(code, "score.py", data, workers=2).rows == [("1", None, "spawn")] * 2
    assert os.environ["FROM_HOST"] == "1"


def test_what_the_host_decided_about_processes_is_undecided_in_a_worker_and_comes_back(code: Path, data: Path) -> None:
    before = start_method()
    write_files(
        code,
        {
            "score.py": """
                import multiprocessing
                def run(batch):
                    multiprocessing.set_start_method("spawn")
                    return batch
            """
        },
    )
    apply_start_method("spawn")
    try:
        _run(code, "score.py", data, workers=2)
        assert start_method() == "spawn"
    finally:
        apply_start_method(before)


def test_each_worker_keeps_its_own_environment_and_arguments(code: Path, tmp_path: Path) -> None:
    data = make_input(tmp_path, files=4)
    write_files(
        code,
        {
            "score.py": """
                import os
                import sys
                def run(batch):
                    os.environ["CALLS"] = os.environ.get("CALLS", "") + "x"
                    sys.argv.append("more")
                    return [(os.environ["CALLS"], sys.argv.count("more"))]
            """
        },
    )
    assert _run(code, "score.py", data, workers=2).rows == [("x", 1), ("x", 1), ("xx", 2), ("xx", 2)]


def test_arguments_and_environment_are_there_while_the_script_is_imported(code: Path, data: Path) -> None:
    write_files(
        code,
        {"score.py": "import os\nimport sys\nfound = sys.argv[-1], os.environ['MODE']\ndef run(batch): return [found]"},
    )
    settings = JobSettings(environment_variables={"MODE": "fast"})
    result = ParallelJob(code / "score.py", data, settings, program_arguments="--size 3").run()
    assert result.rows == [("3", "fast")] * 2
    assert "MODE" not in os.environ


def test_names_that_a_script_bound_anew_do_not_reach_the_next_worker(code: Path, data: Path) -> None:
    write_files(
        code,
        {
            "score.py": """
                import os
                import sys
                def run(batch):
                    before = type(os.environ).__name__, type(sys.path).__name__
                    os.environ = {}
                    sys.path = tuple(sys.path)
                    return [before]
            """
        },
    )
    assert _run(code, "score.py", data, workers=2).rows == [("_Environ", "list")] * 2


def test_each_worker_has_stand_ins_of_its_own(code: Path, data: Path) -> None:
    write_files(
        code,
        {
            "score.py": """
                from azureml_user.parallel_run import EntryScript
                from azureml.core import Run
                def run(batch):
                    run = Run.get_context()
                    run.log("calls", 1)
                    return [(EntryScript().agent_name, run.get_metrics())]
            """
        },
    )
    rows = _run(code, "score.py", data, workers=2).rows
    assert rows == [("process000", {"calls": 1}), ("process001", {"calls": 1})]
    assert "azureml" not in sys.modules


@pytest.mark.parametrize("azureml", ["standin", "installed"])
def test_a_real_azureml_that_the_host_has_loaded_is_hidden_unless_it_was_asked_for(
    code: Path, data: Path, monkeypatch: pytest.MonkeyPatch, azureml: Any
) -> None:
    real = ModuleType("azureml")
    real.__file__ = importlib.import_module("pytest").__file__
    monkeypatch.setitem(sys.modules, "azureml", real)
    write_files(code, {"score.py": "import azureml\ndef run(batch): return [id(azureml)]"})
    result = ParallelJob(code / "score.py", data, JobSettings(azureml=azureml)).run()
    assert (result.rows[0] == id(real)) == (azureml == "installed")
    assert sys.modules["azureml"] is real


def test_an_object_finds_the_path_and_the_modules_of_the_host(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ModuleType("module_of_a_test")
    monkeypatch.setitem(sys.modules, "module_of_a_test", mine)
    path = list(sys.path)

    def run(batch: list[str]) -> list[object]:
        return [(sys.modules.get("module_of_a_test") is mine, sys.path == path)]

    assert ParallelJob(SimpleNamespace(run=run), data).run().rows == [(True, True)] * 2


def test_an_object_is_told_the_folder_of_the_host_as_working_dir(data: Path) -> None:
    host = os.getcwd()

    def run(batch: list[str]) -> list[object]:
        entry_script = importlib.import_module("azureml_user.parallel_run").EntryScript()
        return [str(entry_script.working_dir)]

    settings = JobSettings(max_concurrency_per_instance=2)
    assert ParallelJob(SimpleNamespace(run=run), data, settings).run().rows == [host] * 2


def test_text_without_a_newline_is_not_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_script(
        tmp_path, "import sys\ndef run(batch):\n    print('a', end='')\n    sys.stderr.write('b')\n    return batch"
    )
    assert tuple(capsys.readouterr()) == ("aa", "bb")


def test_each_worker_has_its_own_stdout(code: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(
        code, {"score.py": "import sys\ndef run(batch):\n    print('x')\n    sys.stdout.close()\n    return batch"}
    )
    _run(code, "score.py", data, workers=2)
    assert capsys.readouterr().out == "x\nx\n"

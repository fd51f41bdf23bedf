"""Which module a worker gets under which name: a stand-in, the user's own, or the installed one."""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_parallelrun.emulator.service.missing_api import (
    GapWatch,
    NotCoveredAttributeError,
    NotCoveredError,
    StandInGap,
    record_gap,
)
from tests.emulator.service.conftest import Activate, write

INSTALLED = {
    "azureml/__init__.py": "raise RuntimeError('the real azureml must not be imported')",
    "azureml/core/__init__.py": "raise RuntimeError('the real azureml.core must not be imported')",
    "azureml/core/run.py": "class Run: pass",
    "azureml/core/compute.py": "from azureml.core import Run\nNAME = 'real compute'",
    "azureml/data/__init__.py": "from azureml.exceptions import UserErrorException\nNAME = 'real data'",
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    folder = write(tmp_path / "site-packages", INSTALLED)
    sys.path.insert(0, str(folder))
    return folder


def is_stand_in(name: str) -> bool:
    return "standins" in str(importlib.import_module(name).__file__)


@pytest.mark.parametrize(
    "name",
    [
        "azureml",
        "azureml.core",
        "azureml.core.dataset",
        "azureml.core.datastore",
        "azureml.core.experiment",
        "azureml.core.keyvault",
        "azureml.core.model",
        "azureml.core.run",
        "azureml.core.workspace",
        "azureml.exceptions",
        "azureml_user",
        "azureml_user.parallel_run",
        "entry_script",
    ],
)
def test_every_module_of_the_service_can_be_imported(activate: Activate, name: str) -> None:
    activate()
    assert is_stand_in(name)


def test_modules_of_azureml_core_export_the_classes_of_azureml_core(activate: Activate) -> None:
    activate()
    import azureml.core
    import azureml.core.dataset
    import azureml.core.experiment
    import azureml.core.model
    import azureml.core.run
    import azureml.core.workspace

    assert azureml.core.run.Run is azureml.core.Run
    assert azureml.core.model.Model is azureml.core.Model
    assert azureml.core.dataset.Dataset is azureml.core.Dataset
    assert azureml.core.workspace.Workspace is azureml.core.Workspace
    assert azureml.core.experiment.Experiment is azureml.core.Experiment


def test_all_names_of_azureml_core_come_with_a_star_import(activate: Activate) -> None:
    activate()
    names: dict[str, object] = {}
    exec("from azureml.core import *", names)
    assert {"Dataset", "Experiment", "Model", "Run", "Workspace"} <= names.keys()


def test_every_worker_gets_its_own_copies(activate: Activate) -> None:
    activate()
    from azureml.core import Run as first

    activate()
    from azureml.core import Run as second

    first.get_context().log("rows", 1)
    assert second.get_context().get_metrics() == {}


def test_bytecode_is_not_written(activate: Activate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "bytecode"))
    activate()
    importlib.import_module("azureml.core")
    assert not list(tmp_path.rglob("model*.pyc"))


def test_other_modules_are_left_to_the_other_finders(activate: Activate) -> None:
    stand_ins = activate()
    assert stand_ins.find_spec("json") is None
    assert stand_ins.find_spec("azureml_tools") is None


@pytest.mark.parametrize("name", ["azureml", "azureml_user", "entry_script"])
@pytest.mark.parametrize("file", ["{}.py", "{}/__init__.py"])
def test_the_users_own_module_below_the_code_root_wins(
    activate: Activate, code_root: Path, name: str, file: str
) -> None:
    write(code_root, {file.format(name): "MINE = True"})
    sys.path.insert(0, str(code_root))
    activate()
    assert importlib.import_module(name).MINE is True


def test_a_submodule_that_the_users_own_package_lacks_is_not_supplied(activate: Activate, code_root: Path) -> None:
    write(code_root, {"azureml/__init__.py": ""})
    sys.path.insert(0, str(code_root))
    activate()
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'azureml\.core'"):
        importlib.import_module("azureml.core")


def test_the_users_own_module_in_a_folder_that_the_script_added_wins(activate: Activate, code_root: Path) -> None:
    write(code_root, {"src/azureml_user/__init__.py": "MINE = True"})
    sys.path.append(str(code_root / "src"))
    activate()
    assert importlib.import_module("azureml_user").MINE is True


def test_a_folder_without_init_is_not_the_users_own_package(activate: Activate, code_root: Path) -> None:
    write(code_root, {"azureml/pipeline.yml": "steps: []", "azureml/submit.py": ""})
    sys.path.insert(0, str(code_root))
    activate()
    assert is_stand_in("azureml.core")


def test_a_package_in_an_environment_below_the_code_root_is_installed_not_the_users_own(
    activate: Activate, code_root: Path
) -> None:
    sys.path.append(str(write(code_root / ".venv" / "lib" / "site-packages", INSTALLED)))
    activate()
    assert is_stand_in("azureml.core")


def test_a_module_outside_the_code_root_does_not_win(activate: Activate, tmp_path: Path) -> None:
    sys.path.insert(0, str(write(tmp_path / "mein Code 2", {"azureml_user/__init__.py": ""})))
    activate()
    assert is_stand_in("azureml_user")


def test_a_path_that_changes_later_does_not_split_a_package(activate: Activate, code_root: Path) -> None:
    write(code_root, {"src/azureml/__init__.py": "", "src/azureml/core.py": ""})
    activate()
    importlib.import_module("azureml")
    sys.path.insert(0, str(code_root / "src"))
    assert is_stand_in("azureml.core")


def test_an_installed_entry_script_module_wins_over_the_stand_in(activate: Activate, tmp_path: Path) -> None:
    sys.path.insert(0, str(write(tmp_path / "lib", {"entry_script.py": "MINE = True"})))
    activate()
    assert importlib.import_module("entry_script").MINE is True


def test_a_finder_of_the_old_kind_is_not_asked(activate: Activate) -> None:
    activate()
    sys.meta_path.append(SimpleNamespace())
    assert is_stand_in("entry_script")


def test_stand_ins_win_over_an_installed_azureml(activate: Activate, installed: Path) -> None:
    activate()
    assert is_stand_in("azureml")
    assert is_stand_in("azureml.core")
    assert is_stand_in("azureml.core.run")


def test_other_modules_of_an_installed_azureml_stay_importable(activate: Activate, installed: Path) -> None:
    activate()
    import azureml.core.compute
    import azureml.data
    from azureml.core import compute

    assert azureml.data.NAME == "real data"
    assert compute.NAME == "real compute"
    assert compute.Run is azureml.core.Run


def test_a_module_that_the_real_package_lacks_is_an_ordinary_import_error(activate: Activate, installed: Path) -> None:
    activate()
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'azureml\.data\.nothing'"):
        importlib.import_module("azureml.data.nothing")


def test_an_azureml_of_several_distributions_is_found_in_all_their_folders(
    activate: Activate, installed: Path, tmp_path: Path
) -> None:
    files = {"azureml/__init__.py": "", "azureml/train/__init__.py": "NAME = 'real train'"}
    sys.path.append(str(write(tmp_path / "more", files)))
    activate()
    assert importlib.import_module("azureml.train").NAME == "real train"


def test_installed_leaves_azureml_to_the_real_package(activate: Activate, tmp_path: Path) -> None:
    files = {"azureml/__init__.py": "", "azureml/core/__init__.py": "REAL = True"}
    sys.path.insert(0, str(write(tmp_path / "site-packages", files)))
    activate(azureml="installed")
    assert importlib.import_module("azureml.core").REAL is True
    assert is_stand_in("azureml_user.parallel_run")


def test_a_module_that_nobody_has_says_what_to_do(activate: Activate) -> None:
    activate()
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("azureml.core.nothing")
    assert isinstance(caught.value, NotCoveredError)
    message = str(caught.value)
    assert message.startswith("azureml.core.nothing is not covered")
    assert "--parallelrun-set azureml=installed" in message
    assert "'azureml' of your own" in message


@pytest.mark.parametrize(
    ("statement", "thing"),
    [
        ("from azureml.core import Environment", "azureml.core.Environment"),
        ("from azureml.core.run import get_run", "azureml.core.run.get_run"),
        ("from azureml import nothing", "azureml.nothing"),
        ("from azureml.exceptions import SomethingElse", "azureml.exceptions.SomethingElse"),
    ],
)
def test_importing_a_name_that_is_not_covered_is_an_import_error_that_names_it(
    activate: Activate, statement: str, thing: str
) -> None:
    activate()
    with pytest.raises(ImportError) as caught:
        exec(statement)
    assert isinstance(caught.value, NotCoveredError)
    assert str(caught.value).startswith(f"{thing} is not covered")


def test_what_azureml_user_lacks_does_not_advise_to_install_it(activate: Activate) -> None:
    activate()
    with pytest.raises(NotCoveredError, match="Put a package 'azureml_user' of your own") as caught:
        importlib.import_module("azureml_user.other")
    assert "installed" not in str(caught.value)


def test_a_script_that_expects_import_errors_falls_back(activate: Activate) -> None:
    activate()
    names: dict[str, object] = {}
    exec("try:\n    from azureml.core import Environment\nexcept ImportError:\n    Environment = None", names)
    assert names["Environment"] is None


def test_an_attribute_of_a_module_that_is_not_covered_is_an_attribute_error_that_says_so(
    activate: Activate,
) -> None:
    activate()
    import azureml.core

    with pytest.raises(NotCoveredAttributeError, match=r"azureml\.core\.Environment is not covered"):
        azureml.core.Environment  # noqa: B018
    assert not hasattr(azureml.core, "Environment")


def test_a_dunder_that_a_module_lacks_is_a_plain_attribute_error(activate: Activate) -> None:
    activate()
    import azureml.core

    with pytest.raises(AttributeError) as caught:
        azureml.core.__version__  # noqa: B018
    assert not isinstance(caught.value, NotCoveredError)


def test_pickle_may_look_for_a_name_in_every_loaded_module(activate: Activate) -> None:
    activate()
    importlib.import_module("azureml.core")

    def nameless() -> None:
        """Pickle searches sys.modules for a function that does not know its module."""

    nameless.__module__ = None  # type: ignore[assignment]
    nameless.__qualname__ = "nowhere_to_be_found"
    with pytest.raises((pickle.PicklingError, AttributeError)) as caught:
        pickle.dumps(nameless)
    assert not isinstance(caught.value, NotCoveredError)


def test_a_reload_keeps_the_facts_of_the_worker(activate: Activate) -> None:
    activate(agent_name="process007")
    import azureml_user.parallel_run

    importlib.reload(azureml_user.parallel_run)
    assert azureml_user.parallel_run.EntryScript().agent_name == "process007"


def test_stand_ins_can_be_closed_before_anything_was_imported(activate: Activate) -> None:
    activate().close()


def test_whoever_listens_hears_of_each_gap_also_of_one_that_is_hidden(activate: Activate) -> None:
    activate()
    met: list[StandInGap] = []
    with GapWatch(met.append):
        from azureml.core import Run

        assert not hasattr(Run.get_context(), "get_environment")
        assert Run.get_context().input_datasets.get("lookup") is None
        with suppress(ImportError):
            from azureml.core import Environment  # noqa: F401
        assert not hasattr(Run.get_context(), "__len__")
    assert not hasattr(Run, "after_all")
    things = [gap.thing for gap in met]
    assert list(dict.fromkeys(things)) == [
        "azureml.core.run.Run.get_environment",
        "azureml.core.run.Run.input_datasets['lookup']",
        "azureml.core.Environment",
    ]
    assert "--parallelrun-set azureml=installed" in met[0].advice
    assert "--parallelrun-env lookup=PATH" in met[1].advice


def test_a_package_of_the_users_own_on_pythonpath_wins(activate: Activate, tmp_path: Path) -> None:
    folder = write(tmp_path / "stubs", {"azureml/__init__.py": "NAME = 'own'"})
    sys.path.insert(0, str(folder))
    stand_ins = activate()
    stand_ins._python_path = [str(folder)]
    assert importlib.import_module("azureml").NAME == "own"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_what_a_forked_child_meets_is_told_when_it_is_asked_for() -> None:
    met: list[StandInGap] = []
    with GapWatch(met.append) as watch:
        child = os.fork()
        if child == 0:
            record_gap("azureml.core.x", "do this")
            os._exit(0)
        os.waitpid(child, 0)
        assert met == []
        watch.collect()
        assert met == [StandInGap("azureml.core.x", "do this")]
        watch.collect()
        assert len(met) == 1
        # As a child does it, where the coverage of this process sees it.
        watch._process = child
        record_gap("azureml.core.y", "")
        watch.collect()
    assert [gap.thing for gap in met] == ["azureml.core.x", "azureml.core.y"]


def test_without_forks_there_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork", raising=False)
    met: list[StandInGap] = []
    with GapWatch(met.append) as watch:
        monkeypatch.setattr(watch, "_process", 0)
        record_gap("of a child", "")
    assert met == []

from __future__ import annotations

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


# Nothing of a script that does not import can be checked, and its job fails.
NEEDS_THE_IMPORT = {
    "entry_defines_run",
    "accepts_runtime_arguments",
    "init_runs_in_every_worker",
    "returns_valid_type",
    "returns_one_result_per_item",
    "no_silent_losses",
}

FLAWED = {
    "a package that is not there": ("import not_installed_anywhere\n", "No module named 'not_installed_anywhere'"),
    "a syntax error": ("def run(mini_batch):\n    return [\n", "SyntaxError"),
    "a model that is looked for beside the working folder": (
        "open('weights.txt')\ndef run(mini_batch): return list(mini_batch)\n",
        "FileNotFoundError",
    ),
    "a relative import of a script that is no part of a package": (
        "from .helpers import x\ndef run(mini_batch): return list(mini_batch)\n",
        "attempted relative import with no known parent package",
    ),
    "a script that ends the process": ("import sys\nsys.exit('no licence')\n", "no licence"),
}


@pytest.mark.parametrize(("script", "message"), FLAWED.values(), ids=FLAWED)
def test_a_script_that_no_worker_can_import_fails(judge: Judge, script: str, message: str) -> None:
    found = judge(script)
    assert found.failed == {"entry_imports", "job_completes"}
    assert found.skipped == NEEDS_THE_IMPORT
    assert message in found.messages["entry_imports"]
    assert found.messages["entry_imports"].startswith("A worker cannot import the entry script: ")
    assert "on Azure ML: the job fails with exit code 42" in found.messages["entry_imports"]


@pytest.mark.parametrize(
    "script",
    [
        "import csv, json\nfrom pathlib import Path\ndef run(mini_batch): return [Path(p).stem for p in mini_batch]\n",
        "from helpers import name_of\ndef run(mini_batch): return [name_of(p) for p in mini_batch]\n",
        "def run(mini_batch):\n    from helpers import name_of\n    return [name_of(p) for p in mini_batch]\n",
        "from azureml_user.parallel_run import EntryScript\ndef run(mini_batch): return list(mini_batch)\n",
        "def run(mini_batch): return list(mini_batch)\nif __name__ == '__main__': raise SystemExit\n",
    ],
    ids=["standard library", "sibling", "sibling at run time", "module of the service", "main guard"],
)
def test_a_script_that_imports_what_a_worker_has_passes(judge: Judge, write: Write, script: str) -> None:
    write("helpers.py", "import os\nname_of = os.path.basename\n")
    assert set(judge(script).outcomes.values()) == {"passed"}


def test_the_message_says_where_a_missing_module_lies(
    judge: Judge, write: Write, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester
) -> None:
    write("library/shared_code.py", "x = 1\n")
    monkeypatch.syspath_prepend(str(pytester.path / "library"))
    found = judge("import shared_code\ndef run(mini_batch): return list(mini_batch)\n")
    assert "entry_imports" in found.failed
    assert "shared_code.py' exists, but of your folders only the code root '" in found.messages["entry_imports"]
    assert "Import it as 'library.shared_code', or add its folder to sys.path" in found.messages["entry_imports"]


def test_a_script_named_like_a_standard_module_fails(judge: Judge) -> None:
    found = judge("def run(mini_batch): return list(mini_batch)\n", name="json.py")
    assert found.failed == {"entry_imports", "job_completes"}
    assert "standard library's module of that name" in found.messages["entry_imports"]


def test_a_relative_import_without_a_package_is_told_with_the_code_root_that_makes_one(
    judge: Judge, write: Write
) -> None:
    write("src/helper.py", "")
    script = "from . import helper\ndef run(mini_batch): return list(mini_batch)\n"
    message = judge(script, input=None, name="src/score.py").messages["entry_imports"]
    assert "its name is then 'src.score'" in message
    assert "--parallelrun-code=" in message

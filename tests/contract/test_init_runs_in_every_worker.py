from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.contract.conftest import Judge


def test_an_init_that_fails_everywhere_fails(judge: Judge) -> None:
    found = judge(
        "def init():\n    raise OSError('no disk')\ndef run(mini_batch): return list(mini_batch)\n", input=None
    )
    assert found.failed == {"init_runs_in_every_worker"}
    message = found.messages["init_runs_in_every_worker"]
    assert message.startswith("init() fails in the first worker: OSError: no disk")
    assert "On the service: the job stops" in message


CACHE = """
    import os, shutil, sys, tempfile

    FOLDER = os.path.join(tempfile.gettempdir(), "cache of a script")

    def init():
        {init}

    def run(mini_batch):
        {run}
        return list(mini_batch)

    def shutdown():
        shutil.rmtree(FOLDER, ignore_errors=True)
"""


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What two workers of a machine share, and what shutdown() of the scripts below clears."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_second_worker_that_finds_the_folder_of_the_first_fails(judge: Judge) -> None:
    found = judge(CACHE.format(init="os.makedirs(FOLDER)", run="pass"), "-k", "init_runs_in_every_worker")
    assert found.failed == {"init_runs_in_every_worker"}
    message = found.messages["init_runs_in_every_worker"]
    assert message.startswith("init() fails in the second worker of a machine: FileExistsError")
    assert "exist_ok=True" in message


def test_an_init_that_takes_away_what_the_first_worker_needs_fails(judge: Judge) -> None:
    # Each init() makes the folder anew, under a name that is in it.
    init = (
        "shutil.rmtree(FOLDER, ignore_errors=True); os.makedirs(FOLDER); global mine; "
        "mine = tempfile.mkdtemp(dir=FOLDER)"
    )
    found = judge(CACHE.format(init=init, run="os.listdir(mine)"))
    assert found.failed == {"init_runs_in_every_worker"}
    message = found.messages["init_runs_in_every_worker"]
    assert message.startswith("After the init() of a second worker, run() of the first one fails: FileNotFoundError")


@pytest.mark.parametrize(
    ("init", "run"),
    [
        ("os.makedirs(FOLDER, exist_ok=True)", "os.listdir(FOLDER)"),
        ("global mine; mine = tempfile.mkdtemp()", "os.listdir(mine)"),
        ("open('model.txt', 'w').close()", "os.stat('model.txt')"),
        ("sys.modules['made_by_init'] = sys", "import made_by_init"),
    ],
    ids=["may exist", "own name", "working folder", "own modules"],
)
def test_an_init_that_gets_along_with_others_passes(judge: Judge, init: str, run: str) -> None:
    assert judge(CACHE.format(init=init, run=run)).failed == set()


def test_a_script_without_init_passes(judge: Judge) -> None:
    assert judge("def run(mini_batch): return list(mini_batch)\n").failed == set()


def test_the_first_worker_is_not_asked_to_run_what_it_cannot(judge: Judge) -> None:
    found = judge("def init(): pass\ndef run(mini_batch): raise ValueError('flawed elsewhere')\n")
    assert found.outcomes["init_runs_in_every_worker"] == "passed"


def test_a_short_return_of_the_first_worker_is_the_matter_of_another_check(judge: Judge) -> None:
    found = judge("def run(mini_batch): return []\n")
    assert found.outcomes["init_runs_in_every_worker"] == "passed"

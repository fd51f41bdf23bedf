from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.conftest import Write
from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


def test_an_init_that_fails_everywhere_fails(judge: Judge) -> None:
    found = judge(
        "def init():\n    raise OSError('no disk')\ndef run(mini_batch): return list(mini_batch)\n", input=None
    )
    assert found.failed == {"init_runs_in_every_worker"}
    message = found.messages["init_runs_in_every_worker"]
    assert message.startswith("init() fails: OSError: no disk")
    assert "on Azure ML: the job fails" in message


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "the following arguments are required: --limit"),
        ("--limit 3 --mode slow", "argument --mode: invalid choice: 'slow' (choose from "),
        ("--limit high", "argument --limit: invalid float value: 'high'"),
    ],
)
def test_an_objection_of_argparse_is_told_once_and_what_to_pass(judge: Judge, given: str, says: str) -> None:
    script = (
        "import argparse\ndef init():\n    parser = argparse.ArgumentParser(allow_abbrev=False)\n"
        "    parser.add_argument('--limit', type=float, required=True)\n"
        "    parser.add_argument('--mode', choices=['fast'])\n    parser.parse_known_args()\n"
        "def run(mini_batch): return list(mini_batch)\n"
    )
    found = judge(script, f"--parallelrun-args={given}")
    assert found.failed == {"init_runs_in_every_worker", "job_completes"}
    message = found.messages["init_runs_in_every_worker"]
    assert message.startswith(f"init() fails: SystemExit: 2 (argparse: {says}")
    assert message.count(says) == 1
    assert '--parallelrun-args="--NAME VALUE" or `program_arguments` of the job file.' in message
    assert f"The script was given: {given or 'none'}." in message
    assert judge(script, "--parallelrun-args=--limit 3 --mode fast").failed == set()


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


def test_a_folder_that_an_earlier_run_left_is_said_to_exist_already(judge: Judge, write: Write) -> None:
    write("cache/file", "")
    script = (
        "import os\nhere = os.path.dirname(os.path.abspath(__file__))\n"
        "def init(): os.makedirs(os.path.join(here, 'cache'))\ndef run(mini_batch): return list(mini_batch)\n"
    )
    message = judge(script, input=None).messages["init_runs_in_every_worker"]
    assert message.startswith("init() fails: FileExistsError")
    assert "It exists already. '" in message
    assert "outside the folders of the job: every later run on the same machine fails as well" in message
    assert "An earlier worker made it" not in message


def test_a_run_that_fails_now_and_then_is_not_put_down_to_the_second_init(judge: Judge, write: Write) -> None:
    # It works in the run of the sample alone: whenever there is no file "ran" yet.
    script = (
        "import os\nmark = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'ran')\n"
        "def run(mini_batch):\n    if mini_batch[0].endswith('item_1.txt'):\n"
        "        if os.path.exists(mark): raise OSError('server is busy')\n"
        "        open(mark, 'w').close()\n    return list(mini_batch)\n"
    )
    found = judge(script)
    assert found.outcomes["init_runs_in_every_worker"] == "skipped"
    assert "server is busy" in found.messages["init_runs_in_every_worker"]


def test_a_file_beside_the_script_is_told_with_the_way_to_open_it(judge: Judge, write: Write) -> None:
    write("labels.txt", "cat")
    script = "def init(): open('labels.txt').close()\ndef run(mini_batch): return list(mini_batch)\n"
    message = judge(script, input=None).messages["init_runs_in_every_worker"]
    assert 'Use os.path.join(os.path.dirname(__file__), "labels.txt").' in message

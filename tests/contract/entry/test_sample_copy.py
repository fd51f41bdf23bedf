from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_parallelrun.contract.entry.sample_copy import copy_of
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from tests.conftest import Write
from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks

SOUND = "def run(mini_batch):\n    return list(mini_batch)\n"
READS = "def run(mini_batch):\n    return [open(path).read() for path in mini_batch]\n"


@pytest.fixture(name="judge")
def judge_first(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    return tmp_path / "copies"


def link(path: Path, target: str) -> None:
    try:
        os.symlink(target, path)
    except (OSError, NotImplementedError):
        pytest.skip("no symbolic links here")


def test_a_dangling_link_stays_an_item_that_cannot_be_read(judge: Judge, project: Path) -> None:
    link(project / "data" / "item_4.txt", "nowhere")
    found = judge(READS, "--parallelrun-set=error_threshold=1")
    assert set(found.outcomes.values()) == {"passed"}
    assert judge(READS, "--parallelrun-set=error_threshold=0").failed == {"job_completes"}


def test_an_item_without_permission_is_an_item_that_cannot_be_read(
    judge: Judge, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = project / "data" / "item_2.txt"
    copies = shutil.copyfile

    def refuse(source: str, target: str, **options: bool) -> str:
        # For root there is no such thing.
        if str(source).endswith("item_2.txt"):
            raise PermissionError(13, "Permission denied", source)
        return copies(source, target, **options)

    monkeypatch.setattr(shutil, "copyfile", refuse)
    script = (
        "import os\ndef run(mini_batch):\n"
        "    if any(not os.stat(path).st_mode & 0o700 for path in mini_batch): raise PermissionError(13, 'no')\n"
        "    return [open(path).read() for path in mini_batch]\n"
    )
    found = judge(script, "--parallelrun-set=error_threshold=1")
    assert set(found.outcomes.values()) == {"passed"}, found.messages
    assert item.stat().st_mode & 0o700


def test_a_link_that_leads_back_to_its_folder_ends_there(judge: Judge, project: Path) -> None:
    link(project / "data" / "again", ".")
    assert set(judge(SOUND).outcomes.values()) == {"passed"}


def test_several_inputs_keep_their_places_to_each_other(project: Path, write: Write, copies: Path) -> None:
    first, second = write("a/x/item.txt", "1"), write("a/y/item.txt", "2")
    copy = copy_of((str(first), str(second)), copies, JobSettings())
    assert isinstance(copy.input, list)
    assert [Path(path).relative_to(copies).as_posix() for path in copy.input] == ["x/item.txt", "y/item.txt"]
    assert [Path(path).read_text() for path in copy.input] == ["1", "2"]


def test_several_files_of_a_folder_are_grouped_as_they_are(project: Path, copies: Path) -> None:
    given = tuple(str(project / "data" / f"item_{number}.txt") for number in (1, 2))
    settings = JobSettings(mini_batch_size=2, rules="observed")
    assert open_input(list(given), settings).total_mini_batches == 1
    assert open_input(copy_of(given, copies, settings).input, settings).total_mini_batches == 1


def test_an_input_that_lies_in_another_is_copied_once(project: Path, copies: Path) -> None:
    data = project / "data"
    copy = copy_of((str(data), str(data / "item_1.txt")), copies, JobSettings())
    assert copy.input == [str(copies / "data"), str(copies / "data" / "item_1.txt")]


def test_a_pattern_stays_a_pattern(project: Path, copies: Path) -> None:
    copy = copy_of(str(project / "data" / "*_[12].txt"), copies, JobSettings())
    assert copy.input == str(copies / "data" / "*_[12].txt")
    assert sorted(path.name for path in (copies / "data").iterdir()) == ["item_1.txt", "item_2.txt"]


def test_a_table_is_named_as_the_user_names_it(judge: Judge, write: Write) -> None:
    write("table.csv", "x\n1\n2\n")
    found = judge("def run(mini_batch): raise ValueError\n", input="table.csv")
    message = found.messages["no_silent_losses"]
    assert "mini-batch 0 (rows 1-2 of table.csv)" in message

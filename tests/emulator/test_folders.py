from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_parallelrun.emulator import folders
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.folders import (
    check_folder,
    is_in_job_folder,
    keep_files,
    make_folder,
    new_job_folder,
    sizes_of_files,
    without_job_folder,
)
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched, files_watched


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        make_folder(folder, "output 'x'")
    return str(caught.value)


def test_paths_in_the_folders_of_two_jobs_are_told_as_the_same() -> None:
    one, other = new_job_folder(), new_job_folder()
    assert without_job_folder(f"a={one}/x") == without_job_folder(f"a={other}/x") != without_job_folder(f"a={one}/y")


def test_the_folder_of_a_job_is_told_from_others(tmp_path: Path) -> None:
    touched = FilesTouched()
    with files_watched(touched):
        folder = new_job_folder()
    try:
        assert not touched.scratch
        assert is_in_job_folder(str(folder / "process000" / "a.txt"))
        assert not is_in_job_folder(str(tmp_path / "a.txt"))
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text("abc")
        (folder / "dangling").symlink_to("nowhere")
        assert sizes_of_files(folder) == {os.path.join("sub", "a.txt"): 3}
    finally:
        shutil.rmtree(folder)


def test_a_folder_is_made_with_those_above_it_or_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "a b" / "ü"
    assert make_folder(folder, "output").is_dir()
    assert make_folder(folder, "output") == folder


def test_a_look_leaves_nothing(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b", "output")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="output cannot be made"):
        check_folder(tmp_path / "a" / ("x" * 300), "output")
    assert not list(tmp_path.iterdir())
    check_folder(tmp_path, "output")
    assert tmp_path.is_dir()


def test_a_file_and_what_is_below_one_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert refusal(file) == "output 'x' is a file: give a folder."
    assert refusal(file / "a" / "b") == f"output 'x' is below '{file}', which is a file: give a folder."


def test_a_link_to_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert refusal(tmp_path / "link") == "output 'x' is a file: give a folder."


def test_what_may_not_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Who runs this may be allowed everything.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert refusal(tmp_path) == "output 'x' cannot be written to: give a folder that you may write to."
    assert refusal(tmp_path / "a") == (
        f"output 'x' is below '{tmp_path}', which cannot be written to: give a folder that you may write to."
    )


def test_what_the_system_refuses_to_make_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path / ("x" * 300))
    assert message == "output 'x' cannot be made: File name too long: give a folder that you may write to."


def test_what_cannot_be_moved_is_told_and_the_rest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = make_folder(tmp_path / "output", "output")
    for name in ("process000", "process001"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    move = shutil.move

    def full(source: Path, target: Path) -> None:
        if source.name == "process000":
            raise OSError(28, "No space left on device")
        move(source, target)

    monkeypatch.setattr(shutil, "move", full)
    [note] = keep_files(tmp_path, output)
    assert note.startswith(f"what process000 wrote into its own folder could not be kept in '{output}': ")
    assert [path.name for path in output.iterdir()] == ["process001"]


def test_what_is_left_at_the_end_of_the_process_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(folders, "_locked", {(0, tmp_path / "of another process"): 0})
    new_job_folder()
    [folder] = tmp_path.iterdir()
    folders._remove_all()
    assert list(tmp_path.iterdir()) == []
    # It is gone already.
    folders._remove(folder)

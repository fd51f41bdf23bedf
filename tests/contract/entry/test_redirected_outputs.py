"""What checks make a script write stays out of the user's own folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.contract.bounds import MAX_OUTPUT_BYTES
from pytest_parallelrun.contract.entry.redirected_outputs import Outputs, paths_in
from pytest_parallelrun.emulator.worker.file_watch import FilesTouched


def watched(folder: Path, *, arguments: tuple[str, ...] = (), **variables: str) -> Outputs:
    """Outputs that have watched a job which writes out/a.txt and reads out/names.txt."""
    outputs = Outputs()
    with outputs.watched(paths_in(arguments, variables)):
        (folder / "out").mkdir(exist_ok=True)
        (folder / "out" / "a.txt").write_text("a")
        if (folder / "out" / "names.txt").exists():
            (folder / "out" / "names.txt").read_text()
    return outputs


def test_paths_are_named_by_their_option_or_variable(tmp_path: Path) -> None:
    out = str(tmp_path)
    assert paths_in(("--out", out, f"--log={out}/log", "--n", "3", "relative/path"), {"OUT": f"{out}/v", "N": "1"}) == {
        "--out": out,
        "--log": f"{out}/log",
        "$OUT": f"{out}/v",
    }


def test_a_positional_path_is_named_by_itself(tmp_path: Path) -> None:
    assert paths_in((str(tmp_path),), {}) == {str(tmp_path): str(tmp_path)}


@pytest.mark.parametrize("form", [("--out", "{}"), ("--out={}",), ("{}",)])
def test_a_folder_that_a_job_writes_to_is_replaced(tmp_path: Path, form: tuple[str, ...]) -> None:
    arguments = tuple(part.format(tmp_path / "out") for part in form)
    outputs = watched(tmp_path, arguments=arguments)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    redirected = outputs.redirected(arguments, {}, fresh)
    assert redirected.arguments != arguments
    (place,) = redirected.folders
    assert place.startswith(str(fresh))
    assert redirected.arguments[-1].endswith(place)


def test_a_folder_that_no_job_writes_to_is_kept(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    arguments = ("--models", str(models))
    outputs = watched(tmp_path, arguments=arguments)
    assert outputs.redirected(arguments, {}, tmp_path).arguments == arguments


def test_a_folder_that_was_there_is_there_with_what_is_read_in_it(tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "names.txt").write_text("n")
    (tmp_path / "out" / "other.txt").write_text("o")
    arguments = ("--out", str(tmp_path / "out"))
    outputs = watched(tmp_path, arguments=arguments)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (place,) = outputs.redirected(arguments, {}, fresh).folders
    assert [path.name for path in Path(place).iterdir()] == ["names.txt"]


def test_a_folder_that_the_job_makes_is_not_made_for_it(tmp_path: Path) -> None:
    arguments = ("--out", str(tmp_path / "out"))
    outputs = watched(tmp_path, arguments=arguments)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (place,) = outputs.redirected(arguments, {}, fresh).folders
    assert not Path(place).exists()
    assert Path(place).parent.is_dir()


def test_a_variable_is_replaced_too(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    outputs = watched(tmp_path, OUT=out)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    redirected = outputs.redirected((), {"OUT": out, "OTHER": "1"}, fresh)
    assert redirected.environment["OUT"] != out
    assert redirected.environment["OTHER"] == "1"


def test_a_file_at_a_fixed_path_is_put_back(tmp_path: Path) -> None:
    outputs = watched(tmp_path)
    with outputs.kept():
        (tmp_path / "out" / "a.txt").write_text("more")
    assert (tmp_path / "out" / "a.txt").read_text() == "a"


def test_a_file_that_was_deleted_is_put_back(tmp_path: Path) -> None:
    outputs = watched(tmp_path)
    with outputs.kept():
        (tmp_path / "out" / "a.txt").unlink(missing_ok=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "a"


@pytest.mark.parametrize("code", [None, "out"])
def test_a_temporary_file_of_the_job_is_away_meanwhile_unless_it_is_beside_the_script(
    tmp_path: Path, code: str | None
) -> None:
    outputs, made, known = Outputs(), tmp_path / "out" / "made", tmp_path / "out" / "known"
    made.parent.mkdir()
    known.write_text("1")
    with outputs.watched({}, code=tmp_path / code if code else None):
        made.write_text("1")
        known.write_text(known.read_text() + "2")
    with outputs.kept():
        assert (made.exists(), known.read_text()) == (code is not None, "12")
    assert made.read_text() == "1"


def test_a_file_that_was_gone_before_is_gone_again(tmp_path: Path) -> None:
    outputs = watched(tmp_path)
    (tmp_path / "out" / "a.txt").unlink()
    with outputs.kept():
        (tmp_path / "out" / "a.txt").write_text("more")
    assert not (tmp_path / "out" / "a.txt").exists()


def test_of_new_files_beside_it_those_of_the_script_are_taken_away(tmp_path: Path) -> None:
    outputs = watched(tmp_path)
    (tmp_path / "out" / "mine.txt").write_text("m")
    with outputs.kept():
        touched = FilesTouched()
        for name in ("new.txt", "mine.txt"):
            (tmp_path / "out" / name).write_text("x")
            touched.written[str(tmp_path / "out" / name)] = None
        (tmp_path / "out" / "of_another_program.txt").write_text("x")
        outputs.note(touched)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.txt",
        "mine.txt",
        "of_another_program.txt",
    ]


def test_a_file_that_is_too_large_to_keep_stays_as_it_is(tmp_path: Path) -> None:
    outputs = watched(tmp_path)
    with open(tmp_path / "out" / "a.txt", "wb") as file:
        file.truncate(MAX_OUTPUT_BYTES + 1)
    with outputs.kept():
        (tmp_path / "out" / "a.txt").write_text("small")
    assert (tmp_path / "out" / "a.txt").read_text() == "small"

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.models import (
    MAX_LISTED,
    below_model_dir,
    find_models,
    model_dir_entries,
    model_tree,
    original_path,
    reads_model_dir,
    shadowed_models,
    stage_models,
)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a model that is a file, one that is a folder, and one with = in its name."""
    (tmp_path / "iris.pkl").touch()
    (tmp_path / "größe modell").mkdir()
    (tmp_path / "a=b").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_without_a_name_is_called_after_its_path(models: Path) -> None:
    assert find_models(["iris.pkl"]) == {"iris.pkl": models / "iris.pkl"}


def test_a_model_with_a_name(models: Path) -> None:
    assert find_models(["sizes=größe modell"]) == {"sizes": models / "größe modell"}


def test_the_order_is_kept(models: Path) -> None:
    assert list(find_models(["z=iris.pkl", Path("größe modell")])) == ["z", "größe modell"]


def test_an_existing_path_with_an_equals_sign_is_a_path(models: Path) -> None:
    assert find_models(["a=b"]) == {"a=b": models / "a=b"}


def test_relative_paths_start_at_the_base(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("base")
    (base / "other.pkl").touch()
    assert find_models(["m=other.pkl"], base=base) == {"m": base / "other.pkl"}


def test_the_home_folder_is_understood(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(models))
    monkeypatch.setenv("USERPROFILE", str(models))
    assert find_models(["m=~/iris.pkl"]) == {"m": models / "iris.pkl"}


def test_a_path_that_does_not_exist_is_named(models: Path) -> None:
    with pytest.raises(InputError, match=r"model 'm=none\.pkl': '.*none\.pkl' does not exist; give NAME=PATH or PATH"):
        find_models(["m=none.pkl"])


def test_one_name_for_two_models_is_refused(models: Path) -> None:
    with pytest.raises(InputError, match=r"the name 'm' is already that of '.*iris\.pkl'"):
        find_models(["m=iris.pkl", "m=größe modell"])


def test_the_same_model_twice_is_one(models: Path) -> None:
    assert find_models(["iris.pkl", models / "iris.pkl"]) == {"iris.pkl": models / "iris.pkl"}


def test_a_mapping_names_models_whatever_their_paths_are(models: Path) -> None:
    assert find_models({"m=n": "a=b", "a": models / "a=b"}) == {"m=n": models / "a=b", "a": models / "a=b"}
    with pytest.raises(InputError, match=r"model 'm=none\.pkl': '.*none\.pkl' does not exist"):
        find_models({"m": "none.pkl"})


def test_the_root_of_a_disk_and_a_path_for_a_name_are_refused(models: Path) -> None:
    with pytest.raises(InputError, match="the root of a disk is no model"):
        find_models([os.path.abspath(os.sep)])
    with pytest.raises(InputError, match=r"'risk/model\.cb' is a path, not the name of a model"):
        find_models(["risk/model.cb=iris.pkl"])


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    model = tmp_path / "models" / "bert"
    (model / "weights").mkdir(parents=True)
    (model / "config.json").write_text("{}", encoding="utf-8")
    (model / "weights" / "w.bin").write_text("0", encoding="utf-8")
    return model


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return tmp_path / "parallelrun-job"


def test_a_folder_lies_below_the_variable_and_a_file_in_it(nested: Path, tmp_path: Path, job: Path) -> None:
    file = tmp_path / "iris.pkl"
    file.write_text("iris", encoding="utf-8")
    staged = stage_models({"a name": nested, "other": file}, job)
    assert staged == job / "AZUREML_MODEL_DIR"
    assert sorted(path.name for path in staged.iterdir()) == ["bert", "iris.pkl"]
    assert (staged / "iris.pkl").read_text(encoding="utf-8") == "iris"
    # Neither of the two goes into folders that are links.
    assert [path.name for path in staged.rglob("w.bin")] == ["w.bin"]
    assert any("w.bin" in files for _, _, files in os.walk(staged))


def test_without_models_there_is_no_folder(job: Path) -> None:
    assert stage_models({}, job) is None
    assert not job.exists()


def refuse(*arguments: object) -> None:
    raise OSError("not possible")


def test_a_file_is_where_it_seems_to_be(nested: Path, job: Path) -> None:
    """MLflow refuses a model whose files have their real path elsewhere."""
    staged = stage_models({"bert": nested}, job)
    assert staged is not None
    for file in staged.rglob("*"):
        assert file.resolve().is_relative_to(staged.resolve())


@pytest.mark.parametrize(
    ("refused", "most", "is_link"),
    [("link", 50, False), ("link", 0, True), ("link symlink_to", 0, False)],
)
def test_a_file_on_another_disk_is_copied_unless_it_is_large(
    nested: Path, job: Path, monkeypatch: pytest.MonkeyPatch, refused: str, most: int, is_link: bool
) -> None:
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("pytest_parallelrun.emulator.models.MAX_COPIED", most)
    if "symlink_to" in refused:
        monkeypatch.setattr(Path, "symlink_to", refuse)
    staged = stage_models({"bert": nested}, job)
    assert staged is not None
    copy = staged / "bert" / "weights" / "w.bin"
    assert (copy.is_symlink(), copy.read_text(encoding="utf-8")) == (is_link, "0")


def test_what_a_script_adds_or_removes_does_not_touch_the_model(nested: Path, job: Path) -> None:
    staged = stage_models({"bert": nested}, job)
    assert staged is not None
    (staged / "bert" / "cache.bin").touch()
    (staged / "bert" / "config.json").unlink()
    assert sorted(path.name for path in nested.iterdir()) == ["config.json", "weights"]


def test_a_link_in_a_circle_ends(nested: Path, job: Path) -> None:
    (nested / "weights" / "again").symlink_to(nested)
    staged = stage_models({"bert": nested}, job)
    assert staged is not None
    assert (staged / "bert" / "weights" / "w.bin").is_file()


def test_of_two_with_one_name_of_file_the_first_lies_there(nested: Path, tmp_path: Path, job: Path) -> None:
    other = tmp_path / "other" / "bert"
    other.mkdir(parents=True)
    models = {"one": nested, "again": nested, "two": other}
    assert shadowed_models(models) == ["two"]
    staged = stage_models(models, job)
    assert staged is not None
    assert (staged / "bert" / "config.json").is_file()
    assert model_dir_entries(models) == {"bert": nested}


def test_a_path_below_the_variable_is_told_by_the_path_of_its_model(nested: Path) -> None:
    folder = os.path.join(os.sep, "tmp", "parallelrun-x1", "AZUREML_MODEL_DIR")
    models = {"m": nested}
    inner = os.path.join("weights", "w.bin")
    assert original_path(os.path.join(folder, "bert", inner), models) == str(nested / inner)
    assert original_path(os.path.join(folder, "bert"), models) == str(nested)
    for other in (folder, os.path.join(folder, "model.pkl"), str(nested)):
        assert original_path(other, models) == other
    assert below_model_dir(folder) == ""
    assert below_model_dir(os.path.join(folder, "x.pkl")) == "x.pkl"
    assert below_model_dir(str(nested)) is None


def test_the_tree_shows_two_levels_and_says_how_much_it_leaves_out(nested: Path, tmp_path: Path) -> None:
    (nested / "weights" / "deep").mkdir()
    (nested / "weights" / "deep" / "deeper.bin").touch()
    entries = {"bert": nested, "a.pkl": nested / "config.json"}
    assert model_tree(entries) == ["a.pkl", "bert/", "  config.json", "  weights/", "    deep/", "    w.bin"]
    for number in range(20):
        (nested / f"x{number}").touch()
    assert model_tree(entries)[-1] == f"and {26 - MAX_LISTED} more"


@pytest.mark.parametrize(
    ("files", "reads"),
    [
        ({"score.py": "import os\nfolder = os.environ['AZUREML_MODEL_DIR']"}, True),
        ({"score.py": "import helper", "helper.py": "import score\nNAME = 'AZUREML_MODEL_DIR'"}, True),
        (
            {
                "score.py": "import src",
                "src/__init__.py": "from .load import x",
                "src/load.py": "AZUREML_MODEL_DIR",
            },
            True,
        ),
        ({"score.py": "from . import other\nfrom ....... import x\nimport os", "other.py": "AZUREML_MODEL_DIR"}, False),
    ],
)
def test_whether_a_script_reads_the_variable_is_told_by_its_own_modules(
    tmp_path: Path, files: dict[str, str], reads: bool
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert reads_model_dir(EntryFile(tmp_path / "score.py", tmp_path)) is reads

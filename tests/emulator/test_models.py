from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.emulator.entry import find_models, model_directory
from pytest_parallelrun.emulator.errors import InputError


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


def test_a_folder_is_the_model_directory_itself(models: Path) -> None:
    assert model_directory(find_models(["größe modell", "iris.pkl"])) == models / "größe modell"


def test_a_file_lies_in_the_model_directory(models: Path) -> None:
    assert model_directory(find_models(["iris.pkl", "größe modell"])) == models


def test_without_models_there_is_no_model_directory() -> None:
    assert model_directory({}) is None

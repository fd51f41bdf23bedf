from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_parallelrun.emulator.service.missing_api import GapWatch, NotCoveredAttributeError, StandInGap
from tests.emulator.service.conftest import Activate, write


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return write(
        tmp_path / "Modelle 1",
        {"credit.pkl": "credit", "bert/config.json": "{}", "bert/weights/w.bin": "0"},
    )


def model_class() -> Any:
    from azureml.core.model import Model

    return Model


def exception(name: str) -> type[Exception]:
    import azureml.exceptions

    found: type[Exception] = getattr(azureml.exceptions, name)
    return found


def test_a_model_is_found_by_its_name(activate: Activate, disk: Path) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    assert model_class().get_model_path("risk") == str(disk / "credit.pkl")


@pytest.mark.parametrize("name", ["credit.pkl", "credit"])
def test_a_model_is_found_by_its_file_name_with_or_without_suffix(activate: Activate, disk: Path, name: str) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    assert model_class().get_model_path(name) == str(disk / "credit.pkl")


def test_a_name_goes_before_a_file_name(activate: Activate, disk: Path) -> None:
    activate(models={"risk": disk / "bert", "bert": disk / "credit.pkl"})
    assert model_class().get_model_path("bert") == str(disk / "credit.pkl")


def test_a_file_name_goes_before_one_without_its_suffix(activate: Activate, tmp_path: Path) -> None:
    activate(models={"a": tmp_path / "bert.onnx", "b": tmp_path / "bert"})
    assert model_class().get_model_path("bert") == str(tmp_path / "bert")


def test_any_version_is_the_one_on_disk(activate: Activate, disk: Path) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    assert model_class().get_model_path("risk", version=7, _workspace=None) == str(disk / "credit.pkl")


def test_an_unknown_model_names_the_known_ones_and_the_option(activate: Activate, disk: Path) -> None:
    activate(models={"risk": disk / "credit.pkl", "bert": disk / "bert"})
    with pytest.raises(exception("ModelNotFoundException")) as caught:
        model_class().get_model_path("fraud")
    assert str(caught.value) == (
        "Model 'fraud' is none of the models of --parallelrun-model (bert, risk). Give --parallelrun-model fraud=PATH."
    )


def test_a_name_that_fits_two_files_is_not_guessed(activate: Activate, tmp_path: Path) -> None:
    activate(models={"a": tmp_path / "net.onnx", "b": tmp_path / "net.pt"})
    with pytest.raises(exception("ModelNotFoundException"), match=r"'net' fits 2 models .*\(a, b\)"):
        model_class().get_model_path("net")


def test_without_models_the_entries_of_the_model_folder_are_the_models(
    activate: Activate, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate()
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(disk))
    assert model_class().get_model_path("bert") == str(disk / "bert")
    assert model_class().get_model_path("credit") == str(disk / "credit.pkl")
    with pytest.raises(exception("ModelNotFoundException"), match=r"AZUREML_MODEL_DIR=.*\(bert, credit\.pkl\)"):
        model_class().get_model_path("fraud")


def test_models_that_were_given_go_before_the_model_folder(
    activate: Activate, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(disk))
    with pytest.raises(exception("ModelNotFoundException"), match=r"\(risk\)"):
        model_class().get_model_path("bert")


def test_without_any_model_the_message_still_says_what_to_give(
    activate: Activate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate()
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "missing"))
    with pytest.raises(exception("ModelNotFoundException"), match=r"\(none\). Give --parallelrun-model x=PATH"):
        model_class().get_model_path("x")


def test_a_model_object_knows_name_version_and_path(activate: Activate, disk: Path) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    model = model_class()(None, "risk")
    assert (model.name, model.version, model.id) == ("risk", 1, "risk:1")
    assert model.path == str(disk / "credit.pkl")


@pytest.mark.parametrize(
    ("arguments", "version"),
    [
        ({"name": "risk", "version": 3}, 3),
        ({"id": "risk:4"}, 4),
        ({"id": "risk"}, 1),
        ({"name": "risk", "id": "other:4"}, 1),
    ],
)
def test_a_model_object_is_asked_for_by_name_or_id(
    activate: Activate, disk: Path, arguments: dict[str, Any], version: int
) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    model = model_class()(workspace=None, **arguments)
    assert (model.name, model.version) == ("risk", version)


def test_a_model_object_that_is_not_there_raises_what_the_sdk_raises(activate: Activate) -> None:
    activate()
    with pytest.raises(exception("WebserviceException"), match="ModelNotFound: Model 'risk' is none of"):
        model_class()(None, "risk")


def test_a_model_object_without_name_and_id_is_refused(activate: Activate) -> None:
    activate()
    with pytest.raises(exception("WebserviceException"), match="name or the id"):
        model_class()(None)


def test_a_download_copies_the_file(activate: Activate, disk: Path, tmp_path: Path) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    copy = model_class()(None, "risk").download(target_dir=str(tmp_path / "a" / "b"))
    assert copy == str(tmp_path / "a" / "b" / "credit.pkl")
    assert Path(copy).read_text(encoding="utf-8") == "credit"


def test_a_download_copies_the_folder(activate: Activate, disk: Path, tmp_path: Path) -> None:
    activate(models={"bert": disk / "bert"})
    copy = model_class()(None, "bert").download(str(tmp_path / "target"))
    assert copy == str(tmp_path / "target" / "bert")
    assert (tmp_path / "target" / "bert" / "weights" / "w.bin").read_text(encoding="utf-8") == "0"


def test_a_download_goes_to_the_current_folder_by_default(
    activate: Activate, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    activate(models={"risk": disk / "credit.pkl"})
    copy = model_class()(None, "risk").download()
    assert Path(copy).resolve() == (tmp_path / "credit.pkl").resolve()
    assert (tmp_path / "credit.pkl").is_file()


@pytest.mark.parametrize("name", ["risk", "bert"])
def test_a_second_download_is_refused_unless_it_may_overwrite(
    activate: Activate, disk: Path, tmp_path: Path, name: str
) -> None:
    activate(models={"risk": disk / "credit.pkl", "bert": disk / "bert"})
    model = model_class()(None, name)
    copy = model.download(str(tmp_path / "target"))
    with pytest.raises(exception("WebserviceException"), match="exist_ok=True"):
        model.download(str(tmp_path / "target"))
    assert model.download(str(tmp_path / "target"), exist_ok=True) == copy
    assert model.download(str(tmp_path / "target"), exists_ok=True) == copy


@pytest.mark.parametrize("name", ["deploy", "delete"])
def test_what_the_class_does_not_cover_is_refused(activate: Activate, name: str) -> None:
    activate()
    with pytest.raises(NotCoveredAttributeError, match=rf"azureml\.core\.model\.Model\.{name} is not covered"):
        getattr(model_class(), name)


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("bert/config.json", 'os.path.join(Model.get_model_path("bert"), "config.json")'),
        ("models\\\\bert\\\\weights\\\\w.bin", 'os.path.join(Model.get_model_path("bert"), "weights", "w.bin")'),
        ("models/risk", 'Model.get_model_path("risk")'),
        ("models/risk/credit.pkl", 'Model.get_model_path("risk")'),
        ("models/fraud.pkl", 'os.path.join(Model.get_model_path("NAME"), "fraud.pkl")'),
    ],
)
def test_a_path_for_a_name_is_told_what_to_write_instead(
    activate: Activate, disk: Path, path: str, advice: str
) -> None:
    activate(models={"risk": disk / "credit.pkl", "bert": disk / "bert"})
    met: list[StandInGap] = []
    with GapWatch(met.append):
        with pytest.raises(
            exception("ModelNotFoundException"), match="is a path, which the service does not find"
        ) as caught:
            model_class().get_model_path(path)
        with pytest.raises(exception("WebserviceException"), match="is a path"):
            model_class()(None, path)
    assert f"Use {advice}" in str(caught.value)
    assert ("registered under" in str(caught.value)) == ("NAME" in advice)
    # It is the fault of the script.
    assert met == []


def test_a_model_that_nobody_gave_is_a_gap_and_not_the_fault_of_the_script(activate: Activate) -> None:
    activate()
    met: list[StandInGap] = []
    with GapWatch(met.append), pytest.raises(exception("ModelNotFoundException")):
        model_class().get_model_path("fraud")
    assert met == [StandInGap("the model 'fraud'", "Give --parallelrun-model fraud=PATH.")]


def test_the_models_of_a_workspace_are_found_as_models_are_and_a_missing_one_is_a_gap(
    activate: Activate, disk: Path
) -> None:
    activate(models={"credit.pkl": disk / "credit.pkl"})
    from azureml.core import Workspace

    models = Workspace().models
    assert list(models) == ["credit.pkl"]
    assert models["credit"].path == str(disk / "credit.pkl")
    met: list[StandInGap] = []
    with GapWatch(met.append), pytest.raises(KeyError, match="'fraud' is none of the models"):
        models["fraud"]
    assert met == [StandInGap("the model 'fraud'", "Give --parallelrun-model fraud=PATH.")]


def test_models_are_listed_all_or_by_name(activate: Activate, disk: Path) -> None:
    activate(models={"risk": disk / "credit.pkl", "bert": disk / "bert"})
    listed = model_class().list(None)
    assert [(model.name, model.path) for model in listed] == [
        ("risk", str(disk / "credit.pkl")),
        ("bert", str(disk / "bert")),
    ]
    [model] = model_class().list(workspace=None, name="bert", tags=["ready", ["kind", "nlp"]], latest=True)
    assert (model.name, model.tags, model.properties) == ("bert", {"ready": "", "kind": "nlp"}, {})
    assert model_class().list(None, "fraud") == []


def test_a_model_has_the_version_tags_and_properties_that_it_was_asked_for_by(activate: Activate, disk: Path) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    model = model_class()(None, "risk", version=3, tags={"kind": "x"}, properties=[["p", "1"]], model_framework="F")
    assert (model.version, model.tags, model.properties) == (3, {"kind": "x"}, {"p": "1"})
    assert (model.model_framework, model.run_id, model.description) == ("F", None, None)
    model.add_tags({"seen": "yes"})
    model.add_properties({"q": "2"})
    assert (model.tags["seen"], model.properties["q"]) == ("yes", "2")
    assert model.created_time.year > 2000


def test_the_only_model_is_found_by_tags_alone(activate: Activate, disk: Path) -> None:
    activate(models={"risk": disk / "credit.pkl"})
    assert model_class()(None, tags=[["kind", "x"]]).name == "risk"

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.emulator.service.missing_api import NotCoveredAttributeError, NotCoveredError
from tests.emulator.service.conftest import Activate, write

CONFIG = '{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}'


@pytest.mark.parametrize("place", [".azureml/config.json", "aml_config/project.json", "config.json"])
def test_a_workspace_is_read_from_a_config_file_here_or_above(
    activate: Activate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    file = write(tmp_path, {place: CONFIG}) / place
    inner = tmp_path / "in" / "ner"
    inner.mkdir(parents=True)
    activate()
    from azureml.core import Workspace

    for workspace in (Workspace.from_config(str(inner)), Workspace.from_config(path=str(file), auth=None)):
        assert (workspace.subscription_id, workspace.resource_group, workspace.name) == ("s", "g", "w")
        assert workspace.location == "local"
    monkeypatch.chdir(inner)
    assert Workspace.from_config(_file_name=file.name).name == "w"


def test_without_a_config_file_there_is_none_as_on_the_service(activate: Activate, tmp_path: Path) -> None:
    activate()
    from azureml.core import Workspace
    from azureml.exceptions import UserErrorException

    with pytest.raises(
        UserErrorException, match=r"There is no config\.json of a workspace in .*give the path of the file"
    ):
        Workspace.from_config(str(tmp_path))


def test_secrets_of_its_key_vault_are_environment_variables(
    activate: Activate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("storage-key", "geheim")
    activate()
    from azureml.core import Workspace

    vault = Workspace().get_default_keyvault()
    assert vault.get_secret("storage-key") == "geheim"
    assert vault.get_secrets(["storage-key"]) == {"storage-key": "geheim"}
    with pytest.raises(NotCoveredError, match=r"Keyvault\.get_secret\('other'\) .* --parallelrun-env other=VALUE"):
        vault.get_secret("other")


def test_its_tracking_uri_is_that_of_the_worker(activate: Activate, monkeypatch: pytest.MonkeyPatch) -> None:
    activate()
    from azureml.core import Workspace

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///runs")
    assert Workspace().get_mlflow_tracking_uri() == "file:///runs"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(NotCoveredAttributeError, match="--parallelrun-env MLFLOW_TRACKING_URI=URI"):
        Workspace().get_mlflow_tracking_uri()


def test_its_models_are_those_on_disk(activate: Activate, tmp_path: Path) -> None:
    activate(models={"risk": tmp_path})
    from azureml.core import Workspace

    assert [(name, model.path) for name, model in Workspace().models.items()] == [("risk", str(tmp_path))]


def test_a_workspace_keeps_the_names_it_was_asked_for(activate: Activate) -> None:
    activate()
    from azureml.core.workspace import Workspace

    workspace = Workspace("subscription", "group", "name", auth=None)
    assert (workspace.subscription_id, workspace.resource_group) == ("subscription", "group")
    assert workspace.name == "name"
    assert Workspace.get("name", resource_group="group").name == "name"
    assert Workspace.get("name", resource_group="group").resource_group == "group"


@pytest.mark.parametrize("name", ["datasets", "compute_targets", "get_default_datastore"])
def test_what_a_workspace_does_not_cover_is_refused(activate: Activate, name: str) -> None:
    activate()
    from azureml.core import Workspace

    with pytest.raises(
        NotCoveredAttributeError, match=rf"azureml\.core\.workspace\.Workspace\.{name} is not covered"
    ) as caught:
        getattr(Workspace(), name)
    assert "--parallelrun-set azureml=installed" in str(caught.value)


def test_an_experiment_is_a_name_in_a_workspace(activate: Activate) -> None:
    activate()
    from azureml.core import Experiment, Workspace

    workspace = Workspace()
    experiment = Experiment(workspace=workspace, name="batch")
    assert experiment.workspace is workspace
    assert experiment.name == "batch"


@pytest.mark.parametrize("name", ["get_by_name", "get_by_id", "Tabular", "File"])
def test_a_dataset_points_to_program_arguments(activate: Activate, name: str) -> None:
    activate()
    from azureml.core import Dataset

    with pytest.raises(
        NotCoveredAttributeError, match=rf"azureml\.core\.dataset\.Dataset\.{name} is not covered"
    ) as caught:
        getattr(Dataset, name)
    assert "--parallelrun-args" in str(caught.value)

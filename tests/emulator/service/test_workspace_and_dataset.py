from __future__ import annotations

import pytest

from pytest_parallelrun.emulator.service.missing_api import NotCoveredAttributeError
from tests.emulator.service.conftest import Activate


def test_a_workspace_from_a_config_file_is_local_and_reads_no_file(activate: Activate) -> None:
    activate()
    from azureml.core import Workspace

    workspace = Workspace.from_config(path="no such file", auth=None)
    assert workspace.name == "local"
    assert workspace.subscription_id == "local"
    assert workspace.resource_group == "local"
    assert workspace.location == "local"


def test_a_workspace_keeps_the_names_it_was_asked_for(activate: Activate) -> None:
    activate()
    from azureml.core.workspace import Workspace

    workspace = Workspace("subscription", "group", "name", auth=None)
    assert (workspace.subscription_id, workspace.resource_group) == ("subscription", "group")
    assert workspace.name == "name"
    assert Workspace.get("name", resource_group="group").name == "name"
    assert Workspace.get("name", resource_group="group").resource_group == "group"


@pytest.mark.parametrize("name", ["datasets", "models", "get_default_datastore", "get_default_keyvault"])
def test_what_a_workspace_does_not_cover_is_refused(activate: Activate, name: str) -> None:
    activate()
    from azureml.core import Workspace

    with pytest.raises(
        NotCoveredAttributeError, match=rf"azureml\.core\.workspace\.Workspace\.{name} is not covered"
    ) as caught:
        getattr(Workspace.from_config(), name)
    assert "--parallelrun-set azureml=installed" in str(caught.value)


def test_an_experiment_is_a_name_in_a_workspace(activate: Activate) -> None:
    activate()
    from azureml.core import Experiment, Workspace

    workspace = Workspace.from_config()
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

from __future__ import annotations

from typing import Any

import pytest

from pytest_parallelrun.emulator.service.missing_api import NotCoveredAttributeError, NotCoveredError
from tests.emulator.service.conftest import Activate


@pytest.fixture
def run(activate: Activate) -> Any:
    activate()
    from azureml.core import Run

    return Run.get_context()


def test_a_worker_has_one_run(run: Any) -> None:
    from azureml.core.run import Run

    assert Run.get_context(allow_offline=False) is run
    assert Run.get_context(used_for_context_manager=True, anything="else") is run
    assert isinstance(run, Run)


def test_the_run_does_not_look_like_an_offline_run(run: Any) -> None:
    from azureml.core.run import _OfflineRun

    assert run.id == "parallelrun-local"
    assert not run.id.startswith("OfflineRun")
    assert not isinstance(run, _OfflineRun)


def test_the_run_leads_to_experiment_workspace_and_parent(run: Any) -> None:
    from azureml.core import Experiment, Run, Workspace

    assert isinstance(run.experiment, Experiment)
    assert isinstance(run.experiment.name, str)
    assert isinstance(run.experiment.workspace, Workspace)
    assert isinstance(run.parent, Run)
    assert run.parent.id != run.id
    assert run.parent.experiment is run.experiment
    assert run.parent.parent is None


def test_a_value_that_was_logged_once_comes_back_as_it_was(run: Any) -> None:
    run.log("rows", 3, "how many")
    run.log_list("scores", [0.5])
    run.log_row("point", x=1, y=2)
    run.log_table("table", {"x": [1, 2]})
    assert run.get_metrics() == {
        "rows": 3,
        "scores": [0.5],
        "point": {"x": 1, "y": 2},
        "table": {"x": [1, 2]},
    }
    assert run.metrics == run.get_metrics()


def test_a_value_that_was_logged_again_comes_back_as_a_list(run: Any) -> None:
    run.log("rows", 3)
    run.log("rows", 4)
    assert run.get_metrics("rows") == {"rows": [3, 4]}


def test_metrics_of_one_name_leave_out_the_others(run: Any) -> None:
    run.log("rows", 3)
    run.log("files", 1)
    assert run.get_metrics(name="files") == {"files": 1}


def test_an_image_is_remembered_by_its_path_or_its_plot(run: Any) -> None:
    plot = object()
    run.log_image("file", path="a.png")
    run.log_image("plot", plot=plot)
    assert run.get_metrics() == {"file": "a.png", "plot": plot}


def test_tags_and_properties_are_remembered(run: Any) -> None:
    run.tag("stage", "test")
    run.tag("quick")
    run.set_tags({"owner": "me"})
    run.add_properties({"version": "1"})
    assert run.get_tags() == {"stage": "test", "quick": None, "owner": "me"}
    assert run.get_properties() == {"version": "1"}


def test_uploads_are_remembered_by_name_and_not_read(run: Any) -> None:
    run.upload_file("b.txt", "no such file")
    run.upload_files(["a.txt"], ["no such file"])
    run.upload_folder(name="c", path="no such folder")
    run.flush(timeout_seconds=1)
    assert run.get_file_names() == ["a.txt", "b.txt", "c"]


def test_the_status_follows_complete_and_fail(run: Any) -> None:
    assert run.get_status() == "Running"
    run.complete()
    assert run.get_status() == "Completed"
    run.fail("broken", error_code="E")
    assert run.status == "Failed"


def test_a_secret_is_the_environment_variable_of_its_name(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("storage-key", "geheim")
    assert run.get_secret("storage-key") == "geheim"
    assert run.get_secrets(["storage-key"]) == {"storage-key": "geheim"}


def test_a_secret_that_is_not_set_says_which_variable_to_set(run: Any) -> None:
    with pytest.raises(NotCoveredError) as caught:
        run.get_secret("storage-key")
    message = str(caught.value)
    assert message.startswith("azureml.core.run.Run.get_secret('storage-key') is not covered")
    assert "--parallelrun-env storage-key=VALUE" in message


def test_an_input_dataset_is_the_path_in_the_environment_variable_of_its_name(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("lookup", "/mnt/lookup")
    assert run.input_datasets["lookup"] == run.output_datasets["lookup"] == "/mnt/lookup"


def test_an_input_dataset_that_is_not_set_is_a_missing_key_that_says_which_variable_to_set(run: Any) -> None:
    with pytest.raises(KeyError) as caught:
        run.input_datasets["lookup"]
    assert isinstance(caught.value, NotCoveredError)
    message = str(caught.value)
    assert message.startswith("azureml.core.run.Run.input_datasets['lookup'] is not covered")
    assert "--parallelrun-env lookup=PATH" in message


def test_a_child_run_is_a_run_below_this_one(run: Any) -> None:
    child = run.child_run(name="part 1")
    assert (child.parent, child.name, child.experiment) == (run, "part 1", run.experiment)
    assert child.id != run.child_run().id
    child.log("rows", 1)
    assert run.get_metrics() == {}
    with child:
        pass
    assert child.get_status() == "Completed"
    with pytest.raises(ZeroDivisionError), child:
        1 / 0  # noqa: B018
    assert child.get_status() == "Failed"
    child.start()
    child.cancel()
    assert child.get_status() == "Canceled"


def test_several_child_runs_have_a_tag_each(run: Any) -> None:
    assert [child.get_tags() for child in run.create_children(tag_key="part", tag_values=["a", "b"])] == [
        {"part": "a"},
        {"part": "b"},
    ]
    assert len(run.create_children(3)) == 3


@pytest.mark.parametrize("kind", ["confusion_matrix", "accuracy_table", "residuals", "predictions"])
def test_what_is_drawn_on_the_service_is_remembered(run: Any, kind: str) -> None:
    getattr(run, f"log_{kind}")(kind, {"data": 1})
    assert run.get_metrics() == {kind: {"data": 1}}


def test_a_tag_can_be_taken_away(run: Any) -> None:
    run.set_tags({"a": "1", "b": "2"})
    run.remove_tags(["a", "none"])
    assert run.get_tags() == {"b": "2"}


def test_a_registered_model_is_remembered_and_not_sent(run: Any) -> None:
    from azureml.core import Model

    first = run.register_model("net", model_path="outputs/net.pt", tags={"kind": "x"}, sample_input_dataset=None)
    second = run.register_model(model_name="net")
    assert [(model.name, model.version, model.id) for model in (first, second)] == [
        ("net", 1, "net:1"),
        ("net", 2, "net:2"),
    ]
    assert (first.tags, first.workspace) == ({"kind": "x"}, run.experiment.workspace)
    assert Model(run.experiment.workspace, "net").version == 2
    assert [model.name for model in Model.list(run.experiment.workspace)] == ["net"]


def test_a_run_has_no_input_datasets(run: Any) -> None:
    assert dict(run.input_datasets) == {}
    assert len(run.input_datasets) == 0
    assert run.input_datasets.get("lookup") is None


@pytest.mark.parametrize("name", ["get_environment", "submit_child", "foo"])
def test_what_a_run_does_not_cover_is_refused(run: Any, name: str) -> None:
    with pytest.raises(NotCoveredAttributeError, match=rf"azureml\.core\.run\.Run\.{name} is not covered"):
        getattr(run, name)
    assert not hasattr(run, name)


def test_what_the_class_does_not_cover_is_refused(run: Any) -> None:
    with pytest.raises(NotCoveredAttributeError, match=r"azureml\.core\.run\.Run\.list is not covered"):
        type(run).list  # noqa: B018


def test_a_dunder_that_a_run_lacks_is_a_plain_attribute_error(run: Any) -> None:
    with pytest.raises(AttributeError) as caught:
        run.__len__  # noqa: B018
    assert not isinstance(caught.value, NotCoveredError)

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from tests.job_files.conftest import Problems, only_step


@pytest.mark.parametrize("name", ["deployment_model.yml", "deployment_root.yml"])
def test_both_layouts_are_of_the_batch_profile(corpus: Path, name: str) -> None:
    step = only_step(read_job_file(corpus / name))
    settings = step.settings()
    assert settings.profile == "batch"
    assert settings.append_row_file_name == "rated.csv"
    assert dict(settings.environment_variables) == {"STAGE": "test"}
    assert step.program_arguments({}) == ()


def test_what_is_not_set_has_the_defaults_of_a_batch_deployment(corpus: Path) -> None:
    settings = only_step(read_job_file(corpus / "deployment_minimal.yml")).settings()
    assert (settings.max_retries, settings.timeout, settings.files_per_mini_batch) == (3, 30, 10)
    assert (settings.output_action, settings.append_row_file_name) == ("append_row", "predictions.csv")


def test_a_local_model_is_taken_and_a_registered_one_is_not(corpus: Path) -> None:
    assert only_step(read_job_file(corpus / "deployment_root.yml")).model == corpus / "model"
    assert only_step(read_job_file(corpus / "deployment_model.yml")).model is None


def test_its_input_comes_from_the_caller(corpus: Path) -> None:
    step = only_step(read_job_file(corpus / "deployment_minimal.yml"))
    assert step.sample({}) == ()
    assert str(step.missing_sample({})).endswith("give a sample with --parallelrun-input=input=PATH")


BASE = "name: d\nendpoint_name: e\nenvironment: azureml:e:1\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "model: azureml:rater@latest\n",
            "there is no script to gate: the deployment has no code_configuration. Its model",
        ),
        (
            "model: {path: ./model}\n",
            "there is no script to gate: the deployment has no code_configuration. A model of MLflow",
        ),
        ("type: pipeline\ncomponent: ./p.yml\n", "this deployment runs a pipeline: give the file of that pipeline"),
        ("code_configuration: ./src\n", "'code_configuration' must be a mapping, and is './src'"),
        (
            "code_configuration: {code: src, scoring_script: score.py}\nmodel: {path: ./modle}\n",
            "model './modle' does not exist (looked for",
        ),
        (
            "code_configuration: {code: src, scoring_script: score.py}\nentry_script: score.py\n",
            "there is no key 'entry_script' in a batch deployment. Here it is code_configuration.scoring_script.",
        ),
        (
            "code_configuration: {code: src, scoring_script: score.py}\nrun_max_try: 3\n",
            "there is no key 'run_max_try' in a batch deployment. Here it is retry_settings.max_retries.",
        ),
        (
            "code_configuration: {code: src, scoring_script: score.py}\nerror_threshold: ${{parent.inputs.x}}\n",
            None,
        ),
    ],
)
def test_what_is_wrong_with_a_deployment_is_found(problems: Problems, text: str, problem: str | None) -> None:
    found = problems("deployment.yml", BASE + text)
    assert [problem in one for one in found] == [True] if problem else not found

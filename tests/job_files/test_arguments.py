"""Inputs and outputs in program arguments, and where the sample comes from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_parallelrun.job_files.tree import JobFileError
from tests.job_files.conftest import Problems, ReadStep

HEAD = """
type: pipeline
inputs:
  files: {type: uri_folder, path: ./data}
  registered: {type: uri_folder, path: "azureml:reviews@latest"}
  language: en
  limit: {type: integer, default: 4}
outputs:
  scored: {type: uri_folder}
jobs:
  score:
    type: parallel
    inputs:
      files: ${{parent.inputs.files}}
      model: ${{parent.inputs.registered}}
      earlier: ${{parent.jobs.clean.outputs.rows}}
      cut_off: 0.5
    outputs:
      pages: {type: uri_folder}
      table: {type: uri_file, path: "azureml://datastores/x/paths/a/table.csv"}
      plain: {type: uri_file}
    input_data: ${{inputs.files}}
    task:
      type: run_function
      code: ./src
      entry_script: score.py
      environment: azureml:scoring:1
"""


def arguments(step_of: ReadStep, text: str, **given: str) -> list[str]:
    step = step_of("pipeline.yml", f"{HEAD}      program_arguments: {text}\n")
    return list(step.program_arguments(given))


def test_inputs_of_the_step_and_of_the_pipeline_are_filled_in(step_of: ReadStep, folder: Path) -> None:
    found = arguments(step_of, "--f ${{inputs.files}} --c=${{inputs.cut_off}} --l ${{parent.inputs.language}}")
    assert found == ["--f", str(folder / "data"), "--c=0.5", "--l", "en"]


def test_an_output_is_left_to_the_job_and_a_file_has_the_name_in_its_path(step_of: ReadStep) -> None:
    found = arguments(step_of, "${{outputs.pages}} ${{outputs.table}} ${{ outputs.plain }}")
    assert found == ["${{outputs.pages}}", "${{outputs.table}}/table.csv", "${{outputs.plain}}/plain"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("model", "is azureml:reviews@latest, which is not on this machine"),
        ("earlier", "is ${{parent.jobs.clean.outputs.rows}}, which another job of the pipeline makes"),
    ],
)
def test_an_input_that_is_not_here_must_be_given_by_name(step_of: ReadStep, name: str, why: str) -> None:
    with pytest.raises(JobFileError) as raised:
        arguments(step_of, f"--x ${{{{inputs.{name}}}}}")
    assert why in str(raised.value)
    assert f"give --parallelrun-input={name}=PATH" in str(raised.value)
    assert str(raised.value).startswith("pipeline.yml:27:26: ")
    assert arguments(step_of, f"--x ${{{{inputs.{name}}}}}", **{name: "/here"}) == ["--x", "/here"]


def test_what_is_given_by_name_goes_over_the_file(step_of: ReadStep) -> None:
    assert arguments(step_of, "${{inputs.cut_off}}", cut_off="0.9") == ["0.9"]
    assert arguments(step_of, "${{parent.inputs.limit}}", limit="8") == ["8"]


COMPONENT = """
name: c
type: parallel
inputs:
  files: {type: uri_folder}
  model: {type: uri_folder, optional: true}
  depth: {type: integer, optional: true}
  cut_off: {type: number}
input_data: ${{inputs.files}}
task:
  type: run_function
  code: ./src
  entry_script: score.py
  environment: azureml:scoring:1
  program_arguments: >-
    --a $[[--model ${{inputs.model}}]] $[[--depth ${{inputs.depth}}]]
"""


def test_an_optional_input_without_a_value_takes_its_option_away(step_of: ReadStep) -> None:
    step = step_of("c.yml", COMPONENT)
    assert step.program_arguments({}) == ("--a",)
    assert step.program_arguments({"depth": "3"}) == ("--a", "--depth", "3")
    assert step.takes_value("depth")
    assert not step.takes_value("model")


def test_an_optional_input_outside_of_brackets_is_asked_for_with_the_advice_to_write_them(step_of: ReadStep) -> None:
    step = step_of("c.yml", COMPONENT.replace("$[[--model ${{inputs.model}}]]", "--model ${{inputs.model}}"))
    with pytest.raises(JobFileError, match=r"or write \$\[\[\.\.\.\]\] around what goes with it"):
        step.program_arguments({})


def test_a_value_that_is_missing_is_asked_for_as_a_value(step_of: ReadStep) -> None:
    step = step_of("c.yml", COMPONENT.replace("--a ", "--a ${{inputs.cut_off}} "))
    with pytest.raises(JobFileError, match="--parallelrun-input=cut_off=VALUE"):
        step.program_arguments({})


def test_the_input_that_is_split_comes_from_its_file(step_of: ReadStep, folder: Path) -> None:
    step = step_of("pipeline.yml", HEAD)
    assert step.sample({}) == (str(folder / "data"),)
    assert step.sample_origin({}) == "pipeline.yml:3"
    assert step.sample({"files": "/other"}) == ("/other",)
    assert step.sample_origin({"files": "/other"}) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("model", "(pipeline.yml:4) is azureml:reviews@latest, which is not on this machine"),
        ("earlier", "(pipeline.yml:15) is ${{parent.jobs.clean.outputs.rows}}, which another job"),
    ],
)
def test_without_a_local_sample_the_option_that_gives_it_is_said(step_of: ReadStep, name: str, why: str) -> None:
    step = step_of("pipeline.yml", HEAD.replace("input_data: ${{inputs.files}}", f"input_data: ${{{{inputs.{name}}}}}"))
    assert step.sample({}) == ()
    missing = step.missing_sample({})
    assert missing is not None
    assert why in missing
    assert missing.endswith(f"give a sample with --parallelrun-input={name}=PATH")
    assert step.missing_sample({name: "/here"}) is None


def test_a_component_alone_has_no_sample(step_of: ReadStep) -> None:
    missing = step_of("c.yml", COMPONENT).missing_sample({})
    assert (
        missing
        == "the input 'files' (c.yml:4) has no path in the file; give a sample with --parallelrun-input=files=PATH"
    )


def test_paths_start_at_the_folder_of_their_file(step_of: ReadStep, folder: Path) -> None:
    text = HEAD.replace("./data", "../data").replace("./src", "file:../src")
    step = step_of("jobs/pipeline.yml", text)
    assert step.sample({}) == (str(folder / "data"),)
    assert step.entry.code_root == folder / "src"


def test_backslashes_in_the_path_of_the_script_are_slashes(step_of: ReadStep, folder: Path) -> None:
    text = HEAD.replace("code: ./src", "code: .").replace("entry_script: score.py", r"entry_script: src\score.py")
    assert step_of("pipeline.yml", text).entry.module_name == "src.score"


@pytest.mark.skipif(os.sep == "\\", reason="is a path there")
def test_a_folder_with_backslashes_is_told_to_have_slashes(problems: Problems) -> None:
    [problem] = problems("pipeline.yml", HEAD.replace("code: ./src", r"code: .\src"))
    assert problem.endswith("; write it with forward slashes")


def test_values_that_are_bound_to_nothing_are_left_to_the_options(step_of: ReadStep) -> None:
    text = HEAD.replace("  limit: {type: integer, default: 4}", "  limit: {type: integer}")
    step = step_of("pipeline.yml", f"{text}    error_threshold: ${{{{parent.inputs.limit}}}}\n")
    assert "error_threshold" not in step.values
    assert str(step.unresolved["error_threshold"]) == (
        "pipeline.yml:27:22: error_threshold is ${{parent.inputs.limit}}, whose value is not in the file: "
        "give --parallelrun-set=error_threshold=VALUE"
    )


def test_environment_variables_may_be_bound(step_of: ReadStep) -> None:
    step = step_of("pipeline.yml", f"{HEAD}    environment_variables: {{L: 'lang-${{{{parent.inputs.language}}}}'}}\n")
    assert step.values["environment_variables"] == {"L": "lang-en"}

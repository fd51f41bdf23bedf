from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from tests.job_files.conftest import Problems, ReadStep, Write, all_problems, only_step

CONFIG = """
parallel_run_config:
  source_directory: src
  entry_script: score.py
  mini_batch_size: "2"
  error_threshold: 3
  output_action: append_row
  node_count: 2
"""
PIPELINE = """
pipeline:
  description: letters, every night
  default_compute: small
  data_references:
    Letters: {dataset_name: letters}
  parameters:
    Depth: {type: int, default: 4}
    Stage: {type: string}
  steps:
    Prepare: {type: PythonScriptStep, name: prepare, script_name: prepare.py}
    Rate:
      type: "ParallelRunStep"
      name: rate-letters
      parallel_run_config: "yaml/config.yml"
      allow_reuse: True
      colour: red
      arguments: ["--depth", "parameter:depth", "--labels", "side_input:Labels", "--out", "output:Rated"]
      parameters:
        depth: {source: Depth}
      inputs:
        Files: {source: Letters}
      side_inputs:
        Labels: {source: Other, bind_mode: mount}
      outputs:
        Rated: {destination: rated, datastore: workspaceblobstore}
"""
SDK = "from azureml.pipeline.steps import ParallelRunConfig, ParallelRunStep\n"
STEP = "step = ParallelRunStep(name='rate', parallel_run_config=config, inputs=[x.as_named_input('x')], output=out)\n"


def test_a_pipeline_of_the_cli_v1_has_its_parallel_steps(write: Write, folder: Path) -> None:
    write("yaml/config.yml", CONFIG)
    file = write("pipeline.yml", PIPELINE)
    job = read_job_file(file)
    step = only_step(job)
    assert (step.name, step.profile, step.split) == ("rate-letters", "v1", ("Files",))
    assert step.entry.path == folder / "src" / "score.py"
    settings = step.settings()
    assert (settings.mini_batch_size, settings.error_threshold, settings.instance_count) == (2, 3, 2)
    assert step.origins["error_threshold"] == "yaml/config.yml:5"
    assert step.program_arguments({"Labels": "/labels"}) == (
        *("--depth", "4", "--labels", "/labels", "--out", "${{outputs.Rated}}"),
    )
    assert str(step.missing_sample({})).endswith("give a sample with --parallelrun-input=Files=PATH")
    assert any("'colour' in the step 'Rate'" in note for note in step.notes.values())
    assert job.files == {file, folder / "yaml" / "config.yml"}


def test_a_parameter_without_a_default_needs_the_arguments(write: Write) -> None:
    write("yaml/config.yml", CONFIG)
    step = only_step(read_job_file(write("pipeline.yml", PIPELINE.replace("{source: Depth}", "{source: Stage}"))))
    assert str(step.unresolved["program_arguments"]).endswith(
        "an argument is the expression `parameter:depth`: the pipeline has no default for 'Stage', or give all with "
        "--parallelrun-args=ARGUMENTS"
    )


def test_paths_of_a_config_start_at_its_own_folder_where_they_do_not_exist_elsewhere(write: Write) -> None:
    write("yaml/config.yml", CONFIG.replace("src", "../src"))
    assert only_step(read_job_file(write("pipeline.yml", PIPELINE))).entry.label == "score.py"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("yaml/config.yml", "other.yml", "parallel_run_config='other.yml': there is no file 'other.yml'"),
        ('"yaml/config.yml"', "[a]", "parallel_run_config must be the path of a file, and is a list"),
        ("inputs:\n", "input:\n", "there is no key 'input' in the step 'Rate'. Did you mean 'inputs'?"),
        ("yaml/config.yml", "pipeline.yml", "there is no 'parallel_run_config' in this file, which pipeline.yml:14"),
        ("rate-letters", "Rate", "name='Rate': a ParallelRunStep() is named by"),
    ],
)
def test_what_is_wrong_in_a_pipeline_of_the_cli_v1_is_told(
    problems: Problems, write: Write, old: str, new: str, problem: str
) -> None:
    write("yaml/config.yml", CONFIG)
    assert old in PIPELINE
    assert any(problem in found for found in problems("pipeline.yml", PIPELINE.replace(old, new)))


def test_steps_that_are_no_mapping_are_told(problems: Problems) -> None:
    assert problems("p.yml", "pipeline: {steps: [a]}\n") == [
        "p.yml:1:19: 'steps' must be a mapping of steps, and is a list"
    ]


def test_a_config_that_python_loads_is_read_with_its_changes(step_of: ReadStep, write: Write) -> None:
    write("config.yml", CONFIG)
    load = "config = ParallelRunConfig.load_yaml(workspace=ws, path='config.yml')\nconfig.mini_batch_size = '7'\n"
    step = step_of("job.py", SDK + load + STEP)
    assert (step.values["mini_batch_size"], step.values["error_threshold"]) == ("7", 3)
    assert (step.origins["mini_batch_size"], step.origins["error_threshold"]) == ("job.py:3", "config.yml:5")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("'no.yml'", "the file cannot be read: No such file or directory"),
        ("'other.yml'", "'other.yml' has no 'parallel_run_config'"),
        ("args.path", "write a literal"),
    ],
)
def test_a_config_that_cannot_be_loaded_is_told(write: Write, path: str, why: str) -> None:
    write("other.yml", "a: 1\n")
    job = read_job_file(write("job.py", f"{SDK}config = ParallelRunConfig.load_yaml(ws, {path})\n{STEP}"))
    [problem] = all_problems(job)
    assert "parallel_run_config must be ParallelRunConfig(...), and is the expression" in problem
    assert why in problem


@pytest.mark.parametrize(
    ("data", "argument"),
    [
        ("PipelineData('scored', datastore=store)", "${{outputs.scored}}"),
        ("OutputFileDatasetConfig(name='scored').register_on_complete('x')", "${{outputs.scored}}"),
        ("OutputFileDatasetConfig()", "${{outputs.output}}"),
        ("labels.as_named_input('labels').as_mount()", "/labels"),
        ("DatasetConsumptionConfig('labels', ds, mode='mount')", "/labels"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_data_and_outputs_among_arguments_need_no_other_arguments(
    step_of: ReadStep, write: Write, data: str, argument: str, named: bool
) -> None:
    write("config.yml", CONFIG)
    load = f"config = ParallelRunConfig.load_yaml(ws, 'config.yml')\ndata = {data}\n"
    argument_text = "data" if named else data
    step = step_of("job.py", SDK + load + STEP.replace("output=out", f"output=out, arguments=['--x', {argument_text}]"))
    assert step.split == ("x",)
    assert step.program_arguments({"labels": "/labels"}) == ("--x", argument)

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from tests.job_files.conftest import Problems, ReadStep, Write, all_problems

COMPONENT = """type: parallel
name: rate
inputs:
  files: {type: uri_folder}
input_data: ${{inputs.files}}
task:
  type: run_function
  code: src
  entry_script: score.py
  environment: azureml:e:1
"""


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("output_data: ${{outputs.out}}", "the key 'output_data' in a parallel component (job.yml:11) has no effect"),
        ("append_row_to: ${{outputs.out}}", "the client drops it; it belongs below 'task'"),
        ("environment_variables: {A: b}", "it belongs to the step of the pipeline that uses the component"),
        ("  source_directory: src", "the key 'source_directory' in 'task' (job.yml:11) has no effect"),
        ("  entryscript: x.py", "the key 'entryscript' in 'task'"),
        ("retry_settings: {backoff: 3}", "the key 'backoff' in 'retry_settings'"),
        ("is_archived: false", "'is_archived'"),
        ("instance_type: Standard_D4", "it belongs below 'resources'"),
        ("loging_level: DEBUG", "'loging_level'"),
    ],
)
def test_a_key_that_the_client_drops_is_noted(step_of: ReadStep, line: str, note: str) -> None:
    [found] = step_of("job.yml", f"{COMPONENT}{line}\n").notes.values()
    assert note in found


@pytest.mark.parametrize(
    "line",
    [
        "error_treshold: 3",
        "minibatch_size: '3'",
        "batch_size: '3'",
        "partition_by: [a]",
        "max_retries: 3",
        "retries: 3",
        "task_timeout: 5",
        "run_max_try: 3",
        "allowed_failed_percent: 3",
        "retry_settings: {time_out: 3}",
        "retry_setting: {timeout: 3}",
        "resources: {instance_cuont: 3}",
    ],
)
def test_a_key_that_is_close_to_one_that_decides_the_outcome_is_refused(problems: Problems, line: str) -> None:
    [problem] = problems("job.yml", f"{COMPONENT}{line}\n")
    assert "there is no key '" in problem


def test_a_key_in_place_of_a_required_one_is_refused(problems: Problems) -> None:
    found = problems("job.yml", COMPONENT.replace("entry_script", "entryscript"))
    assert any("there is no key 'entryscript' in 'task'. Did you mean 'entry_script'?" in problem for problem in found)


def test_keys_of_a_component_that_a_step_uses_are_noted_once(write: Write) -> None:
    write("component.yml", COMPONENT + "environment_variables: {A: b}\n")
    job = read_job_file(
        write(
            "pipeline.yml",
            """
            type: pipeline
            jobs:
              rate:
                type: parallel
                component: ./component.yml
                inputs: {files: {path: ./data}}
            """,
        )
    )
    assert not all_problems(job)
    [reading] = job.steps
    assert reading.step is not None
    assert len(reading.step.notes) == 1
    assert "environment_variables" not in reading.step.values


def test_a_size_beside_partition_keys_is_noted_as_without_effect(step_of: ReadStep) -> None:
    step = step_of("job.yml", f"{COMPONENT}mini_batch_size: 10kb\npartition_keys: [store]\n")
    assert step.values["partition_keys"] == ["store"]
    assert step.notes["mini_batch_size"] == (
        "mini_batch_size (job.yml:11) has no effect beside partition_keys (line 12): a mini-batch is a partition, "
        "whatever its size"
    )


@pytest.mark.parametrize("key", ["resources: {instance_count: -1}", "resources: {instance_count: '-1'}"])
def test_all_nodes_are_gated_as_one_instance_with_a_note(step_of: ReadStep, key: str) -> None:
    step = step_of("job.yml", f"{COMPONENT}{key}\n")
    assert "instance_count" not in step.values
    assert "is gated as one instance" in step.notes["instance_count"]


@pytest.mark.parametrize(
    ("script", "file"),
    [
        ("package.main", "package/main.py"),
        ("package.inner.main", "package/inner/main.py"),
        ("main", "main.py"),
        ("package.v1.main.py", "package.v1.main.py"),
    ],
)
def test_an_entry_script_may_be_a_dotted_module(
    step_of: ReadStep, write: Write, folder: Path, script: str, file: str
) -> None:
    path = write(f"src/{file}", "def run(mini_batch): return mini_batch\n")
    step = step_of("job.yml", COMPONENT.replace("score.py", script))
    assert step.entry.path == path
    assert step.entry.code_root == folder / "src"


def test_a_dotted_module_that_is_not_there_is_refused_with_the_nearest(problems: Problems, write: Write) -> None:
    write("src/package/main.py", "")
    [problem] = problems("job.yml", COMPONENT.replace("score.py", "package.mian"))
    assert "task.entry_script='package.mian': entry script '" in problem
    assert "Did you mean 'main.py'?" in problem


def test_an_input_may_be_mounted_for_writing(step_of: ReadStep) -> None:
    step_of("job.yml", COMPONENT.replace("{type: uri_folder}", "{type: uri_folder, mode: rw_mount}"))


CONFIG = """
parallel_run_config:
  source_directory: src
  entry_script: score.py
  mini_batch_size: "5"
  error_threshold: 10
  output_action: append_row
  node_count: 2
  run_max_try: 2
"""


def test_a_config_of_v1_in_yaml_is_an_entry(step_of: ReadStep) -> None:
    step = step_of("config.yml", CONFIG)
    assert (step.name, step.profile, step.entry.label) == ("config", "v1", "score.py")
    assert (step.settings().max_retries, step.settings().instance_count) == (1, 2)
    assert step.origins["max_retries"] == "config.yml:8"


def test_a_deployment_needs_no_endpoint(step_of: ReadStep) -> None:
    step = step_of("deployment.yml", "name: d\ncode_configuration: {code: src, scoring_script: score.py}\n")
    assert step.profile == "batch"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("rows.csv", b"a,b\n", "a table"),
        ("notes.md", b"# x\n", "a text"),
        ("model.zip", b"PK\x03\x04", "a zip archive"),
        ("part", b"PAR1\x00", "a Parquet file"),
        ("weights.bin", b"\x00\x01", "a binary file"),
        ("infra.bicep", b"param x string\n", "a template of Azure resources"),
        ("a.xyz", b"x\n", "a text file with the ending '.xyz'"),
    ],
)
def test_any_other_file_is_named_with_what_is_accepted(folder: Path, name: str, content: bytes, kind: str) -> None:
    path = folder / name
    path.write_bytes(content)
    [problem] = all_problems(read_job_file(path))
    assert (
        f"this is no job definition: it appears to be {kind}. --parallelrun-job takes a parallel component" in problem
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("channels: [x]\ndependencies: [python]\n", "a conda environment"),
        ("paths: []\ntransformations: []\n", "an MLTable file"),
        ("name: e\nauth_mode: key\n", "an endpoint; give its deployment"),
    ],
)
def test_yaml_that_is_no_job_is_named(problems: Problems, text: str, kind: str) -> None:
    [problem] = problems("file.yml", text)
    assert f"it has no type, and appears to be {kind}. --parallelrun-job takes" in problem

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from pytest_parallelrun.job_files.tree import JobFileError
from tests.job_files.conftest import Problems, Write, all_problems, only_step

TASK = """
      type: run_function
      code: ./src
      entry_script: score.py
      environment: azureml:scoring:1
"""
STEP = f"""
  score:
    type: parallel
    inputs: {{files: {{type: uri_folder, path: ./data}}}}
    input_data: ${{{{inputs.files}}}}
    task:{TASK}"""


def test_every_parallel_step_is_an_entry_and_others_are_none(corpus: Path) -> None:
    job = read_job_file(corpus / "pipeline_two_steps.yml")
    assert [(step.name, step.script) for step in job.steps] == [
        ("clean", corpus / "src" / "inner" / "deep.py"),
        ("score", corpus / "src" / "score.py"),
    ]


def test_a_step_has_the_values_of_its_component_and_its_own_over_them(corpus: Path) -> None:
    job = read_job_file(corpus / "pipeline_component.yml")
    step = job.steps[0].step
    assert step is not None
    values, origins = step.values, step.origins
    assert (values["error_threshold"], origins["error_threshold"]) == (12, "component_full.yml:39")
    assert (values["mini_batch_size"], origins["mini_batch_size"]) == ("5", "pipeline_component.yml:15")
    # A mapping of the step takes the place of the component's as a whole, as the client has it.
    assert values["timeout"] == 20
    assert "max_retries" not in values
    assert values["append_row_file_name"] == "scored.txt"
    assert step.sample({}) == (str(corpus / "data"),)
    assert step.program_arguments({})[:4] == ("--cut-off", "0.75", "--language", "en")
    assert "--model" in step.program_arguments({})
    assert job.files == {
        corpus / name for name in ("pipeline_component.yml", "component_full.yml", "component_minimal.yml")
    }


def test_steps_of_an_inner_pipeline_see_what_the_outer_one_gives_it(corpus: Path) -> None:
    step = only_step(read_job_file(corpus / "pipeline_nested.yml"))
    assert step.name == "outer.score"
    assert step.values["mini_batch_error_threshold"] == 9
    assert step.sample({}) == (str(corpus / "data"),)


def test_a_job_of_a_pipeline_component_gives_it_its_inputs(corpus: Path) -> None:
    job = read_job_file(corpus / "pipeline_of_component.yml")
    step = only_step(job)
    assert step.name == "score"
    assert step.values["mini_batch_error_threshold"] == 4
    assert step.sample({}) == (str(corpus / "data"),)
    assert job.files == {corpus / "pipeline_of_component.yml", corpus / "pipeline_inner.yml"}


@pytest.mark.parametrize(
    ("component", "problem"),
    [
        ("./missing.yml", "job.yml:2:12: component='./missing.yml': there is no file"),
        ("./job.yml", "job.yml:2:12: component='./job.yml' leads back to a pipeline that it is part of"),
        ("./other.yml", "job.yml:2:12: component must be that of a pipeline (type: pipeline)"),
        ("{type: pipeline, component: ./other.yml}", "job.yml:2:12: a pipeline needs 'jobs'"),
        ("", "job.yml:1:1: a pipeline needs 'jobs'"),
    ],
)
def test_a_component_that_gives_a_pipeline_no_steps_is_told(
    write: Write, problems: Problems, component: str, problem: str
) -> None:
    write("other.yml", "type: command\n")
    [found] = problems("job.yml", f"type: pipeline\ncomponent: {component}\n")
    assert found.startswith(problem)


def test_a_registered_component_of_a_pipeline_is_said_to_be_left_out(write: Write) -> None:
    job = read_job_file(write("job.yml", "type: pipeline\ncomponent: azureml:scoring@latest\n"))
    assert not job.steps
    [skipped] = job.skipped
    assert skipped.startswith("the pipeline (job.yml:2) is not read: its component azureml:scoring@latest")


def test_the_code_of_a_component_starts_at_its_own_folder(write: Write, folder: Path) -> None:
    write(
        "parts/c.yml",
        """
        name: c
        type: parallel
        inputs: {files: {type: uri_folder}}
        input_data: ${{inputs.files}}
        task: {type: run_function, code: ../src, entry_script: score.py, environment: e}
        """,
    )
    step = only_step(
        read_job_file(
            write(
                "pipeline.yml", "type: pipeline\njobs:\n  s:\n    component: parts/c.yml\n    inputs: {files: ./data}\n"
            )
        )
    )
    assert step.entry.code_root == folder / "src"
    assert step.sample({}) == (str(folder / "data"),)


def test_a_registered_component_is_said_to_be_left_out(write: Write) -> None:
    job = read_job_file(
        write(
            "pipeline.yml", f"type: pipeline\njobs:{STEP}  other:\n    type: parallel\n    component: azureml:other:1\n"
        )
    )
    assert not all_problems(job)
    assert [step.name for step in job.steps] == ["score"]
    [note] = job.skipped
    assert note.startswith("step 'other' (pipeline.yml:14) is not read: its component azureml:other:1 is registered")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type: pipeline\n", "pipeline.yml:1:1: a pipeline needs 'jobs', a mapping of steps; it is missing"),
        ("type: pipeline\njobs: [a]\n", "pipeline.yml:2:7: a pipeline needs 'jobs', a mapping of steps; it is a list"),
        ("type: pipeline\njobs: {a: b}\n", "pipeline.yml:2:11: the step 'a' must be a mapping, and is 'b'"),
        ("type: pipeline\njobs: {a: {inputs: {}}}\n", "pipeline.yml:2:11: the step 'a' has no type"),
        (
            "type: pipeline\njobs: {a: {component: [1]}}\n",
            "pipeline.yml:2:23: component must be the path of a file, and is a list",
        ),
        (
            "type: pipeline\njobs: {a: {type: pipeline, component: ./pipeline.yml}}\n",
            "pipeline.yml:2:39: component='./pipeline.yml' leads back to a pipeline that it is part of",
        ),
        (
            "type: pipeline\njobs: {a: {type: parallel, component: {type: command}}}\n",
            "pipeline.yml:2:11: the step 'a' is parallel, and its component has type: command",
        ),
        ("type: command\n", "pipeline.yml:1:7: this is no parallel job: it has type: command. --parallelrun-job takes"),
        ("name: x\n", "pipeline.yml:1:1: this is no parallel job: it has no type."),
        (
            "$schema: https://x/managedOnlineDeployment.schema.json\nendpoint_name: e\n",
            "pipeline.yml:1:1: this is no parallel job",
        ),
    ],
)
def test_what_is_no_pipeline_of_parallel_steps_is_one_finding(problems: Problems, text: str, problem: str) -> None:
    [found] = problems("pipeline.yml", text)
    assert found.startswith(problem)


def test_components_that_refer_to_each_other_end(write: Write, problems: Problems) -> None:
    write("b.yml", "type: pipeline\njobs: {back: {component: ./pipeline.yml}}\n")
    [found] = problems("pipeline.yml", "type: pipeline\njobs: {there: {component: ./b.yml}}\n")
    assert found.startswith("b.yml:2:26: component='./pipeline.yml' leads back")


def test_pipelines_inside_of_each_other_without_end_do_end(problems: Problems) -> None:
    lines = ["x9: &p9 {type: pipeline, jobs: {}}"]
    for number in range(8, -1, -1):
        steps = ", ".join(f"s{step}: *p{number + 1}" for step in range(9))
        lines.append(f"x{number}: &p{number} {{type: pipeline, jobs: {{{steps}}}}}")
    found = problems("pipeline.yml", "\n".join(["type: pipeline", *lines, "jobs: {a: *p0}"]))
    assert any("the pipeline has more than 200 steps" in one for one in found)


def test_all_findings_of_all_steps_come_at_once_in_the_order_of_the_file(write: Write) -> None:
    text = (
        "type: pipeline\njbos: 1\njobs:"
        + STEP.replace("score.py", "scor.py")
        + "    retry_settings: {timeout: -1, tries: 2}"
        + STEP.replace("score:", "again:").replace("parallel", "parallel\n    mini_batch_size: 3")
    )
    job = read_job_file(write("pipeline.yml", text))
    error = JobFileError([*job.problems, *(problem for step in job.steps for problem in step.problems)])
    places = [line.split(": ")[0] for line in str(error).splitlines()]
    assert places == [
        "pipeline.yml:2:1",
        "pipeline.yml:11:21",
        "pipeline.yml:13:31",
        "pipeline.yml:13:35",
        "pipeline.yml:16:22",
    ]


def test_outputs_and_inputs_that_the_component_does_not_have_are_told_where_the_step_gives_them(corpus: Path) -> None:
    file = corpus / "pipeline_component.yml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("      rows: {type", "      row: {type"), encoding="utf-8")
    [problem] = all_problems(read_job_file(file))
    assert problem == (
        "pipeline_component.yml:14:7: the component component_full.yml:1 has no output 'row'. Did you mean 'rows'?"
    )


def test_an_output_of_a_step_may_be_that_of_its_pipeline(write: Write, folder: Path) -> None:
    text = (
        "type: pipeline\noutputs: {kept: {type: uri_file, path: 'azureml://x/out/all.csv'}}\njobs:"
        + STEP
        + "      append_row_to: ${{outputs.mine}}\n    outputs: {mine: '${{parent.outputs.kept}}'}\n"
    )
    step = only_step(read_job_file(write("pipeline.yml", text)))
    assert (step.values["output_action"], step.values["append_row_file_name"]) == ("append_row", "all.csv")

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from pytest_parallelrun.job_files.tree import JobFileError
from tests.job_files.conftest import Problems, Write, all_problems
from tests.job_files.refusals import REFUSALS, Refusal


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.label)
def test_a_mistake_is_found_where_it_is_and_nothing_else(refusal: Refusal, corpus: Path) -> None:
    file = refusal.write(corpus)
    [problem] = all_problems(read_job_file(file))
    assert problem.startswith(f"{file.name}:{refusal.message}")


def test_labels_are_unique() -> None:
    labels = [refusal.label for refusal in REFUSALS]
    assert len(set(labels)) == len(labels)


def test_the_page_on_fidelity_lists_exactly_what_the_client_accepts() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "fidelity.md").read_text(encoding="utf-8")
    table = text.split("| mistake | why it is refused |\n|---|---|\n")[1].split("\n\n")[0]
    listed = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()]
    assert listed == [refusal.label for refusal in REFUSALS if refusal.client_accepts]


JOB = """
name: j
type: parallel
inputs: {files: {type: uri_folder}, limit: {type: number}}
outputs: {rows: {type: uri_folder}}
input_data: ${{inputs.files}}
task:
  type: run_function
  code: ./src
  entry_script: score.py
  environment: azureml:scoring:1
"""
ARGUMENTS = "  program_arguments:"
APPEND = "  append_row_to:"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("", f"{ARGUMENTS} [a]", "program_arguments must be a text, and is a list: write them as one text"),
        ("", f"{ARGUMENTS} 3", "program_arguments must be a text, and is 3: put them in quotes"),
        ("", f"{ARGUMENTS} ${{{{outputs.row}}}}", "the step has no output 'row'. Did you mean 'rows'?"),
        ("", f"{APPEND} ./out", "append_row_to must be ${{outputs.NAME}}, and is './out'"),
        ("", f"{APPEND} ${{{{output.rows}}}}", "append_row_to: '${{output.rows}}' leads nowhere"),
        ("inputs.files", "inputs.limit", "input_data=${{inputs.limit}} is a number; it must be data"),
        ("", "error_threshold: ${{outputs.rows}}", "is an output, and has no value before the job has run"),
        ("", "error_threshold: 2026-01-01", "error_threshold is a value of the type date"),
        ("", "retry_settings: [1]", "'retry_settings' must be a mapping, and is a list"),
        ("", "partition_keys: [a, [b]]", "partition_keys must be a text, and is a list"),
        ("", "max_retires: 3", "Did you mean 'retry_settings.max_retries'?"),
        ("", "task_timeout: 3", "there is no key 'task_timeout' in a parallel component. Allowed: name, type, inputs"),
        ("./src", "[src]", "task.code must be a path, and is a list"),
        ("./src", "./src/score.py", "is a file; give its folder"),
        ("{type: uri_folder}, l", "{type: uri_folder, path: [a]}, l", "must be a text, and is a list"),
        ("{type: number}", "[1]", "the input 'limit' is a list; it must be a value, or a mapping with a type"),
        ("{files: {type: uri_folder}, limit: {type: number}}", "files", "'inputs' must be a mapping of names"),
        ("rows: {type: uri_folder}", "rows: {typ: uri_folder}", "there is no key 'typ' in an output"),
        ("rows: {type: uri_folder}", "rows: '${{x}}'", "'${{x}}' leads nowhere"),
    ],
)
def test_each_part_of_a_definition_must_be_of_its_kind(problems: Problems, old: str, new: str, problem: str) -> None:
    text = JOB.replace(old, new, 1) if old else f"{JOB}{new}\n"
    assert len([one for one in problems("job.yml", text) if problem in one]) == 1


def test_many_findings_are_cut(write: Write) -> None:
    keys = "".join(f"timeout_{number}: 1\n" for number in range(60))
    job = read_job_file(write("job.yml", f"{JOB}{keys}"))
    lines = str(JobFileError(job.steps[0].problems)).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "and 10 more"

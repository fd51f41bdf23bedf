"""The type of the input that is split, and the samples that go with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.job_files.inputs import TypedInput
from pytest_parallelrun.job_files.job_step import JobStep
from tests.job_files.conftest import ReadStep, Write

COMPONENT = """name: score
type: parallel
inputs:
  files: {input}
input_data: ${{{{inputs.files}}}}
task:
  type: run_function
  code: ./src
  entry_script: score.py
  environment: azureml:scoring:1
"""


@pytest.fixture
def data(folder: Path, write: Write) -> Path:
    """data/ with a table, table/ with an MLTable file beside one."""
    for name in ("data/rows.csv", "table/rows.csv"):
        write(name, "a,b\n1,2\n")
    write("table/MLTable", "type: mltable\npaths: [{file: ./rows.csv}]\n")
    return folder


def step(step_of: ReadStep, declared: str) -> JobStep:
    return step_of("job.yml", COMPONENT.format(input=declared))


def typed(step_of: ReadStep, declared: str, *sample: str, row_mode: bool = False) -> TypedInput:
    return step(step_of, declared).typed_sample({}, sample, row_mode=row_mode)


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("{type: uri_folder, path: data/rows.csv}", "4:35: the input 'files' is a uri_folder, and its path is a file"),
        (
            "{path: data/rows.csv}",
            "4:17: the input 'files' has no type, and so is a uri_folder, and its path is a file",
        ),
        ("{type: mltable, path: data/rows.csv}", "4:32: the input 'files' is an mltable, and its path is a file"),
        ("{type: mltable, path: table/MLTable}", "is an mltable, and its path is a file: give its folder"),
        ("{type: mltable, path: ./data}", "4:32: the input 'files' is an mltable, and its folder has no file named"),
        ("{type: uri_file, path: ./data}", "4:33: the input 'files' is a uri_file, and its path is a folder"),
        ("{type: uri_folder, path: 'data/*.csv'}", "4:35: the input 'files' is a pattern, and a job takes no patterns"),
    ],
)
def test_a_path_that_is_not_of_its_type_is_found_with_its_place(
    step_of: ReadStep, data: Path, declared: str, found: str
) -> None:
    # So that the columns are those of the file.
    assert COMPONENT.format(input=declared).splitlines()[3].startswith("  files: {")
    [problem] = typed(step_of, declared).problems
    assert found in str(problem)


def test_a_uri_file_is_found_at_its_type_unless_rows_are_handed(step_of: ReadStep, data: Path) -> None:
    found = step(step_of, "{type: uri_file, path: data/rows.csv}")
    problem = found.unresolved["mini_batch_rows"]
    assert str(problem).startswith("job.yml:4:17: the input 'files' is a uri_file, which the service does not split")
    assert found.typed_sample({}, (), row_mode=True) == TypedInput()


@pytest.mark.parametrize("declared", ["{type: uri_folder, path: ./data}", "{path: ./data}"])
def test_a_folder_is_handed_as_files(step_of: ReadStep, data: Path, declared: str) -> None:
    found = typed(step_of, declared)
    assert (found.as_files is not None, found.notes, found.problems) == (True, (), ())


def test_a_sample_of_a_folder_is_handed_as_files_whatever_it_is(step_of: ReadStep, data: Path) -> None:
    declared = '{type: uri_folder, path: "azureml:letters@latest"}'
    assert typed(step_of, declared, "data/rows.csv").as_files
    [note] = typed(step_of, declared, "table").notes
    assert note.startswith("the input 'files' is a uri_folder (job.yml:4): run() gets paths of files, that of the MLTa")


def test_an_mltable_is_read_and_a_sample_without_one_is_told_by_itself(step_of: ReadStep, data: Path) -> None:
    assert typed(step_of, "{type: mltable, path: ./table}") == TypedInput()
    assert typed(step_of, "{type: mltable}", "table") == TypedInput()
    found = typed(step_of, "{type: mltable}", "data")
    assert (found.as_files, found.problems) == (None, ())
    assert found.notes == (
        "the input 'files' is an mltable (job.yml:4), and the sample has no MLTable file: the sample alone "
        "decides what run() gets",
    )


def test_a_type_of_which_nothing_is_known_is_told_by_the_sample_and_named(step_of: ReadStep, data: Path) -> None:
    [note] = typed(step_of, "{type: custom_model, path: ./data}").notes
    assert note.startswith("the input 'files' is a custom_model (job.yml:4), which no document lists for input_data")
    assert typed(step_of, "'${{parent.jobs.a.outputs.b}}'", "data") == TypedInput()


def test_without_a_sample_a_type_says_nothing(step_of: ReadStep, data: Path) -> None:
    assert typed(step_of, "{type: mltable}") == TypedInput()


def test_the_type_of_the_pipelines_input_is_that_of_the_step(step_of: ReadStep, data: Path) -> None:
    inner = COMPONENT.format(input="'${{parent.inputs.all}}'").partition("\n")[2].replace("\n", "\n    ")
    found = step_of(
        "job.yml",
        f"type: pipeline\ninputs:\n  all: {{type: uri_file, path: data/rows.csv}}\njobs:\n  score:\n    {inner}\n",
    )
    assert found.unresolved["mini_batch_rows"].location.line == 3

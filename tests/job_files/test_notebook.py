from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from tests.job_files.conftest import Write, all_problems, only_step
from tests.job_files.test_python_sdk import call


def notebook(*cells: str, language: str = "python") -> str:
    """A notebook whose first cell is a text; sources are lists of lines, as Jupyter writes them."""
    made: list[dict[str, object]] = [{"cell_type": "markdown", "source": ["# Rate letters"], "metadata": {}}]
    for cell in cells:
        source = cell.splitlines(keepends=True)
        made.append({"cell_type": "code", "source": source, "outputs": [], "metadata": {}, "execution_count": None})
    metadata = {"language_info": {"name": language}}
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def test_code_cells_are_read_in_order_and_magics_skipped(write: Write, folder: Path) -> None:
    path = write(
        "jobs/train.ipynb",
        notebook(
            "%pip install azure-ai-ml\n!ls \\\n  -l\nfiles = !ls\nLIMIT = 7",
            "%%bash\nfor x in 1; do echo $x; done",
            "%%time\nif LIMIT:\n    %matplotlib inline\nawait_me = 1\nmade?",
            call().replace("'src'", "'../src'"),
            "await client.close()",
            "node = made(files=Input(path='../data'))\nnode.error_threshold = LIMIT\nmade_settings = f'{node}'",
        ),
    )
    step = only_step(read_job_file(path))
    assert step.values["error_threshold"] == 7
    assert step.origins["error_threshold"] == "jobs/train.ipynb, cell 7, line 2"
    assert step.location.origin == "jobs/train.ipynb, cell 5, line 4"
    assert step.sample({}) == (str(folder / "data"),)


def test_a_source_that_is_one_text_is_read_too(write: Write) -> None:
    text = json.dumps({"cells": [{"cell_type": "code", "source": call()}], "nbformat": 4})
    assert only_step(read_job_file(write("job.ipynb", text))).name == "score"


def test_a_mistake_has_its_cell_and_line(write: Write) -> None:
    job = read_job_file(write("train.ipynb", notebook("x = 1", call(retry_settings="dict(timeout=0)"))))
    [problem] = all_problems(job)
    assert problem.startswith("train.ipynb, cell 3, line 9, column 33: timeout=0: must be a number of seconds")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "job.ipynb:1:2: this is no valid notebook: it does not hold JSON"),
        ("[]", "this is no valid notebook: it has no list of 'cells' (nbformat 4)"),
        (notebook("x <- 1", language="R"), "the notebook is written in r; only those in Python are read"),
        (notebook("x = 1"), "this file calls neither parallel_run_function() nor"),
        (notebook("x = 1", "def x(:"), "job.ipynb, cell 3, line 1, column 7: this is not valid Python: "),
    ],
    ids=["no JSON", "no cells", "R", "no job", "syntax"],
)
def test_a_notebook_that_holds_no_job_is_one_finding(write: Write, text: str, problem: str) -> None:
    [found] = all_problems(read_job_file(write("job.ipynb", text)))
    assert problem in found

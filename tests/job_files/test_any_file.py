"""Whatever a file holds, it is read or refused with problems: never an error of ours."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.job_files.job_file import read_job_file
from pytest_parallelrun.job_files.tree import JobFileError
from tests.job_files.refusals import CORPUS

TEXTS = [file.read_text(encoding="utf-8") for file in sorted(CORPUS.iterdir()) if file.suffix in (".yml", ".py")]
PIECES = (
    *(
        "[",
        "]",
        "{",
        "}",
        ":",
        "- ",
        "*a",
        "&a ",
        "<<: *a",
        "'",
        '"',
        "\n",
        "\t",
        "#",
        "---\n",
        "!x ",
        "|",
        ">-\n",
        "null",
    ),
    *(
        "${{inputs.x}}",
        "${{",
        "}}",
        "$[[",
        "]]",
        "${{parent.inputs.files}}",
        "type: parallel",
        "type: pipeline",
        "jobs:",
    ),
    *(
        "(",
        ")",
        "**x",
        "=",
        "f'{x}'",
        "lambda: 0",
        "\nnode = score(files=x)\nnode.error_threshold = 1\n",
        "Path(__file__) / ",
        "%magic\n",
        "0",
        "-1",
        "1e400",
        "\x00",
        "é",
        "\ud7ff",
        ".inf",
        "2026-01-01",
    ),
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(CORPUS, name, dirs_exist_ok=True)
        yield Path(name)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """A file of the corpus in which some spans are something else."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from((0, 1, 5, 40)))
        text = text[:start] + draw(st.sampled_from(PIECES)) + text[start + length :]
    return text


@settings(max_examples=60, deadline=None)
@given(text=spoiled(), suffix=st.sampled_from((".yml", ".py", ".ipynb")))
def test_a_spoiled_file_is_read_or_has_findings(folder: Path, text: str, suffix: str) -> None:
    file = folder / f"spoiled{suffix}"
    cell = {"cell_type": "code", "source": text}
    file.write_text(json.dumps({"cells": [cell]}) if suffix == ".ipynb" else text, encoding="utf-8")
    job = read_job_file(file)
    lines = text.count("\n") + 2
    for reading in job.steps:
        assert (reading.step is None) == bool(reading.problems)
        if reading.step is not None:
            reading.step.missing_sample({})
            with suppress(JobFileError):
                reading.step.program_arguments({})
    for problem in (*job.problems, *(found for reading in job.steps for found in reading.problems)):
        assert problem.location.column >= 1
        assert problem.location.file != file or 1 <= problem.location.line <= lines

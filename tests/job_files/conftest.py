"""Fixtures of the tests of job definitions."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_parallelrun.job_files.job_file import read_job_file
from pytest_parallelrun.job_files.job_step import JobFile, JobStep
from tests.job_files.refusals import CORPUS

SCRIPT = "def run(mini_batch):\n    return [str(item) for item in mini_batch]\n"

Write = Callable[[str, str], Path]
Problems = Callable[[str, str], list[str]]
ReadStep = Callable[[str, str], JobStep]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the test, with src/score.py and data/ in it; its name has a space and an umlaut."""
    folder = tmp_path / "größere jobs"
    (folder / "src").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "src" / "score.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the corpus, as the working folder."""
    copy = tmp_path / "corpus"
    shutil.copytree(CORPUS, copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def write(folder: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


@pytest.fixture
def problems(write: Write) -> Problems:
    """What is wrong with a definition that is written to a file of that name."""

    def problems(name: str, text: str) -> list[str]:
        return all_problems(read_job_file(write(name, text)))

    return problems


@pytest.fixture
def step_of(write: Write) -> ReadStep:
    """The one step of a definition, which must be valid."""

    def step_of(name: str, text: str) -> JobStep:
        return only_step(read_job_file(write(name, text)))

    return step_of


def all_problems(job: JobFile) -> list[str]:
    return [str(problem) for problem in (*job.problems, *(found for step in job.steps for found in step.problems))]


def only_step(job: JobFile) -> JobStep:
    assert not all_problems(job)
    [reading] = job.steps
    assert reading.step is not None
    return reading.step

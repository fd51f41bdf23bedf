"""The pages of the checks are correct: the flawed script fails the check, and the fixed one passes.

The examples run inside this process, by one check each: all pages take seconds.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.contract.entry.observations import Observations
from tests.conftest import Run, Write
from tests.light import FEW, SOME
from tests.pages import CHECK_PAGES, DOCS, blocks, commands, compare, file_name, page_id

IN_PROCESSES = Observations.comparing_processes
"""As it is: the page of same_in_worker_processes needs it."""

HEADINGS = ["## A script that fails", "## On Azure ML", "## How to fix it", "## How to accept it"]
INDEX = DOCS / "checks" / "index.md"


@pytest.fixture
def few_edge_cases() -> None:
    """All of them are tried here."""


@pytest.fixture
def folder(pytester: pytest.Pytester, write: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the examples, with the sample and the pytest.ini of the index."""
    monkeypatch.setattr(Observations, "comparing_processes", IN_PROCESSES)
    # With CI set, and in a wide terminal, pytest prints other lines.
    for variable in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    for block in blocks(INDEX):
        if name := file_name(block):
            write(name, block.text)
    assert pytester.run(sys.executable, "make_sample.py").ret == 0
    return pytester.path


@pytest.mark.slow
@pytest.mark.parametrize("page", CHECK_PAGES, ids=lambda page: page.stem)
def test_a_page_shows_what_the_check_finds_and_how_to_fix_it(
    page: Path, folder: Path, write: Write, run_pytest: Run
) -> None:
    shown = []
    for block in blocks(page):
        name = file_name(block)
        if name is not None:
            write(name, block.text)
        elif block.language == "console":
            for command, expected in commands(block.text):
                shown.append(_run(command, expected, folder, run_pytest, f"{page_id(page)}, line {block.line}"))
        else:
            assert block.language == "ini", f"{page_id(page)}, line {block.line}: this block would not be run"
    assert shown == [pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.OK]


def _run(command: str, expected: list[str], folder: Path, run_pytest: Run, where: str) -> int:
    program, *arguments = shlex.split(command)
    assert program == "pytest"
    profile = SOME if "generated_mini_batches" in command or "thresholds" in command else FEW
    result = run_pytest(f"--hypothesis-profile={profile}", *arguments)
    compare(expected, "\n".join(result.outlines), folder, f"{where}: $ {command}")
    return int(result.ret)


def test_the_lines_that_accept_the_findings_are_taken(folder: Path, write: Write, run_pytest: Run) -> None:
    lines = {page.stem: _accepting_line(page) for page in CHECK_PAGES}
    assert [name for name, line in lines.items() if re.split(r"[ :]", line)[0] != name] == []
    write("score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    with open("pytest.ini", "a", encoding="utf-8") as file:
        file.write("".join(["parallelrun_accept =\n", *(f"    {line}\n" for line in lines.values())]))
    assert run_pytest("-k", "entry_defines_run").ret == pytest.ExitCode.OK


def _accepting_line(page: Path) -> str:
    (text,) = [block.text for block in blocks(page) if block.language == "ini" and file_name(block) is None]
    return text.removeprefix("parallelrun_accept = ").rstrip()


@pytest.mark.parametrize("page", CHECK_PAGES, ids=lambda page: page.stem)
def test_a_page_has_all_of_its_parts(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# `{page.stem}`"
    assert [line for line in lines if line.startswith("## ")] == HEADINGS


def test_each_check_has_a_page_and_each_page_a_check() -> None:
    pages = {path.stem for path in (DOCS / "checks").glob("*.md")} - {INDEX.stem}
    assert pages == {check.name for check in CHECKS}


def test_the_folder_of_the_pages_has_nothing_else() -> None:
    # All of it goes into the wheel.
    assert {os.path.splitext(name)[1] for name in os.listdir(DOCS / "checks")} == {".md"}

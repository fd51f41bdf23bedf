"""The documentation is correct: its examples run, its tables match the code, its links work.

CONTRIBUTING.md says how to write an example.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from pytest_parallelrun import ParallelJob, Rules
from pytest_parallelrun._options import OPTIONS
from pytest_parallelrun.emulator.rules import CHOICES
from pytest_parallelrun.emulator.setting_table import setting_table
from tests.conftest import Run
from tests.light import FEW
from tests.pages import (
    BLOCK,
    CHECK_PAGES,
    DOCS,
    PAGES,
    ROOT,
    Block,
    blocks,
    commands,
    compare,
    file_name,
    is_run,
    page_id,
)

FIDELITY = DOCS / "reference" / "fidelity.md"
LIMITS = DOCS / "explanation" / "limits.md"
TEST_COMMAND = re.compile(r"^python3 -m venv .*\[test\].*$", re.MULTILINE)

NEEDED = {"iris": "sklearn", "gate.html": "jinja2", "parquet": "pyarrow", " -n": "xdist"}
"""Text of an example -> the optional package that it needs."""

PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
"""In a wide terminal pytest prints other lines."""
ELSEWHERE = re.compile("generated|replay|cache| -n|--timeout")
"""What takes more than the gates inside tests have."""

# Those of the checks are run by test_check_pages.py.
RUN_PAGES = [page for page in PAGES if page not in CHECK_PAGES and any(is_run(block) for block in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_PAGES, ids=page_id)
def test_examples_of_a_page_run_and_print_what_it_shows(
    page: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    text = "".join(block.text for block in blocks(page) if is_run(block))
    for package in (package for used, package in NEEDED.items() if used in text):
        pytest.importorskip(package)
    # Not before: what is imported later is imported again for the next page, and scikit-learn cannot be.
    run_pytest: Run = request.getfixturevalue("run_pytest")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    for name, value in PLAIN.items():
        monkeypatch.setenv(name, value)
    # Not tmp_path: pytest cuts long lines, and its name is long.
    with tempfile.TemporaryDirectory(prefix="my project ") as name:
        folder = Path(os.path.realpath(name))
        shutil.copytree(ROOT / "example_scripts", folder / "example_scripts")
        monkeypatch.chdir(folder)
        for block in blocks(page):
            if is_run(block):
                _run(block, folder, run_pytest, f"{page_id(page)}, line {block.line}")


def _run(block: Block, folder: Path, run_pytest: Run, where: str) -> None:
    name = file_name(block)
    if name is not None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    elif block.language == "console":
        for command, expected in commands(block.text):
            program, *arguments = shlex.split(command)
            # As a user runs it where it matters; most examples are about something else, and quicker in this process.
            if program == "pytest" and not ELSEWHERE.search(f"{command}{expected}"):
                result = run_pytest(*arguments)
                output, status = "\n".join([*result.outlines, *result.errlines]), int(result.ret)
                # Of the command that a finding shows.
                output = output.replace(f"-p no:cacheprovider --hypothesis-profile={FEW} ", "")
            else:
                output, status = _execute([program, *arguments], folder)
            if expected:
                compare(expected, output, folder, f"{where}: $ {command}")
            else:
                assert status == 0, f"{where}: $ {command}\n{output}"
    else:
        output, status = _execute([sys.executable, "-c", block.text], folder)
        assert status == 0, f"{where}\n{output}"


def _execute(command: list[str], folder: Path) -> tuple[str, int]:
    # With CI set pytest prints other lines; options of this run must not reach the example.
    foreign = re.compile(r"CI|BUILD_NUMBER|TF_BUILD|GITHUB_.*|PYTEST_.*|COV.*|PARALLELRUN.*|PY_COLORS|FORCE_COLOR")
    environment = {name: value for name, value in os.environ.items() if not foreign.fullmatch(name)}
    environment["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), environment.get("PATH", "")])
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
    )
    return done.stdout, done.returncode


def _extension() -> ModuleType:
    path = DOCS / "_ext" / "reference_tables.py"
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_pages_are_those_of_the_code() -> None:
    extension = _extension()
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    stale = [page_id(page) for page, text in texts.items() if page.parent != ROOT and extension.filled(text) != text]
    assert not stale, "run: python docs/_ext/reference_tables.py"


def test_each_table_of_the_code_has_a_place_in_a_page() -> None:
    placed = {match[2] for page in PAGES for match in _extension().PLACE.finditer(page.read_text(encoding="utf-8"))}
    assert placed == _extension().TABLES.keys()


def test_the_table_of_rules_has_a_meaning_for_each() -> None:
    assert _extension().parts_of(Rules).keys() == CHOICES.keys()


def test_the_reference_has_every_argument_of_a_job_and_every_attribute_of_its_result(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    result = ParallelJob(SimpleNamespace(run=list), tmp_path).run()
    named = set(inspect.signature(ParallelJob).parameters) | {name for name in dir(result) if name[0] != "_"}
    text = (DOCS / "reference" / "fixtures.md").read_text(encoding="utf-8")
    # Internal: only the reports use it.
    assert {name for name in named if not re.search(rf"\b{name}\b", text)} == {"splitter_kind"}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_a_page_names_no_option_that_does_not_exist(page: Path) -> None:
    named = set(re.findall(r"--parallelrun-[a-z]+(?:-[a-z]+)*", page.read_text(encoding="utf-8")))
    assert named <= {option.flag for option in OPTIONS}


def test_the_index_names_every_page() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page not in CHECK_PAGES]
    assert [page for page in pages if page != "index.md" and f"]({page})" not in index] == []


def test_vs_code_attaches_where_the_command_listens() -> None:
    found = list(blocks(DOCS / "how-to" / "debugging.md"))
    (launch,) = [block.text for block in found if block.language == "json"]
    (command,) = [block.text for block in found if block.language == "bash" and "debugpy" in block.text]
    (configuration,) = json.loads(launch.partition("\n")[2])["configurations"]
    command = command.replace("\\\n", " ")
    assert f"--listen {configuration['connect']['port']} " in command
    # The command under the debugger is the one that the page runs without it.
    shown = [typed for block in found if block.language == "console" for typed, _ in commands(block.text)]
    assert command.split(" -m ")[2].strip() in shown


def test_ci_runs_exactly_the_test_command_of_the_readme() -> None:
    commands = TEST_COMMAND.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(commands) == 1
    lines = [line.strip() for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    assert f'{commands[0]} "$@"' in lines
    # With the slow tests.
    assert any(line.startswith('test_command_of_the_readme -m "" ') for line in lines)


def _test_names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
            # A state machine's class becomes a test of its own.
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_every_test_that_the_page_on_fidelity_names_exists() -> None:
    text = FIDELITY.read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", text)
    assert named
    missing = [
        f"{file}::{name}" for file, name in named if not (ROOT / file).is_file() or name not in _test_names(ROOT / file)
    ]
    assert not missing, "docs/reference/fidelity.md names tests that do not exist:\n" + "\n".join(missing)


def test_every_recorded_run_is_shown_by_rules_of_the_page_on_fidelity() -> None:
    rows = {match[3]: match[0] for match in _extension().RULE.finditer(FIDELITY.read_text(encoding="utf-8"))}
    for number, run in enumerate(_extension().RUNS, 1):
        for test in run.tests:
            assert re.search(rf" run [\d, ]*\b{number}\b", rows.get(test, "")), f"no rule names run {number} ({test})"
    assert sum("| no |" in row for row in rows.values()) > len(rows) / 2


def test_every_setting_without_effect_is_said_to_have_none() -> None:
    section = LIMITS.read_text(encoding="utf-8").split("\n## What is not simulated\n")[1]
    missing = [name for name, setting in setting_table().items() if not setting.emulated and f"`{name}`" not in section]
    assert not missing


def test_the_pages_follow_the_style_guide() -> None:
    avoided = re.compile(
        r"\w\(s\)|\b(mend\w*|spoil\w*|odd (?:file|item|mini-batch|one)\w*|sound (?:script|one|item|mini-batch)\w*|"
        r"in vain|another matter|nothing tells|com(?:es?|ing) up|tries of|tried again|as there|of yours)\b"
    )
    pages = [page for page in PAGES if page.name not in ("CONTRIBUTING.md", "CHANGELOG.md")]
    texts = {page_id(page): BLOCK.sub("", page.read_text(encoding="utf-8")) for page in pages}
    found = {name: match[0] for name, text in texts.items() if (match := avoided.search(text))}
    assert not found, "see the style guide in CONTRIBUTING.md"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = page if not path else page.parent / path
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert not broken


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}

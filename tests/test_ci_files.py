"""The files of docs/how-to/ci.md are what the systems take: held against their schemas, and the hook is run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pages import ROOT, blocks, commands

PAGE = ROOT / "docs" / "how-to" / "ci.md"
GITHUB, AZURE, HOOK = ".github/workflows/gate.yml", "azure-pipelines.yml", ".pre-commit-config.yaml"
SCRIPTS = Path(sys.executable).parent


def file_of_the_page(name: str) -> str:
    (text,) = [block.text for block in blocks(PAGE) if block.text.startswith(f"# {name}\n")]
    return text


def loaded(name: str) -> Any:
    import yaml

    return yaml.safe_load(file_of_the_page(name))


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", "")])
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=100,
    )


@pytest.mark.parametrize(
    ("name", "schema", "more"),
    [
        (GITHUB, "vendor.github-workflows", ()),
        (AZURE, "vendor.azure-pipelines", ("--data-transform", "azure-pipelines", "--regex-variant", "nonunicode")),
    ],
)
def test_it_is_valid_by_the_schema_of_the_system(tmp_path: Path, name: str, schema: str, more: tuple[str, ...]) -> None:
    file = tmp_path / Path(name).name
    file.write_text(file_of_the_page(name))
    command = ("check-jsonschema", "--builtin-schema", schema, *more, str(file))
    done = run(tmp_path, *command)
    assert done.returncode == 0, done.stdout
    # And one that is not would be noticed.
    file.write_text(file_of_the_page(name).replace("steps:", "steeps:"))
    assert run(tmp_path, *command).returncode == 1


def test_both_systems_run_the_command_that_the_page_shows_with_its_output() -> None:
    (job,) = loaded(GITHUB)["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert scripts == [step["script"] for step in loaded(AZURE)["steps"] if "script" in step]
    install, gate = scripts
    assert shlex.split(install) == ["pip", "install", "-r", "requirements.txt", "pytest-parallelrun[html]"]
    shown = [command for block in blocks(PAGE) if block.language == "console" for command, _ in commands(block.text)]
    assert shlex.split(gate) in map(shlex.split, shown)


def test_what_is_uploaded_is_what_the_command_writes() -> None:
    (job,) = loaded(GITHUB)["jobs"].values()
    assert [step["with"]["path"] for step in job["steps"] if "path" in step.get("with", {})] == ["reports"]
    assert [step["publish"] for step in loaded(AZURE)["steps"] if "publish" in step] == ["reports"]
    (gate,) = [step["run"] for step in job["steps"] if "pytest -v" in step.get("run", "")]
    assert set(re.findall(r"=(\w+)/", gate)) == {"reports"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the hook of the page, and a script in its pytest.ini."""
    (tmp_path / HOOK).write_text(file_of_the_page(HOOK))
    (tmp_path / "score.py").write_text("def run(mini_batch):\n    return list(mini_batch)\n")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nparallelrun_entry = score.py\naddopts = -p no:cacheprovider -k imports\n"
    )
    for command in (["init", "-q"], ["add", "."]):
        assert run(tmp_path, "git", *command).returncode == 0
    return tmp_path


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_the_hook_gates_the_scripts_before_a_commit(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = str(tmp_path_factory.mktemp("home"))
    assert run(repository, "pre-commit", "validate-config", PRE_COMMIT_HOME=home).returncode == 0
    sound = run(repository, "pre-commit", "run", "--all-files", PRE_COMMIT_HOME=home)
    assert sound.returncode == 0, sound.stdout
    assert "gate the scoring scripts" in sound.stdout
    (repository / "score.py").write_text("import nowhere_to_be_found\n")
    flawed = run(repository, "pre-commit", "run", "--all-files", PRE_COMMIT_HOME=home)
    assert flawed.returncode == 1
    assert "nowhere_to_be_found" in flawed.stdout

"""The files of docs/how-to/ci.md, the action and the hook are valid by their schemas, and do what the page says."""

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
ACTION, HOOKS = "action.yml", ".pre-commit-hooks.yaml"
SCRIPTS = Path(sys.executable).parent


def file_of_the_page(name: str) -> str:
    (text,) = [block.text for block in blocks(PAGE) if block.text.startswith(f"# {name}\n")]
    return text


def loaded(name: str) -> Any:
    import yaml

    return yaml.safe_load(file_of_the_page(name))


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    if "-" in command[0]:
        pytest.importorskip(command[0].replace("-", "_"))
    path = os.pathsep.join([str(SCRIPTS), os.environ.get("PATH", "")])
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
    )


@pytest.mark.parametrize(
    ("name", "schema", "more"),
    [
        (GITHUB, "vendor.github-workflows", ()),
        (AZURE, "vendor.azure-pipelines", ("--data-transform", "azure-pipelines", "--regex-variant", "nonunicode")),
        (ACTION, "vendor.github-actions", ()),
    ],
)
def test_it_is_valid_by_the_schema_of_the_system(tmp_path: Path, name: str, schema: str, more: tuple[str, ...]) -> None:
    file = tmp_path / Path(name).name
    text = (ROOT / ACTION).read_text("utf-8") if name == ACTION else file_of_the_page(name)
    file.write_text(text)
    command = ("check-jsonschema", "--builtin-schema", schema, *more, str(file))
    done = run(tmp_path, *command)
    assert done.returncode == 0, done.stdout
    # And one that is not would be noticed.
    file.write_text(text.replace("steps:", "steeps:"))
    assert run(tmp_path, *command).returncode == 1


def shown_commands() -> list[list[str]]:
    shown = [command for block in blocks(PAGE) if block.language == "console" for command, _ in commands(block.text)]
    return [shlex.split(command) for command in shown]


def test_azure_pipelines_runs_the_command_that_the_page_shows_with_its_output() -> None:
    install, gate = [step["script"] for step in loaded(AZURE)["steps"] if "script" in step]
    assert shlex.split(install) == ["pip", "install", "-r", "requirements.txt", "pytest-parallelrun[html]"]
    assert shlex.split(gate) in shown_commands()
    assert [step["publish"] for step in loaded(AZURE)["steps"] if "publish" in step] == ["reports"]
    assert set(re.findall(r"=(\w+)/", gate)) == {"reports"}


def run_action(folder: Path, step: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Runs a step of the action as GitHub does, with these inputs."""
    import yaml

    action = yaml.safe_load((ROOT / ACTION).read_text("utf-8"))
    values = {f"inputs.{name}": value["default"] for name, value in action["inputs"].items()}
    values |= {f"inputs.{name}": value for name, value in inputs.items()} | {"github.action_path": "/the action"}
    (chosen,) = [one for one in action["runs"]["steps"] if one["name"] == step]
    environment = {
        name: re.sub(r"\$\{\{ *(.*?) *\}\}", lambda match: str(values[match[1]]), text)
        for name, text in chosen["env"].items()
    }
    script = folder / "step.sh"
    script.write_text(chosen["run"])
    return run(folder, "bash", "--noprofile", "--norc", "-eo", "pipefail", str(script), **environment)


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `python` that prints its arguments, one in a line, before all others on PATH."""
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "python"
    fake.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys.modules[__name__], "SCRIPTS", fake.parent)
    return tmp_path


def test_the_action_installs_itself_and_runs_the_command_of_the_page(recording: Path) -> None:
    used = next(step for step in loaded(GITHUB)["jobs"]["gate"]["steps"] if "OWNER" in step.get("uses", ""))
    installed = run_action(recording, "Install", **used["with"]).stdout.splitlines()
    assert installed == ["-m", "pip", "install", "/the action[html]", "-rrequirements.txt"]
    gated = run_action(recording, "Gate the scoring scripts", **used["with"]).stdout.splitlines()
    options = ["--parallelrun-job=pipeline.yml", "--parallelrun-input=sample/"]
    assert gated[-2:] == options
    assert ["pytest", *gated[2:-2]] in shown_commands()
    odd = run_action(recording, "Gate the scoring scripts", reports="a b", options="-k a and b\n\n--x='$(y)'")
    assert odd.stdout.splitlines()[-2:] == ["-k a and b", "--x='$(y)'"]
    assert "--junit-xml=a b/junit.xml" in odd.stdout


@pytest.mark.slow
def test_the_action_fails_if_a_check_fails(repository: Path) -> None:
    pytest.importorskip("jinja2")
    passed = run_action(repository, "Gate the scoring scripts", options="--parallelrun-entry=score.py")
    assert passed.returncode == 0, passed.stdout
    assert sorted(path.name for path in (repository / "reports").iterdir()) == ["gate.html", "gate.json", "junit.xml"]
    (repository / "score.py").write_text("import nowhere_to_be_found\n")
    failed = run_action(repository, "Gate the scoring scripts")
    assert failed.returncode == 1
    assert "nowhere_to_be_found" in failed.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the hook of the page, as if it came from a release, and a script in its pytest.ini."""
    import yaml

    config, (manifest,) = loaded(HOOK), yaml.safe_load((ROOT / HOOKS).read_text("utf-8"))
    (used,) = config["repos"]
    assert [hook["id"] for hook in used["hooks"]] == [manifest["id"]]
    local = {"repo": "local", "hooks": [{**manifest, **used["hooks"][0]}]}
    (tmp_path / HOOK).write_text(yaml.safe_dump({"repos": [local]}))
    (tmp_path / "score.py").write_text("def run(mini_batch):\n    return list(mini_batch)\n")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nparallelrun_entry = score.py\naddopts = -p no:cacheprovider -k imports\n"
    )
    for command in (["init", "-q"], ["add", "."]):
        assert run(tmp_path, "git", *command).returncode == 0
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_the_hook_gates_the_scripts_before_a_commit(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = str(tmp_path_factory.mktemp("home"))
    assert run(repository, "pre-commit", "validate-config", PRE_COMMIT_HOME=home).returncode == 0
    assert run(ROOT, "pre-commit", "validate-manifest", HOOKS, PRE_COMMIT_HOME=home).returncode == 0
    sound = run(repository, "pre-commit", "run", "--all-files", PRE_COMMIT_HOME=home)
    assert sound.returncode == 0, sound.stdout
    assert "gate the scoring scripts" in sound.stdout
    (repository / "score.py").write_text("import nowhere_to_be_found\n")
    flawed = run(repository, "pre-commit", "run", "--all-files", PRE_COMMIT_HOME=home)
    assert flawed.returncode == 1
    assert "nowhere_to_be_found" in flawed.stdout

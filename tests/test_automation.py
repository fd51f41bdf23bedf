"""noxfile.py, the workflows and the release: what they promise fits together, and a release does what it says."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / "action.yml"
NOXFILE = ROOT / "noxfile.py"
RELEASE = ROOT / ".ci" / "release.py"


def workflow(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    if path == ACTION:
        return list(workflow(path)["runs"]["steps"])
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


def noxfile() -> ast.Module:
    return ast.parse(NOXFILE.read_text(encoding="utf-8"))


def pythons() -> list[str]:
    (found,) = (
        node.value
        for node in noxfile().body
        if isinstance(node, ast.Assign) and "PYTHONS" in ast.unparse(node.targets[0])
    )
    value: list[str] = ast.literal_eval(found)
    return value


def sessions() -> set[str]:
    """The names that `nox -s` takes."""
    names = set()
    for node in noxfile().body:
        if isinstance(node, ast.FunctionDef) and (decorator := next(map(ast.unparse, node.decorator_list), "")):
            several = decorator.endswith("(python=PYTHONS)")
            names |= {f"{node.name}-{python}" for python in pythons()} if several else {node.name}
    return names


def test_the_workflows_are_what_their_schema_allows() -> None:
    pytest.importorskip("check_jsonschema")
    checker = Path(sys.executable).with_name("check-jsonschema")
    subprocess.run([checker, "--builtin-schema", "vendor.github-workflows", *WORKFLOWS], check=True)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_nothing_else(path: Path) -> None:
    assert workflow(path)["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow(path)["jobs"].items() if "permissions" in job}
    assert more == ({"publish": {"id-token": "write"}} if path.name == "release.yml" else {})
    assert all(
        step["with"]["persist-credentials"] is False for step in steps(path) if "checkout" in step.get("uses", "")
    )


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_version(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"\./|[\w-]+/[\w-]+@v\d+\.\d+\.\d+", name)] == []


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_no_expression_is_pasted_into_a_command(path: Path) -> None:
    # The text of a tag would be run; sessions are names of our own.
    commands = [step["run"] for step in steps(path) if "run" in step]
    expressions = {name for command in commands for name in re.findall(r"\$\{\{\s*(.*?)\s*\}\}", command)}
    assert expressions <= {"matrix.session"}


def test_the_workflow_runs_every_session() -> None:
    matrix = workflow(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["session"]["strategy"]["matrix"]["include"]
    assert sorted(row["session"] for row in matrix) == sorted(sessions())
    for row in matrix:
        _, _, python = row["session"].partition("-")
        assert row["python"] == (python or row["python"])


def test_the_sessions_have_every_python_of_the_package() -> None:
    message = metadata.metadata("pytest-parallelrun")
    assert isinstance(message, Message)
    classifiers = message.get_all("Classifier", [])
    assert pythons() == re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of a project with a release to be made, and the current folder; its origin lies beside it."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for name, value in (("AUTHOR", "a"), ("COMMITTER", "a")):
        monkeypatch.setenv(f"GIT_{name}_NAME", value)
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "clone")
    folder = tmp_path / "clone"
    (folder / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n', encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n- New.\n\n## [0.1.0] - 2026-01-01\n", "utf-8"
    )
    (folder / "README.md").write_text("`pip install PATH_OF_THE_CLONE`\n", encoding="utf-8")
    (folder / "docs").mkdir()
    page = "Text.\n\n<!-- before the first release -->\nNot on PyPI yet.\n<!-- end -->\n\n## More\n"
    (folder / "docs" / "ci.md").write_text(page, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "A change")
    git(folder, "tag", "v0.1.0")
    git(folder, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(folder, "push", "--quiet", "origin", "main", "v0.1.0")
    return folder


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, encoding="utf-8")
    return done.stdout.strip()


def released(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, RELEASE, *arguments], cwd=folder, capture_output=True, encoding="utf-8", check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_release_is_one_step(clone: Path) -> None:
    status, output = released(clone, "0.2.0")
    assert status == 0, output
    assert 'version = "0.2.0"' in (clone / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(
        r"## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d\d-\d\d\n\n- New\.\n",
        (clone / "CHANGELOG.md").read_text("utf-8"),
    )
    assert git(clone, "ls-remote", "origin", "refs/heads/main").split()[0] == git(clone, "rev-parse", "v0.2.0^{commit}")
    assert (clone / "README.md").read_text("utf-8") == "`pip install pytest-parallelrun`\n"
    assert (clone / "docs" / "ci.md").read_text("utf-8") == "Text.\n\n## More\n"
    assert git(clone, "status", "--porcelain") == ""
    assert released(clone, "--check", "v0.2.0")[0] == 0


def test_pages_that_change_with_the_first_release_are_found() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    marked = [page.name for page in pages if "<!-- before the first release -->" in page.read_text("utf-8")]
    # Empty once it is published.
    assert marked in ([], ["ci.md"])


@pytest.mark.parametrize(
    ("version", "change", "problem"),
    [
        ("0.2", "", "'0.2' is no version"),
        ("0.1.0", "", "0.1.0 is released already"),
        ("0.0.9", "", "0.1.0 is released already"),
        ("0.2.0", "a file", "changes that are not committed"),
        ("0.2.0", "a branch", "releases are made on main"),
        ("0.2.0", "a commit", "main is not what origin has"),
        ("0.2.0", "no notes", "says nothing under Unreleased"),
    ],
)
def test_what_stops_a_release_changes_nothing(clone: Path, version: str, change: str, problem: str) -> None:
    if change == "a file":
        (clone / "new.py").touch()
    elif change == "a branch":
        git(clone, "switch", "--quiet", "--create", "other")
    elif change:
        if change == "no notes":
            (clone / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n\n- Old.\n", "utf-8")
        git(clone, "commit", "--quiet", "--all", "--allow-empty", "--message", "Another change")
    if change == "no notes":
        git(clone, "push", "--quiet", "origin", "main")
    before = git(clone, "rev-parse", "HEAD"), git(clone, "tag")
    status, output = released(clone, version)
    assert (status, problem in output) == (1, True), output
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "tag")) == before


@pytest.mark.parametrize(("tag", "problem"), [("v0.3.0", "has version 0.1.0"), ("v0.1.0", "")])
def test_a_tag_is_held_against_the_version(clone: Path, tag: str, problem: str) -> None:
    status, output = released(clone, "--check", tag)
    assert (status, problem in output) == (1 if problem else 0, True)

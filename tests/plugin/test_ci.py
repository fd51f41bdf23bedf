"""What a run tells the CI system that it is in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Run, Write

LOSES_ONE = "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n"
FINDS = ("-k", "one_result or name_their")


@pytest.fixture
def summary(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run is a step of GitHub Actions; the file that it may write its summary to."""
    path = project / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project))
    return path


@pytest.fixture
def agent(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run is a step of Azure Pipelines; the folder for its files."""
    folder = project / "agent temp"
    folder.mkdir()
    monkeypatch.setenv("TF_BUILD", "True")
    monkeypatch.setenv("AGENT_TEMPDIRECTORY", str(folder))
    monkeypatch.setenv("BUILD_SOURCESDIRECTORY", str(project))
    return folder


def test_elsewhere_nothing_is_told(project: Path, gate: Run, write: Write) -> None:
    write("score.py", LOSES_ONE)
    result = gate(*FINDS)
    result.stdout.no_fnmatch_line("::*")
    result.stdout.no_fnmatch_line("##*")


def test_a_step_of_github_has_a_summary_and_annotations(summary: Path, anywhere: Run, write: Write) -> None:
    write("score.py", "import os\n\n" + LOSES_ONE)
    summary.write_text("from a step before\n")
    result = anywhere(*FINDS)
    lines = [line for line in result.outlines if line.startswith("::")]
    assert len(lines) == 1
    start = "::error file=score.py,line=3,title=score.py%3A returns_one_result_per_item::run() returned fewer results"
    assert lines[0].startswith(start)
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("from a step before\n\n# ❌ 1 finding in 1 entry script\n")
    assert text.count("### ❌ returns_one_result_per_item") == 1


def test_advice_is_a_warning(summary: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return ['scored' for _ in mini_batch]\n")
    assert gate("-k", "name_their").ret == pytest.ExitCode.OK
    result = gate("-k", "name_their")
    result.stdout.fnmatch_lines(["::warning file=score.py,line=1,title=score.py%3A rows_name_their_item::*"])


def test_a_summary_that_cannot_be_written_is_said_and_fails_nothing(
    summary: Path, gate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary.parent / "score.py" / "summary.md"))
    result = gate("-k", "imports")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["GITHUB_STEP_SUMMARY: *summary.md cannot be written: Not a directory"])


def test_a_summary_that_is_full_already_is_kept(summary: Path, gate: Run) -> None:
    summary.write_text("x" * 1024 * 1024)
    gate("-k", "imports")
    assert summary.stat().st_size < 1024 * 1024 + 1024


def test_a_step_of_azure_has_a_summary_and_issues(agent: Path, gate: Run, write: Write) -> None:
    write("score.py", LOSES_ONE)
    result = gate(*FINDS)
    start = "##vso[[]task.logissue type=error;sourcepath=score.py;linenumber=1;code=score.py: returns_one_*;]"
    result.stdout.fnmatch_lines([f"{start}run() returned*"])
    (line,) = [line for line in result.outlines if line.startswith("##vso[task.uploadsummary]")]
    path = Path(line.partition("]")[2])
    assert path.parent == agent
    assert path.read_text(encoding="utf-8").startswith("# ❌ 1 finding in 1 entry script\n")


def test_azure_without_its_folder_says_so_and_fails_nothing(
    agent: Path, gate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TEMPDIRECTORY", str(agent / "gone"))
    result = gate("-k", "imports")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["AGENT_TEMPDIRECTORY: no summary can be written in *gone: No such file or directory"])
    result.stdout.no_fnmatch_line("##vso[[]task.uploadsummary]*")


@pytest.mark.parametrize("system", ["summary", "agent"])
def test_an_error_of_the_script_gives_the_system_no_commands(
    request: pytest.FixtureRequest, project: Path, gate: Run, write: Write, system: str
) -> None:
    request.getfixturevalue(system)
    write(
        "score.py",
        "import warnings\n"
        "def run(mini_batch):\n"
        "    print('##vso[task.setvariable variable=B]c\\n::warning::d\\r::warning::e')\n"
        "    warnings.warn('x\\n::warning::f ##vso[x]y')\n"
        "    raise ValueError('x\\n::set-env name=A::b\\n  ::error::c\\n##vso[task.setvariable variable=A]b')\n",
    )
    options = ("-v", "-rs", "-W", "default", "--parallelrun-set=error_threshold=0")
    result = gate("-k", "completes or one_result", *options)
    result.stdout.fnmatch_lines(["*set-env name=A*"])
    # As the system reads lines.
    lines = [line.lstrip() for line in re.split("\r\n|\r|\n", result.stdout.str())]
    commands = [line for line in lines if line.startswith("::") or "##vso[" in line]
    own = ("::error file=score.py", "##vso[task.logissue type=error;sourcepath=score.py", "##vso[task.uploadsummary]")
    assert [line for line in commands if not line.startswith(own)] == []


def test_secrets_are_in_no_form(summary: Path, project: Path, gate: Run, write: Write) -> None:
    pytest.importorskip("jinja2")
    write(
        "score.py",
        """
        import os, sys

        def init():
            raise RuntimeError("cannot log in with " + os.environ["API_KEY"] + " or " + sys.argv[-1])

        def run(mini_batch):
            return list(mini_batch)
        """,
    )
    files = ("gate.html", "gate.md", "gate.json")
    result = gate(
        "--parallelrun-env=API_KEY=hunter2",
        "--parallelrun-args=--db-password 'correct horse'",
        *(f"--parallelrun-report={name}" for name in files),
        "--junitxml=junit.xml",
        "-v",
        *("-k", "imports or completes"),
    )
    for name in (*files, "junit.xml", "summary.md"):
        text = (project / name).read_text(encoding="utf-8")
        assert "cannot log in with ***" in text or "cannot log in with \\*\\*\\*" in text, name
        assert "hunter2" not in text, name
        assert "correct horse" not in text, name
    assert "hunter2" not in result.stdout.str()

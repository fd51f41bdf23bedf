from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL

CHECK = "environment_provides_imports"


def test_it_adds_a_check_that_the_plan_names(project: Path, write: Write, run_pytest: Run) -> None:
    write("requirements.txt", "")
    plan = run_pytest(
        "--parallelrun-entry=score.py", "--parallelrun-environment=requirements.txt", "--parallelrun-plan"
    )
    plan.stdout.fnmatch_lines([f"  {CHECK}"])
    assert CHECK not in str(run_pytest("--parallelrun-entry=score.py", "--parallelrun-plan").stdout)


def test_its_path_starts_at_the_working_folder(
    project: Path, write: Write, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("my envs/conda file.yml", "dependencies: [pip]\n")
    monkeypatch.chdir(project / "my envs")
    result = run_pytest("--parallelrun-entry=../score.py", "--parallelrun-environment=conda file.yml", "-k", CHECK)
    result.assert_outcomes(passed=1, deselected=TOTAL)


def test_the_ini_twin_is_used_and_starts_at_its_folder(
    project: Path, write: Write, pytester: pytest.Pytester, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("envs/conda.yml", "dependencies: [pip]\n")
    pytester.makeini("[pytest]\nparallelrun_environment = envs/conda.yml")
    monkeypatch.chdir(project / "data")
    result = run_pytest("--parallelrun-entry=../score.py", "-k", CHECK)
    result.assert_outcomes(passed=1, deselected=TOTAL)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("none.yml", "*=none.yml: does not exist; give a conda file *There is: conda.yml."),
        ("data", "*=data: is a folder; give a conda file *"),
        ("score.py", "*=score.py: unknown type of file; give a conda file *"),
        ("conda.yml", "*=conda.yml: conda.yml:1:15: 'dependencies' must be a list of packages, and is 'pandas'*"),
        ("", "*: the path is empty.*"),
    ],
)
def test_a_wrong_value_ends_the_run_at_once(
    project: Path, write: Write, run_pytest: Run, value: str, message: str
) -> None:
    write("conda.yml", "dependencies: pandas\n")
    result = run_pytest("--parallelrun-entry=score.py", f"--parallelrun-environment={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --parallelrun-environment{message}"])


def test_without_an_entry_it_is_refused(project: Path, write: Write, run_pytest: Run) -> None:
    write("requirements.txt", "")
    result = run_pytest("--parallelrun-environment=requirements.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--parallelrun-environment needs an entry script to check*"])

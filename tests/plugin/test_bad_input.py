from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, Write


def refused(result: pytest.RunResult) -> str:
    """The message of a usage error, which has one line or two."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = result.stderr.str().strip().splitlines()
    assert lines[0].startswith("ERROR: ")
    assert len(lines) <= 2
    return " ".join(lines)


def deny(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Takes the right to read `path` away, from root too, who runs the tests in many containers."""
    path.chmod(0)
    access, scan = os.access, os.scandir

    def denied_access(asked: str | int, mode: int, **options: Any) -> bool:
        return (isinstance(asked, int) or Path(asked) != path) and access(asked, mode, **options)

    def denied_scan(folder: str | int) -> object:
        # A number is a folder that is open already, as shutil.rmtree() asks, which may run at any time.
        if not isinstance(folder, int) and Path(folder) == path:
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "access", denied_access)
    monkeypatch.setattr(os, "scandir", denied_scan)


def test_an_unreadable_script(project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, project / "score.py")
    assert "score.py' cannot be read: permission denied" in refused(gate())


def test_an_unreadable_folder_of_data(project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, project / "data")
    try:
        assert "data/' cannot be read: Permission denied" in refused(gate())
    finally:
        (project / "data").chmod(0o700)


def test_settings_that_exclude_each_other(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-set=profile=batch", "--parallelrun-set=allowed_failed_percent=5")
    assert "allowed_failed_percent is not allowed under profile batch" in refused(result)


def test_settings_of_which_one_is_in_the_ini_file_exclude_each_other(
    project: Path, pytester: pytest.Pytester, gate: Run
) -> None:
    pytester.makeini("[pytest]\nparallelrun_set = allowed_failed_percent=5")
    assert "not allowed under profile batch" in refused(gate("--parallelrun-set=profile=batch"))


def test_two_names_of_one_setting(project: Path, gate: Run) -> None:
    message = refused(gate("--parallelrun-set=max_retries=1", "--parallelrun-set=run_max_try=4"))
    assert "--parallelrun-set: max_retries and run_max_try are one setting: give one of them" in message


def test_an_argument_that_a_profile_refuses(project: Path, gate: Run) -> None:
    message = refused(gate("--parallelrun-set=profile=v1", "--parallelrun-args=--output x"))
    assert "--output is reserved under profile v1" in message


def test_program_arguments_for_a_batch_deployment(project: Path, gate: Run) -> None:
    assert "a batch deployment has none" in refused(gate("--parallelrun-set=profile=batch", "--parallelrun-args=--x 1"))


def test_an_encoding_that_does_not_fit_the_table(project: Path, run_pytest: Run) -> None:
    (project / "table.csv").write_bytes("name\nM\xfcller\n".encode("latin-1"))
    message = refused(run_pytest("--parallelrun-entry=score.py", "--parallelrun-input=table.csv"))
    assert "table.csv" in message
    assert "encoding" in message


def test_a_wrong_value_in_the_ini_file_ends_a_run_without_a_gate_too(
    project: Path, pytester: pytest.Pytester, run_pytest: Run
) -> None:
    pytester.makeini("[pytest]\nparallelrun_engine = quantum")
    assert "parallelrun_engine in tox.ini=quantum" in refused(run_pytest())


def test_a_pyproject_file_is_named_as_the_origin(project: Path, run_pytest: Run, write: Write) -> None:
    write("pyproject.toml", "[tool.pytest.ini_options]\nparallelrun_set = ['max_retires=2']\n")
    assert "parallelrun_set in pyproject.toml" in refused(run_pytest("--parallelrun-entry=score.py"))


def test_an_error_does_not_show_a_secret(project: Path, gate: Run) -> None:
    message = refused(gate("--parallelrun-set=profile=batch", "--parallelrun-args=--api_key hunter2"))
    assert "hunter2" not in message

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL, assert_gated


@pytest.fixture
def shouting(project: Path, write: Write) -> Path:
    write(
        "score.py",
        """
        import argparse

        def init():
            global args
            parser = argparse.ArgumentParser(allow_abbrev=False)
            parser.add_argument("--word", required=True)
            args, _ = parser.parse_known_args()

        def run(mini_batch):
            return [args.word for _ in mini_batch]
        """,
    )
    return project


OUTPUT = ("--parallelrun-output=out", "--parallelrun-set=output_action=append_row")


def output(project: Path) -> list[str]:
    return (project / "out" / "parallel_run_step.txt").read_text(encoding="utf-8").splitlines()


def test_they_reach_the_script(shouting: Path, gate: Run) -> None:
    assert_gated(gate("--parallelrun-args=--word ho", *OUTPUT), TOTAL)
    assert output(shouting) == ["ho"] * 3


def test_without_them_a_script_that_needs_them_fails(shouting: Path, gate: Run) -> None:
    assert gate().ret == pytest.ExitCode.TESTS_FAILED


def test_quotes_work_as_in_a_shell(shouting: Path, gate: Run) -> None:
    gate("--parallelrun-args=--word 'hé ho'", *OUTPUT)
    assert output(shouting) == ["hé ho"] * 3


def test_the_ini_twin_is_used(shouting: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_args = --word ini")
    assert_gated(gate(*OUTPUT), TOTAL)
    assert output(shouting) == ["ini"] * 3


def test_the_command_line_replaces_the_ini_file(shouting: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_args = --word ini")
    gate("--parallelrun-args=--word line", *OUTPUT)
    assert output(shouting) == ["line"] * 3


def test_those_that_the_runtime_reads_set_the_job(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-plan", "--parallelrun-args=--error_threshold 7")
    result.stdout.fnmatch_lines(["*error_threshold = 7  (program arguments)"])


def test_a_setting_wins_over_an_argument(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-plan", "--parallelrun-args=--error_threshold 7", "--parallelrun-set=error_threshold=2")
    result.stdout.fnmatch_lines(["*error_threshold = 2  (--parallelrun-set)"])


def test_an_error_about_them_does_not_show_a_secret(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-args=--api_key hunter2 'open")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "hunter2" not in result.stderr.str()

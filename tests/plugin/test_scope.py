"""Which entries are part of a run: all of the command line, those of the ini file where it leads to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import SOUND_SCRIPT, Run, Write

INI = "[pytest]\nparallelrun_entry =\n    src/score.py\n    my folder/score.py\nparallelrun_input = data\n"
SRC, SPACE, MINE = "src/score.py", "my folder/score.py", "tests/test_mine.py"
LEFT_OUT = "parallelrun: 2 entries of the ini file are not part of this run"


@pytest.fixture
def in_ini(project: Path, write: Write) -> Path:
    for name in (SRC, SPACE):
        write(name, SOUND_SCRIPT)
    write(MINE, "def test_mine(): pass\n")
    write("pytest.ini", INI)
    return project


def files(result: pytest.RunResult) -> set[str]:
    return {line.partition("::")[0] for line in result.outlines if "::" in line}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {SRC, SPACE, MINE}),
        (["."], {SRC, SPACE, MINE}),
        (["{root}"], {SRC, SPACE, MINE}),
        (["-k", "mine or completes"], {SRC, SPACE, MINE}),
        (["-o", "testpaths=tests"], {SRC, SPACE, MINE}),
        (["-o", "addopts=tests"], {SRC, SPACE, MINE}),
        (["tests"], {MINE}),
        (["{root}/tests/test_mine.py::test_mine"], {MINE}),
        (["src"], {SRC}),
        (["tests", "my folder"], {SPACE, MINE}),
        (["my folder/score.py::test_job_completes"], {SPACE}),
        (["tests", "--parallelrun-entry=src/score.py"], {SRC, MINE}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_entries_of_the_ini_file_join_a_run_that_leads_to_them(
    in_ini: Path, run_pytest: Run, arguments: list[str], expected: set[str]
) -> None:
    result = run_pytest("--collect-only", "-q", *(argument.format(root=in_ini) for argument in arguments))
    assert files(result) == expected


def test_a_path_through_a_link_leads_to_an_entry(in_ini: Path, run_pytest: Run) -> None:
    (in_ini / "link").symlink_to(in_ini / "src", target_is_directory=True)
    assert SRC in run_pytest("--collect-only", str(in_ini / "link")).stdout.str()


def test_what_was_left_out_is_a_line_of_the_header(in_ini: Path, run_pytest: Run) -> None:
    result = run_pytest("tests", "--parallelrun-report=gate.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"{LEFT_OUT}, so no report is written"])
    result.stdout.no_fnmatch_line("=*= parallelrun =*")


def test_fixtures_have_the_entries_that_were_left_out(in_ini: Path, run_pytest: Run, write: Write) -> None:
    write(MINE, "def test_mine(parallelrun_entry): assert parallelrun_entry.job('data').total_items == 3\n")
    run_pytest("tests").assert_outcomes(passed=2)


def test_a_sample_that_only_they_need_is_not_looked_for(in_ini: Path, run_pytest: Run, write: Write) -> None:
    write("pytest.ini", INI.replace("data", "not_here"))
    run_pytest("tests").assert_outcomes(passed=1)
    assert run_pytest().ret == pytest.ExitCode.USAGE_ERROR


def test_the_plan_of_none_is_refused(in_ini: Path, run_pytest: Run) -> None:
    run_pytest("src", "--parallelrun-plan").stdout.fnmatch_lines(["entry */src/score.py"])
    result = run_pytest("tests", "--parallelrun-plan")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*leads to no entry of the ini file ({SRC}, {SPACE}). *"])


@pytest.mark.parametrize("file", ["pyproject.toml", "pytest.toml"])
def test_the_native_tables_of_pytest_9_are_read(project: Path, run_pytest: Run, write: Write, file: str) -> None:
    if pytest.version_tuple < (9, 0):
        pytest.skip("pytest 9 has them")
    table = "tool.pytest" if file == "pyproject.toml" else "pytest"
    write(
        file,
        f"""
        [{table}]
        parallelrun_entry = ["score.py"]
        parallelrun_input = ["data"]
        parallelrun_set = ["mini_batch_size=2"]
        parallelrun_strict = true
        """,
    )
    result = run_pytest("-k", "completes")
    result.stdout.fnmatch_lines(["score.py: passed: 1 check*, 2 of 2 mini-batches and *"])


def test_a_native_table_with_a_wrong_type_is_an_error_of_one_line(project: Path, run_pytest: Run, write: Write) -> None:
    if pytest.version_tuple < (9, 0):
        pytest.skip("pytest 9 has them")
    write("pyproject.toml", '[tool.pytest]\nparallelrun_entry = "score.py"\n')
    result = run_pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *'parallelrun_entry' expects a list*"])


def test_an_input_that_nothing_uses_asks_for_the_entry(in_ini: Path, run_pytest: Run, write: Write) -> None:
    write("pytest.ini", "[pytest]\n")
    result = run_pytest("--parallelrun-input=data")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --parallelrun-input=data: no entry is given, *--parallelrun-entry=PATH."])
    write(MINE, "def test_mine(parallelrun): assert parallelrun('src/score.py').total_items == 3\n")
    result = run_pytest("--parallelrun-input=data")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["parallelrun: no entry is given (--parallelrun-entry=PATH), so only fixtures use *"])

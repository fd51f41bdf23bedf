from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write

SHOWS = """
    import pytest

    {marker}
    def test_it(parallelrun):
        result = parallelrun()
        print("seen", result.total_items, result.settings.max_retries, result.settings.error_threshold)
"""


def shows(write: Write, marker: str) -> None:
    write("test_mine.py", SHOWS.format(marker=marker))


BASE = "entry='score.py', input='data'"


def test_it_gives_entry_input_and_settings(project: Path, run_pytest: Run, write: Write) -> None:
    shows(write, f"@pytest.mark.parallelrun({BASE}, max_retries=4)")
    run_pytest("-s").stdout.fnmatch_lines(["*seen 3 4 -1*"])


def test_its_paths_start_at_the_folder_of_the_test(project: Path, run_pytest: Run, write: Write) -> None:
    write("tests/test_mine.py", SHOWS.format(marker="@pytest.mark.parallelrun(entry='../score.py', input='../data')"))
    run_pytest("-s").stdout.fnmatch_lines(["*seen 3 2 -1*"])


def test_it_takes_a_list_of_inputs(project: Path, run_pytest: Run, write: Write) -> None:
    shows(write, "@pytest.mark.parallelrun(entry='score.py', input=['data/item_1.txt', 'data/item_3.txt'])")
    run_pytest("-s").stdout.fnmatch_lines(["*seen 2 2 -1*"])


def test_the_nearest_one_is_on_top(project: Path, run_pytest: Run, write: Write) -> None:
    write(
        "test_mine.py",
        f"""
        import pytest

        pytestmark = pytest.mark.parallelrun({BASE}, max_retries=4, error_threshold=8)

        @pytest.mark.parallelrun(max_retries=5)
        class TestIt:
            @pytest.mark.parallelrun(error_threshold=9)
            def test_it(self, parallelrun):
                settings = parallelrun().settings
                assert (settings.max_retries, settings.error_threshold) == (5, 9)
        """,
    )
    run_pytest().assert_outcomes(passed=1)


def test_it_goes_over_the_ini_file(project: Path, pytester: pytest.Pytester, run_pytest: Run, write: Write) -> None:
    pytester.makeini("[pytest]\nparallelrun_set =\n    max_retries=8\n    error_threshold=8")
    shows(write, f"@pytest.mark.parallelrun({BASE}, max_retries=4)")
    run_pytest("-s").stdout.fnmatch_lines(["*seen 3 4 8*"])


def test_the_command_line_goes_over_it(project: Path, run_pytest: Run, write: Write) -> None:
    shows(write, f"@pytest.mark.parallelrun({BASE}, max_retries=4, error_threshold=3)")
    result = run_pytest("-s", "--parallelrun-set=max_retries=8", "--parallelrun-input=data/item_1.*")
    result.stdout.fnmatch_lines(["*seen 1 8 3*"])


def test_the_call_goes_over_it(project: Path, run_pytest: Run, write: Write) -> None:
    write(
        "test_mine.py",
        f"""
        import pytest

        @pytest.mark.parallelrun({BASE}, max_retries=4)
        def test_it(parallelrun):
            assert parallelrun(max_retries=1).settings.max_retries == 1
        """,
    )
    run_pytest().assert_outcomes(passed=1)


def test_it_gives_arguments_models_and_the_code_root(project: Path, run_pytest: Run, write: Write) -> None:
    write("src/helpers.py", "WORD = 'helped'\n")
    write(
        "src/deep/score.py",
        """
        import os, sys
        from helpers import WORD

        def run(mini_batch):
            return [f"{WORD} {sys.argv[-1]} {os.listdir(os.environ['AZUREML_MODEL_DIR'])[0]}" for _ in mini_batch]
        """,
    )
    write(
        "test_mine.py",
        """
        import pytest

        @pytest.mark.parallelrun(
            entry="src/deep/score.py", code="src", input="data", models=["m=data"], program_arguments=["--x", "ho"]
        )
        def test_it(parallelrun):
            assert set(parallelrun().rows) == {"helped ho data"}
        """,
    )
    run_pytest().assert_outcomes(passed=1)


def test_it_is_registered(project: Path, run_pytest: Run, write: Write) -> None:
    shows(write, f"@pytest.mark.parallelrun({BASE})")
    run_pytest("--strict-markers").assert_outcomes(passed=1)
    run_pytest("--markers").stdout.fnmatch_lines(["@pytest.mark.parallelrun(entry=None, input=None*"])


@pytest.mark.parametrize("fixture", ["parallelrun", "parallelrun_entry"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("entry='scor.py'", "*@pytest.mark.parallelrun of test_mine.py*does not exist. Did you mean 'score.py'?"),
        ("max_retires=2", "*@pytest.mark.parallelrun of test_mine.py*max_retires*Did you mean 'max_retries'?"),
        ("max_retries='few'", "*max_retries='few'*@pytest.mark.parallelrun of test_mine.py*whole number*"),
        ("input=5", "*input=5: give a path, or a list of paths*"),
        ("'score.py'", "*@pytest.mark.parallelrun takes keywords only."),
        ("entry='score.py', models=['nothing']", "*model *does not exist*"),
    ],
)
def test_a_wrong_one_says_which_and_why_without_a_traceback(
    project: Path, run_pytest: Run, write: Write, fixture: str, arguments: str, message: str
) -> None:
    write(
        "test_mine.py",
        f"""
        import pytest

        @pytest.mark.parallelrun({arguments})
        def test_it({fixture}):
            {fixture}("score.py", "data") if {fixture!r} == "parallelrun" else None
        """,
    )
    result = run_pytest()
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines([message])
    if fixture == "parallelrun_entry":
        result.stdout.no_fnmatch_line("*_job_factory.py:*")
        result.stdout.no_fnmatch_line("*_entries.py:*")


def test_it_adds_settings_to_the_entry_of_the_options(project: Path, gate: Run, write: Write) -> None:
    shows(write, "@pytest.mark.parallelrun(max_retries=4)")
    gate("-s", "-k", "test_it").stdout.fnmatch_lines(["*seen 3 4 -1*"])

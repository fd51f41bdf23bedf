from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run


def test_it_sets_a_field_of_the_settings(project: Path, gate: Run) -> None:
    gate("--parallelrun-set", "mini_batch_size=2").stdout.fnmatch_lines(["*2 of 2 mini-batches and 3 of 3 items*"])


def test_it_may_be_given_several_times(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-plan", "--parallelrun-set=max_retries=5", "--parallelrun-set=error_threshold=4")
    result.stdout.fnmatch_lines(["*error_threshold = 4 *", "*max_retries = 5 *"])


def test_the_last_value_of_a_name_counts(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-plan", "--parallelrun-set=max_retries=5", "--parallelrun-set=max_retries=6")
    result.stdout.fnmatch_lines(["*max_retries = 6 *"])


def test_it_sets_a_rule(project: Path, gate: Run) -> None:
    gate("--parallelrun-plan", "--parallelrun-set=rules=observed").stdout.fnmatch_lines(["rules: observed"])


def test_a_list_is_separated_by_commas(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-plan", "--parallelrun-set=environment_variables=A=1,B=2")
    result.stdout.fnmatch_lines(["*environment_variables = A=1, B=2 *"])


def test_variables_of_the_env_option_join_those_that_were_set(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-plan", "--parallelrun-set=environment_variables=A=1", "--parallelrun-env=B=2")
    result.stdout.fnmatch_lines(["*environment_variables = A=1, B=2 *"])


def test_a_v1_name_is_understood(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-plan", "--parallelrun-set=run_max_try=4")
    result.stdout.fnmatch_lines(["*max_retries = 3  (--parallelrun-set)"])


def test_the_ini_twin_has_one_setting_a_line(project: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_set =\n    max_retries = 5\n    error_threshold=4")
    result = gate("--parallelrun-plan")
    result.stdout.fnmatch_lines(
        ["*error_threshold = 4  (parallelrun_set in tox.ini)", "*max_retries = 5  (parallelrun_set in tox.ini)"]
    )


def test_the_command_line_goes_over_the_ini_file_name_by_name(
    project: Path, pytester: pytest.Pytester, gate: Run
) -> None:
    pytester.makeini("[pytest]\nparallelrun_set =\n    max_retries=5\n    error_threshold=4")
    result = gate("--parallelrun-plan", "--parallelrun-set=max_retries=1")
    result.stdout.fnmatch_lines(["*error_threshold = 4  (parallelrun_set*", "*max_retries = 1  (--parallelrun-set)"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mini_batchsize=3", "--parallelrun-set mini_batchsize=3: unknown *Did you mean 'mini_batch_size'?"),
        ("max_retries=-1", "max_retries='-1' (from --parallelrun-set): must be a whole number of 0 or more"),
        ("max_retries=few", "max_retries='few' (from --parallelrun-set): must be a whole number of 0 or more"),
        ("rules=obsreved", "rules='obsreved' (from --parallelrun-set): must be 'documented' or 'observed'*"),
        ("max_retries", "--parallelrun-set 'max_retries': give NAME=VALUE."),
        ("entry_script=x.py", "--parallelrun-set entry_script=x.py: unknown *given to the job beside its settings*"),
    ],
)
def test_what_is_wrong_is_a_usage_error(project: Path, gate: Run, given: str, message: str) -> None:
    result = gate("--parallelrun-set", given)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert len(result.stderr.str().strip().splitlines()) <= 2


def test_a_wrong_one_of_the_ini_file_is_said_to_be_from_there(
    project: Path, pytester: pytest.Pytester, gate: Run
) -> None:
    pytester.makeini("[pytest]\nparallelrun_set = max_retires=2")
    result = gate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: parallelrun_set in tox.ini*max_retires*Did you mean 'max_retries'?"])


def test_a_size_in_bytes_for_files_is_a_usage_error_with_its_origin(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-set=mini_batch_size=1MB")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --parallelrun-set: mini_batch_size='1MB' is a size in bytes, but*files*"])


def test_it_is_checked_without_an_entry_too(project: Path, run_pytest: Run) -> None:
    assert run_pytest("--parallelrun-set=max_retries=few").ret == pytest.ExitCode.USAGE_ERROR

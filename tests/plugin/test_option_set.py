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

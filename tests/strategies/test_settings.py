from __future__ import annotations

import pytest
from hypothesis.errors import InvalidArgument

from pytest_parallelrun import JobSettings
from pytest_parallelrun.strategies import job_settings
from tests.strategies.drawing import drawn, smallest


def test_thresholds_are_off_or_zero_or_small_each_and_percentages_anything() -> None:
    found = drawn(job_settings(), 200)
    assert {chosen.error_threshold for chosen in found} == {-1, 0, 1, 2, 3, 4, 5}
    assert {chosen.mini_batch_error_threshold for chosen in found} == {-1, 0, 1, 2, 3, 4, 5}
    percents = {chosen.allowed_failed_percent for chosen in found}
    assert {0, 100} <= percents
    assert len(percents) > 20
    assert {chosen.max_retries for chosen in found} == {0, 1, 2, 3}
    assert {chosen.rules.name for chosen in found} == {"documented", "observed"}


def test_what_is_drawn_is_always_set_so_that_no_option_changes_it() -> None:
    for chosen in drawn(job_settings(), 20):
        assert chosen.explicit == {
            "rules",
            "error_threshold",
            "mini_batch_error_threshold",
            "allowed_failed_percent",
            "max_retries",
        }


def test_retries_rules_and_sizes_are_those_asked_for() -> None:
    found = drawn(job_settings(max_retries=1, rules=["observed"], mini_batch_size=(2, 4)), 100)
    assert {chosen.max_retries for chosen in found} == {0, 1}
    assert {chosen.rules.name for chosen in found} == {"observed"}
    assert {chosen.mini_batch_size for chosen in found} == {2, 3, 4}


def test_a_batch_deployment_has_one_threshold() -> None:
    found = drawn(job_settings(profile="batch"), 50)
    assert {chosen.profile for chosen in found} == {"batch"}
    assert {chosen.error_threshold for chosen in found} > {-1, 0}


def test_settings_shrink_to_nothing_that_ends_a_job() -> None:
    chosen = smallest(job_settings(), lambda chosen: True)
    assert chosen == JobSettings(
        rules="documented",
        error_threshold=-1,
        mini_batch_error_threshold=-1,
        allowed_failed_percent=100,
        max_retries=0,
    )


def test_settings_are_built_again_from_their_repr() -> None:
    for chosen in drawn(job_settings(mini_batch_size=(1, 5)), 100):
        assert eval(repr(chosen), {"JobSettings": JobSettings}) == chosen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "v3"}, r"profile: 'v3' is not one of its names. Allowed: batch, v1, v2"),
        ({"max_retries": -1}, r"max_retries=-1: must be a whole number of 0 or more"),
        ({"rules": ["observe"]}, r"rules: 'observe' is not one of its names. Did you mean 'observed'"),
        ({"mini_batch_size": 5}, r"mini_batch_size=5: give the smallest and the largest one, such as \(1, 10\)"),
        ({"mini_batch_size": (0, 5)}, r"smallest mini_batch_size=0: must be a whole number of 1 or more"),
        ({"mini_batch_size": (3, 2)}, r"largest mini_batch_size=2: must be a whole number of 3 or more"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        job_settings(**arguments)  # type: ignore[arg-type]

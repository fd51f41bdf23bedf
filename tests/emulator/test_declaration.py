"""Names of settings: fields, v1 names and rules; unknown ones; what their errors say."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.rules import CHOICES, Rules
from pytest_parallelrun.emulator.settings import JobSettings

V1_NAMES = {
    "allowed_failed_count": "mini_batch_error_threshold",
    "run_max_try": "max_retries",
    "run_invocation_timeout": "timeout",
    "node_count": "instance_count",
    "process_count_per_node": "max_concurrency_per_instance",
}


def spelled(**values: object) -> JobSettings:
    return JobSettings.from_mapping(values)


def message(values: Mapping[str, object], origin: str | None = None) -> str:
    with pytest.raises(SettingsError) as raised:
        JobSettings.from_mapping(values, origin)
    return str(raised.value)


def test_none_for_an_unknown_name_is_refused_too() -> None:
    assert "unknown setting 'tiemout'" in message({"tiemout": None})


def test_an_unknown_setting_is_refused_with_origin_and_nearest_name() -> None:
    assert message({"error_treshold": "5"}, "--parallelrun-set") == (
        "--parallelrun-set error_treshold=5: unknown setting 'error_treshold'. Did you mean 'error_threshold'?"
    )


def test_an_unknown_setting_in_code_is_refused_as_that_call() -> None:
    assert message({"error_treshold": "5"}).startswith(
        "JobSettings(error_treshold='5'): unknown setting 'error_treshold'."
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("retry_settings.timeout", "timeout"),
        ("resources.instance_count", "instance_count"),
        ("mini-batch-size", "mini_batch_size"),
        ("TIMEOUT", "timeout"),
        ("run_maxtry", "run_max_try"),
        ("short_returns", "short_return"),
    ],
)
def test_spellings_of_other_places_lead_to_the_name(name: str, nearest: str) -> None:
    assert f"Did you mean '{nearest}'?" in message({name: "1"})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("workers", "instance_count and max_concurrency_per_instance"),
        ("retries", "max_retries"),
        ("concurrency", "max_concurrency_per_instance"),
        ("batch_size", "mini_batch_size"),
        ("output_file_name", "append_row_file_name"),
        ("compute", "There is no compute here"),
        ("program_arguments", "beside its settings"),
    ],
)
def test_words_of_other_tools_get_advice_rather_than_a_guess(name: str, advice: str) -> None:
    assert advice in message({name: "1"})
    assert "Did you mean" not in message({name: "1"})


def test_a_name_near_to_nothing_is_refused_with_all_fields() -> None:
    error = message({"xyzzy": "1"})
    assert "Allowed: profile, rules, mini_batch_size" in error
    assert "run_max_try" not in error


@pytest.mark.parametrize("name", V1_NAMES)
def test_a_v1_name_sets_its_field(name: str) -> None:
    settings = spelled(**{name: "4"})
    # run_max_try counts all tries, max_retries the ones after the first.
    assert getattr(settings, V1_NAMES[name]) == (3 if name == "run_max_try" else 4)
    assert settings.explicit == {V1_NAMES[name]}


def test_one_try_is_no_retry_and_no_try_is_refused() -> None:
    assert JobSettings(run_max_try=1).max_retries == 0
    assert "run_max_try=0: must be a whole number of 1 or more" in message({"run_max_try": 0})


@pytest.mark.parametrize("name", V1_NAMES)
def test_a_v1_name_and_its_v2_name_together_are_refused(name: str) -> None:
    error = message({name: "3", V1_NAMES[name]: "3"}, "job.yml")
    assert error == f"job.yml: {name} and {V1_NAMES[name]} are one setting: give one of them"


def test_a_v1_name_beside_its_unset_v2_name_is_fine() -> None:
    assert JobSettings(run_max_try=3, max_retries=None).max_retries == 2


@pytest.mark.parametrize("rule", CHOICES)
def test_every_rule_can_be_set_alone(rule: str) -> None:
    observed = CHOICES[rule][1]
    settings = spelled(**{rule: observed})
    changed = [name for name in CHOICES if getattr(settings.rules, name) != getattr(Rules(), name)]
    assert changed == [rule]
    assert settings.explicit == {"rules"}


@pytest.mark.parametrize("rule", CHOICES)
def test_a_wrong_value_of_a_rule_is_refused_with_origin_and_choices(rule: str) -> None:
    error = message({rule: "zzz"}, "job.yml")
    assert error.startswith(f"{rule}='zzz' (from job.yml): must be ")
    assert all(repr(choice) in error for choice in CHOICES[rule])


def test_a_rule_overrides_that_field_of_a_preset_and_of_a_rules_object() -> None:
    by_name = JobSettings(short_return="mini_batch_failed", rules="observed")
    by_object = JobSettings(rules=Rules.observed(), short_return="mini_batch_failed")
    assert by_name.rules.short_return == "mini_batch_failed"
    assert by_name.rules.failed_unit == "partition"
    assert by_name == by_object


def test_a_rules_object_of_ones_own_is_kept() -> None:
    rules = Rules(failed_unit="partition", file_grouping="directory")
    assert JobSettings(rules=rules).rules == rules

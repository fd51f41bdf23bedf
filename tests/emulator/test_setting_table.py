"""The table of settings row by row; names: fields, v1 names and rules; unknown ones; what their errors say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.rules import CHOICES, Rules
from pytest_parallelrun.emulator.setting_table import Profile, Setting, describe_default, setting_table
from pytest_parallelrun.emulator.settings import JobSettings

DEFAULTS: dict[str, tuple[object, object, object]] = {
    "profile": ("v2", "v1", "batch"),
    "rules": (Rules.documented(), Rules.documented(), Rules.documented()),
    "mini_batch_size": (None, None, None),
    "partition_keys": ((), (), ()),
    "mini_batch_rows": (None, None, None),
    "input_type": (None, None, None),
    "error_threshold": (-1, -1, -1),
    "mini_batch_error_threshold": (-1, -1, -1),
    "allowed_failed_percent": (100, 100, 100),
    "max_retries": (2, 2, 3),
    "timeout": (60, 60, 30),
    "task_overhead_timeout": (600, 600, 600),
    "progress_update_timeout": (3 * 660, 3 * 660, 3 * 630),
    "first_task_creation_timeout": (600, 600, 600),
    "instance_count": (1, 1, 1),
    "max_concurrency_per_instance": (1, 1, 1),
    "output_action": ("summary_only", "append_row", "append_row"),
    "append_row_file_name": ("parallel_run_step.txt", "parallel_run_step.txt", "predictions.csv"),
    "append_row_dataframe_header": (False, False, False),
    "output_folder": (False, True, True),
    "logging_level": ("INFO", "INFO", "INFO"),
    "environment_variables": ({}, {}, {}),
    "thread": ("main", "main", "main"),
    "clock": ("virtual", "virtual", "virtual"),
    "memory_limit": (None, None, None),
    "encoding": ("utf-8", "utf-8", "utf-8"),
    "delimiter": (",", ",", ","),
    "azureml": ("standin", "standin", "standin"),
}

PROFILES: tuple[Profile, ...] = ("v2", "v1", "batch")

V1_NAMES = {
    "allowed_failed_count": "mini_batch_error_threshold",
    "run_max_try": "max_retries",
    "run_invocation_timeout": "timeout",
    "node_count": "instance_count",
    "process_count_per_node": "max_concurrency_per_instance",
}

ARGUMENTS = {
    "mini_batch_rows": "--amlbi_mini_batch_rows",
    "error_threshold": "--error_threshold",
    "mini_batch_error_threshold": "--allowed_failed_count",
    "allowed_failed_percent": "--allowed_failed_percent",
    "task_overhead_timeout": "--task_overhead_timeout",
    "progress_update_timeout": "--progress_update_timeout",
    "first_task_creation_timeout": "--first_task_creation_timeout",
    "append_row_dataframe_header": "--append_row_dataframe_header",
}

SPELLED: dict[str, tuple[str, object]] = {
    "profile": ("v1", "v1"),
    "rules": ("observed", Rules.observed()),
    "mini_batch_size": ("10", 10),
    "error_threshold": ("0", 0),
    "mini_batch_error_threshold": ("7", 7),
    "partition_keys": ("Store, Brand", ("Store", "Brand")),
    "mini_batch_rows": ("20", 20),
    "input_type": ("uri_folder", "uri_folder"),
    "allowed_failed_percent": ("2.5", 2.5),
    "max_retries": ("0", 0),
    "timeout": ("0.5", 0.5),
    "task_overhead_timeout": ("30", 30),
    "progress_update_timeout": ("100", 100),
    "first_task_creation_timeout": ("5", 5),
    "instance_count": ("300", 300),
    "max_concurrency_per_instance": ("4", 4),
    "output_action": ("Append_Row", "append_row"),
    "append_row_file_name": ("scores ü.csv", "scores ü.csv"),
    "append_row_dataframe_header": ("True", True),
    "output_folder": ("yes", True),
    "logging_level": ("debug", "DEBUG"),
    "environment_variables": ("A=1,B=2", {"A": "1", "B": "2"}),
    "thread": ("worker", "worker"),
    "clock": ("real", "real"),
    "memory_limit": ("2GB", 2 * 1024**3),
    "encoding": ("latin-1", "iso8859-1"),
    "delimiter": ("tab", "\t"),
    "azureml": ("installed", "installed"),
}
"""A value of every field as a command line spells it, and what it means."""

OUT_OF_RANGE: dict[str, tuple[str, str]] = {
    "profile": ("v3", "'v2' or 'v1' or 'batch'"),
    "rules": ("observd", "'documented' or 'observed', or a Rules object"),
    "mini_batch_size": ("100 kb", "Did you mean '100kb'?"),
    "partition_keys": ("a,a", "a list of distinct names"),
    "mini_batch_rows": ("0", "a whole number of 1 or more"),
    "input_type": ("uri_file", "'uri_folder'"),
    "error_threshold": ("-2", "a whole number of -1 or more"),
    "mini_batch_error_threshold": ("-2", "a whole number of -1 or more"),
    "allowed_failed_percent": ("101", "a percentage from 0 to 100"),
    "max_retries": ("-1", "a whole number of 0 or more"),
    "timeout": ("0", "a number of seconds above 0 and at most 259200"),
    "task_overhead_timeout": ("259201", "a number of seconds above 0 and at most 259200"),
    "progress_update_timeout": ("0", "a number of seconds above 0 and at most 259200"),
    "first_task_creation_timeout": ("0", "a number of seconds above 0 and at most 259200"),
    "instance_count": ("0", "a whole number of 1 or more"),
    "max_concurrency_per_instance": ("0", "a whole number of 1 or more"),
    "output_action": ("append", "'summary_only' or 'append_row'"),
    "append_row_file_name": ("a/b.csv", "a file name without a folder"),
    "append_row_dataframe_header": ("2", "true or false"),
    "output_folder": ("maybe", "true or false"),
    "logging_level": ("ERROR", "'INFO' or 'WARNING' or 'DEBUG'"),
    "environment_variables": ("A", "a mapping of variable names to texts"),
    "thread": ("both", "'main' or 'worker'"),
    "clock": ("fake", "'virtual' or 'real'"),
    "memory_limit": ("0", "a whole number of 1 or more (bytes)"),
    "encoding": ("utf-16", "as ASCII does"),
    "delimiter": ('"', "a single ASCII character"),
    "azureml": ("none", "'standin' or 'installed'"),
}


def spelled(**values: object) -> JobSettings:
    return JobSettings.from_mapping(values)


def message(values: Mapping[str, object], origin: str | None = None) -> str:
    with pytest.raises(SettingsError) as raised:
        JobSettings.from_mapping(values, origin)
    return str(raised.value)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", DEFAULTS)
def test_a_field_that_is_not_set_has_the_default_of_its_profile(name: str, profile: Profile) -> None:
    settings = JobSettings(profile=profile)
    assert getattr(settings, name) == DEFAULTS[name][PROFILES.index(profile)]


def test_the_table_lists_every_field_once_and_in_order() -> None:
    assert list(setting_table()) == list(DEFAULTS)


def test_the_table_cannot_be_changed() -> None:
    assert isinstance(setting_table(), MappingProxyType)


def test_a_field_of_the_class_is_its_row_of_the_table() -> None:
    assert isinstance(JobSettings.timeout, Setting)
    assert JobSettings.timeout is setting_table()["timeout"]


def test_type_checkers_know_every_keyword() -> None:
    of_v1 = JobSettings(
        allowed_failed_count=1, run_max_try=1, run_invocation_timeout=1, node_count=1, process_count_per_node=1
    )
    of_rules = JobSettings(
        short_return="items_only",
        appended_rows="every_attempt",
        attempt_limit="with_overhead",
        file_grouping="directory",
        failed_unit="partition",
        threshold_check="pending",
    )
    assert of_v1.explicit == set(V1_NAMES.values())
    assert of_rules.rules == Rules.observed()
    assert JobSettings(mini_batch_size="1KB", partition_keys=["a"], memory_limit="1GB", rules="observed").explicit
    for name in (*V1_NAMES, *CHOICES):
        assert not hasattr(of_v1, name)


def test_v1_names_stand_in_the_table() -> None:
    assert {row.v1_name: name for name, row in setting_table().items() if row.v1_name} == V1_NAMES


def test_program_arguments_stand_in_the_table() -> None:
    assert {name: row.argument for name, row in setting_table().items() if row.argument} == ARGUMENTS


def test_what_is_not_emulated_is_marked_in_the_table() -> None:
    not_emulated = {name for name, row in setting_table().items() if not row.emulated}
    assert not_emulated == {"progress_update_timeout", "memory_limit"}


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_row_has_a_line_of_help_and_a_source_for_every_profile(name: str) -> None:
    row = setting_table()[name]
    assert row.help
    assert "\n" not in row.help
    assert all(row.source_of(profile) for profile in PROFILES)


@pytest.mark.parametrize(
    ("name", "profile", "text"),
    [
        ("timeout", "v2", "default of profile v2 (YAML reference of the parallel job)"),
        ("timeout", "v1", "default of profile v1 (SDK reference of ParallelRunConfig)"),
        ("timeout", "batch", "default of profile batch (YAML reference of the batch deployment)"),
        ("error_threshold", "v2", "default of profile v2 (guide to parallel jobs in pipelines)"),
        ("clock", "v1", "default of profile v1 (addition of this emulator)"),
        (
            "mini_batch_size",
            "v2",
            "default of profile v2 (YAML reference of the parallel job; "
            "but SDK reference of parallel_run_function: 10 files or 1 MB)",
        ),
        ("mini_batch_size", "batch", "default of profile batch (YAML reference of the batch deployment)"),
        (
            "task_overhead_timeout",
            "v1",
            "default of profile v1 (guide to parallel jobs in pipelines; "
            "but YAML reference of the parallel job: 30, taken under attempt_limit=with_overhead)",
        ),
    ],
)
def test_a_default_is_described_with_profile_and_document_and_with_those_that_say_otherwise(
    name: str, profile: Profile, text: str
) -> None:
    assert describe_default(name, profile) == text


@pytest.mark.parametrize("name", SPELLED)
def test_every_field_can_be_set_by_the_text_of_a_command_line(name: str) -> None:
    text, value = SPELLED[name]
    settings = JobSettings.from_mapping({name: text}, "--parallelrun-set")
    assert getattr(settings, name) == value
    assert settings.explicit == {name}


def test_every_field_has_a_spelling_and_a_wrong_value_in_these_tests() -> None:
    assert set(SPELLED) == set(OUT_OF_RANGE) == set(setting_table())


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_a_wrong_value_of_every_field_is_refused_with_origin_and_range(name: str) -> None:
    text, allowed = OUT_OF_RANGE[name]
    error = message({name: text}, "--parallelrun-set")
    assert error.startswith(name)
    assert "(from --parallelrun-set): must be " in error
    assert allowed in error
    assert repr(text) in error or name == "environment_variables"


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
        ("program_arguments", "--parallelrun-args"),
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

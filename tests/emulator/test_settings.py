"""JobSettings: explicit values, conflicts, replacing and merging, value semantics."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.rules import CHOICES, Rules
from pytest_parallelrun.emulator.setting_table import Profile, setting_table
from pytest_parallelrun.emulator.settings import JobSettings
from tests.emulator.test_setting_table import SPELLED, V1_NAMES, message, spelled


def test_a_value_given_in_code_is_refused_without_an_origin() -> None:
    with pytest.raises(SettingsError, match=r"^error_threshold=-2: must be a whole number of -1 or more$"):
        JobSettings(error_threshold=-2)


def test_none_means_not_set() -> None:
    assert JobSettings(timeout=None, run_max_try=None, short_return=None, rules=None) == JobSettings()


def test_overhead_is_30_seconds_under_attempt_limit_with_overhead_unless_set() -> None:
    assert JobSettings(rules="observed").task_overhead_timeout == 30
    assert JobSettings(attempt_limit="with_overhead").task_overhead_timeout == 30
    assert JobSettings(rules="observed", task_overhead_timeout=600).task_overhead_timeout == 600


def test_progress_timeout_is_three_times_timeout_and_overhead_unless_set() -> None:
    assert JobSettings(timeout=10, task_overhead_timeout=20).progress_update_timeout == 90
    assert JobSettings(rules="observed").progress_update_timeout == 3 * (60 + 30)
    assert JobSettings(progress_update_timeout=5).progress_update_timeout == 5


@pytest.mark.parametrize(("profile", "files"), [("v2", 1), ("v1", 10), ("batch", 10)])
def test_a_mini_batch_has_the_files_of_its_profile_or_1_mb_of_a_table(profile: Profile, files: int) -> None:
    settings = JobSettings(profile=profile)
    assert settings.files_per_mini_batch == files
    assert settings.bytes_per_mini_batch == 1024 * 1024


def test_mini_batch_size_in_words_is_what_was_written_or_both_defaults() -> None:
    assert JobSettings(mini_batch_size="100KB").mini_batch_size_text == "100KB"
    assert JobSettings(mini_batch_size="007").mini_batch_size_text == "7"
    assert JobSettings().mini_batch_size_text == "1 file, or 1MB of a table"
    assert JobSettings(profile="v1").mini_batch_size_text == "10 files, or 1MB of a table"


def test_a_bare_mini_batch_size_is_a_count_of_files_or_bytes_of_a_table() -> None:
    settings = JobSettings(mini_batch_size="12")
    assert (settings.files_per_mini_batch, settings.bytes_per_mini_batch) == (12, 12)


def test_a_mini_batch_size_in_bytes_is_refused_for_files() -> None:
    settings = JobSettings(mini_batch_size="1KB")
    assert settings.mini_batch_size == settings.bytes_per_mini_batch == 1024
    with pytest.raises(SettingsError, match="'1KB' is a size in bytes, but this input is files"):
        settings.files_per_mini_batch  # noqa: B018


def test_partition_keys_and_mini_batch_size_exclude_each_other_under_v1_alone() -> None:
    both = {"profile": "v1", "partition_keys": ["Store"], "mini_batch_size": 10}
    assert "partition_keys and mini_batch_size exclude each other under profile v1" in message(both)
    assert JobSettings(profile="v1", partition_keys=["Store"]).partition_keys == ("Store",)
    settings = JobSettings(partition_keys=["Store"], mini_batch_size=10)
    assert settings.unused == "mini_batch_size=10 has no effect: partition_keys determines the mini-batches"


def test_a_job_that_appends_and_a_batch_deployment_have_an_output_folder() -> None:
    appending = {"output_folder": False, "output_action": "append_row"}
    assert "output_folder=False is not allowed with output_action=append_row, which always has" in message(appending)
    deployment = {"output_folder": False, "profile": "batch", "output_action": "summary_only"}
    assert "output_folder=False is not allowed with profile batch, which always has" in message(deployment)
    assert not JobSettings(output_folder=False).output_folder


def test_a_size_beside_the_rows_of_json_lines_is_not_looked_at() -> None:
    assert JobSettings(mini_batch_rows=2).unused is None
    settings = JobSettings(mini_batch_rows=2, mini_batch_size="1MB")
    assert settings.unused == "mini_batch_size=1MB has no effect: mini_batch_rows determines the mini-batches"


def test_a_batch_deployment_has_no_partition_keys() -> None:
    assert "partition_keys is not allowed under profile batch" in message(
        {"profile": "batch", "partition_keys": "Store"}
    )


def test_partition_keys_and_rows_of_json_lines_exclude_each_other() -> None:
    assert "mini_batch_rows is not allowed under profile batch" in message({"profile": "batch", "mini_batch_rows": "1"})
    both = {"partition_keys": "Store", "mini_batch_rows": "1"}
    assert "partition_keys and mini_batch_rows exclude each other" in message(both)


def test_no_partition_keys_are_fine() -> None:
    assert JobSettings(partition_keys=()).partition_keys == ()


@pytest.mark.parametrize("name", ["mini_batch_error_threshold", "allowed_failed_percent", "allowed_failed_count"])
def test_a_batch_deployment_has_no_threshold_for_mini_batches(name: str) -> None:
    error = message({"profile": "batch", name: 5})
    assert V1_NAMES.get(name, name) in error
    assert "a batch deployment has only error_threshold" in error


def test_a_batch_deployment_refuses_a_file_name_with_summary_only() -> None:
    values = {"profile": "batch", "output_action": "summary_only", "append_row_file_name": "x.csv"}
    assert "append_row_file_name='x.csv' needs output_action=append_row" in message(values)


def test_a_batch_deployment_takes_summary_only_alone_or_a_file_name_alone() -> None:
    assert JobSettings(profile="batch", output_action="summary_only").output_action == "summary_only"
    assert JobSettings(profile="batch", append_row_file_name="x.csv").append_row_file_name == "x.csv"


@pytest.mark.parametrize("sign", '~"#%&*:<>?{|}')
def test_v1_refuses_some_signs_in_the_file_name_that_v2_takes(sign: str) -> None:
    name = f"a{sign}b.txt"
    assert JobSettings(append_row_file_name=name).append_row_file_name == name
    assert f"holds {sign!r}: profile v1 refuses" in message({"profile": "v1", "append_row_file_name": name})


def test_more_than_256_workers_are_fine() -> None:
    settings = JobSettings(instance_count=100, max_concurrency_per_instance=100)
    assert settings.instance_count * settings.max_concurrency_per_instance == 10_000


def test_a_field_set_to_its_default_counts_as_set_on_purpose() -> None:
    assert JobSettings(error_threshold=-1).explicit == {"error_threshold"}
    assert JobSettings().explicit == frozenset()
    assert JobSettings(error_threshold=-1) != JobSettings()


def test_replace_keeps_what_was_set_and_leaves_the_rest_implicit() -> None:
    settings = JobSettings(timeout=5, mini_batch_size="1KB").replace(profile="batch")
    assert settings == JobSettings(timeout=5, mini_batch_size="1KB", profile="batch")
    assert settings.max_retries == 3


def test_replace_by_none_returns_a_field_to_its_default() -> None:
    settings = JobSettings(timeout=5, max_retries=7, short_return="items_only", rules="observed")
    assert settings.replace(timeout=None).timeout == 60
    assert settings.replace(run_max_try=None).explicit == {"timeout", "rules"}
    assert settings.replace(rules=None) == JobSettings(timeout=5, max_retries=7)


def test_replace_of_a_rule_by_none_returns_it_to_the_preset() -> None:
    settings = JobSettings(rules="observed", short_return="mini_batch_failed")
    assert settings.replace(short_return=None) == JobSettings(rules="observed")


def test_replace_of_rules_replaces_single_rules_too() -> None:
    settings = JobSettings(short_return="items_only").replace(rules="documented")
    assert settings.rules == Rules.documented()


def test_replace_of_a_single_rule_keeps_the_others() -> None:
    settings = JobSettings(rules="observed").replace(failed_unit="rows")
    assert settings.rules.failed_unit == "rows"
    assert settings.rules.short_return == "items_only"


def test_replace_checks_names_values_and_conflicts() -> None:
    settings = JobSettings(mini_batch_error_threshold=3)
    with pytest.raises(SettingsError, match="timeout=0"):
        settings.replace(timeout=0)
    with pytest.raises(SettingsError, match="a batch deployment has only error_threshold"):
        settings.replace(profile="batch")


def test_replace_takes_a_v1_name_for_a_field_that_was_set_by_its_v2_name() -> None:
    assert JobSettings(max_retries=5).replace(run_max_try=2) == JobSettings(max_retries=1)


def test_without_thresholds_no_failure_is_too_many() -> None:
    settings = JobSettings(error_threshold=2, timeout=5).without_thresholds()
    off = JobSettings(error_threshold=-1, mini_batch_error_threshold=-1, allowed_failed_percent=100, timeout=5)
    assert settings == off
    batch = JobSettings(profile="batch", error_threshold=2)
    assert batch.without_thresholds() == JobSettings(profile="batch", error_threshold=-1)


def test_over_prefers_what_is_explicit_above_and_keeps_what_is_explicit_below() -> None:
    upper = JobSettings(timeout=5, error_threshold=-1)
    lower = JobSettings(timeout=7, error_threshold=4, max_retries=0, profile="v1")
    assert upper.over(lower) == JobSettings(timeout=5, error_threshold=-1, max_retries=0, profile="v1")


def test_over_takes_environment_variables_one_by_one() -> None:
    above, below = (
        JobSettings(environment_variables={"A": "1"}),
        JobSettings(environment_variables={"A": "2", "B": "3"}),
    )
    assert dict(above.over(below).environment_variables) == {"A": "1", "B": "3"}
    assert dict(JobSettings().over(below).environment_variables) == {"A": "2", "B": "3"}
    assert "environment_variables" not in JobSettings().over(JobSettings()).explicit


def test_over_puts_a_single_rule_on_top_of_a_preset_below() -> None:
    settings = JobSettings(short_return="mini_batch_failed").over(JobSettings(rules="observed"))
    assert settings.rules == dataclasses.replace(Rules.observed(), short_return="mini_batch_failed")


def test_over_lets_a_preset_above_replace_single_rules_below() -> None:
    settings = JobSettings(rules="documented").over(JobSettings(short_return="items_only"))
    assert settings.rules == Rules.documented()


def test_settings_cannot_be_changed_in_place() -> None:
    settings = JobSettings()
    with pytest.raises(AttributeError, match=r"immutable: use replace\(timeout=\.\.\.\)"):
        setattr(settings, "timeout", 5)  # noqa: B010 (an assignment is a type error already)
    with pytest.raises(AttributeError, match=r"immutable: use replace\(timeout=None\)"):
        del settings.timeout
    assert settings.timeout == 60


def test_environment_variables_cannot_be_changed_in_place() -> None:
    variables = {"A": "1"}
    settings = JobSettings(environment_variables=variables)
    variables["A"] = "2"
    assert settings.environment_variables == {"A": "1"}
    assert not hasattr(settings.environment_variables, "__setitem__")


def test_settings_are_equal_and_hash_alike_however_their_values_were_spelled() -> None:
    written = JobSettings(timeout=5, mini_batch_size="1kb", environment_variables={"A": "1", "B": "2"}, max_retries=2)
    same = spelled(timeout="5.0", mini_batch_size="1KB", environment_variables="B=2,A=1", run_max_try="3")
    assert written == same
    assert hash(written) == hash(same)
    assert len({written, same, JobSettings()}) == 2


def test_settings_are_not_equal_to_other_things_or_other_sizes() -> None:
    assert JobSettings() != "JobSettings()"
    # As bytes of a table they are the same; for files one of them is refused.
    assert JobSettings(mini_batch_size="1kb") != JobSettings(mini_batch_size=1024)


def test_repr_shows_only_what_was_set() -> None:
    assert repr(JobSettings(error_threshold=5, mini_batch_size=10)) == (
        "JobSettings(mini_batch_size=10, error_threshold=5)"
    )
    assert repr(JobSettings()) == "JobSettings()"


def test_repr_shows_rules_as_preset_and_what_differs() -> None:
    assert repr(JobSettings(rules=Rules.observed())) == "JobSettings(rules='observed')"
    assert repr(JobSettings(short_return="items_only")) == "JobSettings(short_return='items_only')"
    assert repr(JobSettings(rules=Rules(short_return="items_only"))) == (
        "JobSettings(rules='documented', short_return='items_only')"
    )


VALUES = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.sampled_from([text, value])
            for name, (text, value) in SPELLED.items()
            if name not in ("profile", "rules", "partition_keys")
        },
        "mini_batch_size": st.sampled_from([1, "1", "1KB", "3mb"]),
        "rules": st.sampled_from(["documented", "observed", Rules.observed(), Rules(file_grouping="directory")]),
        **{rule: st.sampled_from(values) for rule, values in CHOICES.items()},
        "profile": st.sampled_from(["v1", "v2"]),
    },
)


@settings(deadline=None)
@given(VALUES)
def test_repr_pickle_and_copies_give_equal_settings(values: dict[str, object]) -> None:
    settings = JobSettings.from_mapping(values)
    for other in (
        eval(repr(settings)),
        pickle.loads(pickle.dumps(settings)),
        copy.copy(settings),
        copy.deepcopy(settings),
        settings.replace(),
        settings.over(settings),
    ):
        assert other == settings
        assert hash(other) == hash(settings)
        assert repr(other) == repr(settings)
        assert all(getattr(other, name) == getattr(settings, name) for name in setting_table())


@settings(deadline=None)
@given(VALUES, VALUES)
def test_over_takes_every_field_from_the_first_that_set_it(above: dict[str, object], below: dict[str, object]) -> None:
    upper, lower = JobSettings.from_mapping(above), JobSettings.from_mapping(below)
    both = upper.over(lower)
    assert both.explicit == upper.explicit | lower.explicit
    for name in both.explicit - {"rules"}:
        assert getattr(both, name) == getattr(upper if name in upper.explicit else lower, name)


def test_settings_load_without_pandas_numpy_and_hypothesis() -> None:
    code = (
        "import sys; import pytest_parallelrun.emulator.arguments; "
        "print(sorted({'pandas', 'numpy', 'hypothesis', 'pytest', 'typing_extensions'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_settings_that_exclude_each_other_in_two_sources_are_told_to_come_from_both() -> None:
    lower = JobSettings(append_row_file_name="a:b")
    with pytest.raises(SettingsError, match=r"settings of two sources together: append_row_file_name='a:b' holds ':'"):
        JobSettings(profile="v1").over(lower)


def test_another_preset_keeps_the_rules_that_were_set_one_by_one() -> None:
    settings = JobSettings(file_grouping="directory", mini_batch_size=3)
    assert (settings.preset, settings.preset_is_set) == ("documented", False)
    observed = settings.with_preset("observed")
    assert (observed.preset, observed.preset_is_set) == ("observed", True)
    assert observed.rules == Rules.observed()
    assert observed.with_preset("documented").rules == Rules(file_grouping="directory")
    assert observed.mini_batch_size == 3

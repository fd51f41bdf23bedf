"""Program arguments: what the runtime reads from them, what it refuses, what it adds."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pickle
import re
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.arguments import (
    OF_THE_SERVICE,
    ProgramArguments,
    apply_program_arguments,
    parse_program_arguments,
    runtime_arguments,
    split_option,
    with_outputs,
)
from pytest_parallelrun.emulator.errors import SettingsError
from pytest_parallelrun.emulator.setting_table import Profile
from pytest_parallelrun.emulator.settings import JobSettings

SETTINGS = {
    "--error_threshold": "error_threshold",
    "--allowed_failed_percent": "allowed_failed_percent",
    "--allowed_failed_count": "mini_batch_error_threshold",
    "--task_overhead_timeout": "task_overhead_timeout",
    "--progress_update_timeout": "progress_update_timeout",
    "--first_task_creation_timeout": "first_task_creation_timeout",
    "--append_row_dataframe_header": "append_row_dataframe_header",
}

NOT_EMULATED = {
    "--resource_monitor_interval": "0",
    "--copy_logs_to_parent": "True",
    "--metrics_name_prefix": "",
    "--push_metrics_to_parent": "False",
    "--profiling_module": "cProfile",
    "--nice": "5",
    "--run_id": "r1",
    "--cleanup_leaked_queues": "1",
    "--amlbi_other": "True",
}


def v2(arguments: str) -> ProgramArguments:
    return parse_program_arguments(arguments, profile="v2")


def refusal(arguments: str, profile: Profile = "v2") -> str:
    with pytest.raises(SettingsError) as raised:
        parse_program_arguments(arguments, profile=profile)
    return str(raised.value)


@pytest.mark.parametrize("separator", [" ", "="])
@pytest.mark.parametrize("argument", SETTINGS)
def test_an_argument_of_the_runtime_becomes_a_setting(argument: str, separator: str) -> None:
    assert v2(f"--mine x {argument}{separator}7 --other").settings == {SETTINGS[argument]: "7"}


def test_all_arguments_stay_in_argv() -> None:
    arguments = v2("--error_threshold 5 --name 'a b' positional")
    assert arguments.argv == ("--error_threshold", "5", "--name", "a b", "positional")


def test_no_arguments_say_nothing() -> None:
    assert v2("") == parse_program_arguments((), profile="batch") == ProgramArguments()


def test_the_last_of_several_wins() -> None:
    assert v2("--error_threshold 5 --error_threshold=6").settings == {"error_threshold": "6"}


def test_an_abbreviation_is_not_an_argument_of_the_runtime() -> None:
    assert v2("--error_thresh 5 --error 6").settings == {}


def test_a_negative_number_is_a_value() -> None:
    assert v2("--error_threshold -1").settings == {"error_threshold": "-1"}


@pytest.mark.parametrize("arguments", ["--error_threshold", "--error_threshold --other 5", "--nice"])
def test_a_missing_value_is_refused_with_how_to_write_it(arguments: str) -> None:
    error = refusal(arguments)
    assert arguments.split()[0] in error
    assert "expected one argument; write it as '--name VALUE'" in error


def test_a_list_is_taken_as_it_is() -> None:
    arguments = parse_program_arguments(["--path", Path("a b"), "--n", 5, "--x", 0.5, "it's"], profile="v2")
    assert arguments.argv == ("--path", "a b", "--n", "5", "--x", "0.5", "it's")


def test_a_part_that_is_no_text_is_refused() -> None:
    parts: list[object] = ["--x", None]
    with pytest.raises(SettingsError, match="program arguments: None is of type NoneType: give texts"):
        parse_program_arguments(parts, profile="v2")  # type: ignore[arg-type]


def test_an_open_quote_is_refused() -> None:
    error = refusal("--name 'a b")
    assert 'program arguments "--name \'a b": no closing quotation' in error


def test_program_arguments_can_be_compared_hashed_and_pickled() -> None:
    arguments = v2("--error_threshold 5 --nice 5")
    assert pickle.loads(pickle.dumps(arguments)) == arguments
    assert hash(v2("--error_threshold 5 --nice 5")) == hash(arguments)


@pytest.mark.parametrize("argument", NOT_EMULATED)
def test_an_argument_that_is_not_emulated_is_named(argument: str) -> None:
    arguments = v2(f"{argument}={NOT_EMULATED[argument]} --mine 1")
    assert arguments.not_emulated == (argument,)
    assert arguments.settings == {}


ROW_MODE = "--amlbi_pf_enabled true --amlbi_pf_run_mode component --amlbi_file_format jsonl --amlbi_mini_batch_rows 5"


def test_the_four_arguments_of_row_mode_set_the_rows_of_a_mini_batch() -> None:
    arguments = v2(ROW_MODE)
    assert arguments.settings == {"mini_batch_rows": "5"}
    assert arguments.not_emulated == ()
    assert apply_program_arguments(JobSettings(), arguments).mini_batch_rows == 5


@pytest.mark.parametrize(
    ("missing", "needed"),
    [
        ("--amlbi_pf_enabled true", "--amlbi_pf_enabled True"),
        ("--amlbi_pf_run_mode component", "--amlbi_pf_run_mode component"),
        ("--amlbi_file_format jsonl", "--amlbi_file_format jsonl"),
        ("--amlbi_mini_batch_rows 5", "--amlbi_mini_batch_rows"),
    ],
)
def test_row_mode_needs_all_four_arguments(missing: str, needed: str) -> None:
    error = refusal(ROW_MODE.replace(missing, ""))
    assert f"needs {needed} beside it. All of them: --amlbi_pf_enabled True" in error


def test_row_mode_knows_one_format_alone() -> None:
    error = refusal(ROW_MODE.replace("jsonl", "csv"))
    assert error.startswith("--amlbi_file_format=csv (from program arguments): only jsonl is known. All of them: ")


def test_partition_keys_are_json() -> None:
    settings = JobSettings(profile="v1", partition_keys=["Store", "Brand"])
    arguments = runtime_arguments(settings, scoring_module_name="score.py", output="/out", kind="files")
    assert arguments[arguments.index("--partition_keys") + 1] == '["Store", "Brand"]'
    assert arguments[arguments.index("--mini_batch_size") + 1] == "10"


def test_the_unit_of_a_size_that_is_not_looked_at_does_not_matter() -> None:
    settings = JobSettings(partition_keys=["Store"], mini_batch_size="1KB")
    arguments = runtime_arguments(settings, scoring_module_name="score.py", output="/out", kind="files")
    assert arguments[arguments.index("--mini_batch_size") + 1] == "1024"


@pytest.mark.parametrize(
    "argument", ["--append_row_safe_output True", "--resume_from a_run", "--amlbi_dataframe_mixed_types True"]
)
def test_undocumented_arguments_are_known_and_have_no_effect(argument: str) -> None:
    arguments = v2(argument)
    assert arguments.not_emulated == (argument.partition(" ")[0],)
    assert arguments.argv == tuple(argument.split())


@pytest.mark.parametrize("given", ["--amlbi_async_mode True", "--amlbi_async_mode=1", "--amlbi_async_mode"])
def test_async_mode_is_refused_with_the_reason(given: str) -> None:
    error = refusal(given)
    assert re.match(r"--amlbi_async_mode=(True|1) \(from program arguments\): not supported: ", error)
    assert "calls enqueue(), check_all_tasks_processed() and get_finished_batch_result() of the script" in error
    assert error.endswith("Leave it out, or give False")


def test_async_mode_may_be_off() -> None:
    assert v2("--amlbi_async_mode False").argv == ("--amlbi_async_mode", "False")


def test_async_mode_is_yes_or_no() -> None:
    assert "--amlbi_async_mode='maybe' (from program arguments)" in refusal("--amlbi_async_mode maybe")


def test_an_undocumented_argument_may_stand_without_a_value() -> None:
    assert v2("--amlbi_x --amlbi_y 1 --amlbi_x").not_emulated == ("--amlbi_x", "--amlbi_y")


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("--resource_monitor_interval", "-1", "a whole number of 0 or more"),
        ("--copy_logs_to_parent", "maybe", "true or false"),
        ("--push_metrics_to_parent", "2", "true or false"),
        ("--profiling_module", "yappi", "'' or 'cProfile' or 'profile'"),
        ("--rank_mini_batch_count", "x", "a whole number of 0 or more"),
    ],
)
def test_an_argument_without_effect_is_checked_all_the_same(argument: str, value: str, allowed: str) -> None:
    assert refusal(f"{argument}={value}") == (f"{argument}={value!r} (from program arguments): must be {allowed}")


def test_mini_batches_without_data_are_refused_and_none_of_them_is_fine() -> None:
    assert "--rank_mini_batch_count=3 (from program arguments): mini-batches without data are not sup" in refusal(
        "--rank_mini_batch_count 3"
    )
    assert v2("--rank_mini_batch_count 0").not_emulated == ()


@pytest.mark.parametrize("argument", ["--output", "--mini_batch_size", "--logging_level", "--input_asset_x"])
def test_v2_keeps_an_argument_that_the_runtime_passes_as_well_and_notes_it(argument: str) -> None:
    arguments = v2(f"{argument} 5 {argument}=6")
    assert arguments.argv == (argument, "5", f"{argument}=6")
    assert arguments.notes == (f"the runtime passes {argument} as well: the entry script sees both, its own last",)


def test_nothing_after_two_dashes_is_an_option() -> None:
    arguments = v2("--mine -- --output --error_threshold 5 --amlbi_x 1")
    assert (arguments.settings, arguments.notes, arguments.not_emulated) == ({}, (), ())


@pytest.mark.parametrize(
    "name",
    [
        "mini_batch_size",
        "error_threshold",
        "allowed_failed_count",
        "allowed_failed_percent",
        "output",
        "output_action",
        "logging_level",
        "process_count_per_node",
        "run_invocation_timeout",
        "run_max_try",
        "append_row_file_name",
        "partition_keys",
        "model_name",
    ],
)
@pytest.mark.parametrize("form", ["--{} 5", "--mine 1 --{}=5", "-{} 5"])
def test_v1_refuses_a_reserved_name_with_what_to_use_instead(name: str, form: str) -> None:
    error = refusal(form.format(name), profile="v1")
    assert f"-{name} is reserved under profile v1: " in error
    instead = f"set {name} of ParallelRunConfig"
    assert instead in error or name in ("output", "model_name")


def test_v1_refuses_a_first_argument_without_a_dash() -> None:
    assert "the first one, 'data', must start with '-' under profile v1" in refusal("data --x 1", profile="v1")


def test_v1_takes_other_arguments_of_the_runtime() -> None:
    arguments = parse_program_arguments("--task_overhead_timeout 40 data", profile="v1")
    assert arguments.settings == {"task_overhead_timeout": "40"}


def test_batch_refuses_every_argument() -> None:
    assert refusal("--mine 'a b'", profile="batch") == (
        "program arguments \"--mine 'a b'\": a batch deployment has none: use environment_variables"
    )


def test_an_argument_sets_a_field_and_counts_as_explicit() -> None:
    settings = apply_program_arguments(JobSettings(timeout=5), v2("--allowed_failed_count 3"))
    assert settings == JobSettings(timeout=5, mini_batch_error_threshold=3)


def test_a_field_that_was_set_wins_over_its_argument() -> None:
    settings = apply_program_arguments(JobSettings(error_threshold=-1), v2("--error_threshold 5"))
    assert settings.error_threshold == -1


def test_arguments_do_not_change_the_profile() -> None:
    arguments = parse_program_arguments("--task_overhead_timeout 4", profile="v1")
    settings = apply_program_arguments(JobSettings(profile="v1"), arguments)
    assert (settings.profile, settings.task_overhead_timeout) == ("v1", 4)


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ("--error_threshold 1.5", "error_threshold='1.5' (from program arguments): must be"),
        ("--allowed_failed_percent 101", "allowed_failed_percent='101' (from program arguments): must be"),
        ("--allowed_failed_count x", "mini_batch_error_threshold='x' (from program arguments): must be"),
    ],
)
def test_a_wrong_value_of_an_argument_is_refused_by_its_origin(arguments: str, start: str) -> None:
    with pytest.raises(SettingsError) as raised:
        apply_program_arguments(JobSettings(), v2(arguments))
    assert str(raised.value).startswith(start)


FLAGS = [*SETTINGS, "--nice", "--run_id", "--metrics_name_prefix", "--cleanup_leaked_queues"]
PARTS = st.one_of(
    st.sampled_from(FLAGS),
    st.builds("{}={}".format, st.sampled_from(FLAGS), st.sampled_from(["", "5", "-1", "a b", "--x", "="])),
    st.sampled_from(["--error", "--error_thresh=5", "-error_threshold", "-e", "--mine", "--mine=5", "-x=1"]),
    st.sampled_from(["5", "-1", "-1.5", "-.5", "", "-", "--", "a b", "-a b", "x=y", "é"]),
)


@settings(deadline=None)
@given(st.lists(PARTS, max_size=8))
def test_settings_agree_with_argparse_without_abbreviations(argv: list[str]) -> None:
    reference = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in FLAGS:
        reference.add_argument(flag)
    expected: argparse.Namespace | None = None
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        expected = reference.parse_known_args(argv)[0]
    if expected is None:
        with pytest.raises(SettingsError, match="expected one argument"):
            parse_program_arguments(argv, profile="v2")
        return
    arguments = parse_program_arguments(argv, profile="v2")
    given_values = {flag: getattr(expected, flag[2:]) for flag in FLAGS}
    assert arguments.settings == {
        name: given_values[flag] for flag, name in SETTINGS.items() if given_values[flag] is not None
    }
    assert set(arguments.not_emulated) == {
        flag for flag in FLAGS if flag not in SETTINGS and given_values[flag] is not None
    }
    assert arguments.argv == tuple(argv)


def test_the_runtime_passes_what_the_v1_client_sends_in_its_order() -> None:
    passed = runtime_arguments(
        JobSettings(profile="v1", allowed_failed_count=5, allowed_failed_percent=10, timeout=60.0),
        scoring_module_name="score.py",
        output="/mnt/my out",
        kind="files",
    )
    assert passed[0] == "--client_sdk_version"
    assert passed[2:] == (
        *("--scoring_module_name", "score.py", "--mini_batch_size", "10", "--error_threshold", "-1"),
        *("--output_action", "append_row", "--logging_level", "INFO"),
        *("--run_invocation_timeout", "60", "--run_max_try", "3", "--create_snapshot_at_runtime", "True"),
        *("--allowed_failed_count", "5", "--allowed_failed_percent", "10"),
        *("--append_row_file_name", "parallel_run_step.txt", "--output", "/mnt/my out"),
        *("--process_count_per_node", "1"),
        *OF_THE_SERVICE,
    )


def test_the_runtime_passes_an_argument_whose_name_is_an_id_and_whose_value_is_json() -> None:
    passed = runtime_arguments(JobSettings(), scoring_module_name="score.py", output="/out", kind="files")
    parser = argparse.ArgumentParser()
    parser.add_argument("--logging_level")
    known, unknown = parser.parse_known_args(passed)
    assert known.logging_level == "INFO"
    assert unknown[-2].startswith("--")
    uuid.UUID(unknown[-2][2:])
    assert isinstance(json.loads(unknown[-1]), dict)


def test_thresholds_for_mini_batches_are_passed_only_when_set() -> None:
    passed = runtime_arguments(JobSettings(), scoring_module_name="score.py", output="/out", kind="files")
    assert "--allowed_failed_count" not in passed
    assert "--allowed_failed_percent" not in passed


def test_output_is_passed_only_with_append_row() -> None:
    without = runtime_arguments(JobSettings(), scoring_module_name="s.py", output="/out", kind="files")
    assert not {"--output", "--append_row_file_name"} & set(without)
    appending = JobSettings(output_action="append_row")
    passed = runtime_arguments(appending, scoring_module_name="s.py", output="/out", kind="files")
    assert passed[passed.index("--output") + 1] == "/out"
    assert "--append_row_file_name" in passed


def test_recorded_run_1kb_reaches_the_driver_as_1024() -> None:
    passed = runtime_arguments(
        JobSettings(mini_batch_size="1KB"), scoring_module_name="score.py", output="/out", kind="tabular"
    )
    assert passed[passed.index("--mini_batch_size") + 1] == "1024"


def test_a_size_in_bytes_is_refused_for_files() -> None:
    with pytest.raises(SettingsError, match="is a size in bytes, but this input is files"):
        runtime_arguments(
            JobSettings(mini_batch_size="1KB"), scoring_module_name="score.py", output="/out", kind="files"
        )


def test_a_fraction_of_a_second_is_passed_as_it_is() -> None:
    passed = runtime_arguments(JobSettings(timeout=0.5), scoring_module_name="score.py", output="/out", kind="files")
    assert passed[passed.index("--run_invocation_timeout") + 1] == "0.5"


def test_spaces_in_the_braces_of_an_output_split_nothing() -> None:
    assert parse_program_arguments("--to ${{ outputs.rows }}/a", profile="v2").argv == ("--to", "${{outputs.rows}}/a")


def test_an_output_becomes_a_folder_of_its_name(tmp_path: Path) -> None:
    argv = (
        "--to",
        "${{outputs.rows}}/a.csv",
        "${{ outputs.rows }}",
        "--in=${{outputs.x-1}}",
        "${{inputs.rows}}",
        "rows",
    )
    filled, folders = with_outputs(argv, tmp_path)
    rows, other = tmp_path / "rows", tmp_path / "x-1"
    assert filled == ("--to", f"{rows}/a.csv", str(rows), f"--in={other}", "${{inputs.rows}}", "rows")
    assert folders == (rows, other)


@pytest.mark.parametrize("text", ["${{outputs.}}", "${{outputs...}}", "${{outputs.a/b}}", "$outputs.a"])
def test_what_is_no_name_of_an_output_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    assert with_outputs((text,), tmp_path) == ((text,), ())


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("--out=a=b", ("--out=", "a=b")),
        ("--out=", ("--out=", "")),
        ("--out", ("", "--out")),
        ("folder", ("", "folder")),
        (str(Path.cwd() / "a=b"), ("", str(Path.cwd() / "a=b"))),
    ],
)
def test_an_option_is_split_from_its_value_and_a_path_is_kept(argument: str, parts: tuple[str, str]) -> None:
    assert split_option(argument) == parts

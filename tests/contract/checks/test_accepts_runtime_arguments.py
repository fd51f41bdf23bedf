from __future__ import annotations

import pytest

from tests.contract.conftest import Judge
from tests.contract.first_checks import by_the_first_checks


@pytest.fixture
def judge(judge: Judge) -> Judge:
    return by_the_first_checks(judge)


PARSER = """
import argparse

{place}
    parser = argparse.ArgumentParser({options})
    parser.add_argument("{name}", default="mine"{more})
    global args
    args{rest} = parser.{method}()

{call}

def run(mini_batch):
    return list(mini_batch)
"""


def script(
    *, name: str = "--threshold", options: str = "", method: str = "parse_known_args", more: str = "", at_import: bool
) -> str:
    return PARSER.format(
        place="def read():" if at_import else "def init():",
        call="read()" if at_import else "",
        options=options,
        name=name,
        more=more,
        method=method,
        rest=", _" if method == "parse_known_args" else "",
    )


APPEND = "--parallelrun-set=output_action=append_row"


@pytest.mark.parametrize("at_import", [True, False], ids=["at import", "in init"])
def test_parse_args_fails(judge: Judge, at_import: bool) -> None:
    found = judge(script(method="parse_args", at_import=at_import), input=None)
    assert found.failed - {"init_runs_in_every_worker"} == {"accepts_runtime_arguments"}
    message = found.messages["accepts_runtime_arguments"]
    assert "SystemExit: 2 (argparse: unrecognized arguments: --client_sdk_version" in message
    assert "args, _ = parser.parse_known_args()" in message


@pytest.mark.parametrize("at_import", [True, False], ids=["at import", "in init"])
@pytest.mark.parametrize(
    ("name", "flag", "got"),
    [
        ("--output_folder", "--output", "output"),
        ("--mini_batch_size_limit", "--mini_batch_size", "1"),
        ("--error_threshold_of_mine", "--error_threshold", "-1"),
    ],
)
def test_an_option_that_begins_like_one_of_the_runtime_fails(
    judge: Judge, at_import: bool, name: str, flag: str, got: str
) -> None:
    found = judge(script(name=name, at_import=at_import), APPEND)
    assert found.failed == {"accepts_runtime_arguments"}
    message = found.messages["accepts_runtime_arguments"]
    assert f"argparse reads the runtime's {flag} as an abbreviation of your {name}" in message
    assert got in message
    assert "'mine'" in message
    assert "allow_abbrev=False" in message


def test_an_abbreviation_that_breaks_the_type_fails(judge: Judge) -> None:
    text = script(name="--output_action_count", more=", type=int", at_import=True)
    found = judge(text.replace('"mine"', "0"), input=None)
    assert found.failed == {"accepts_runtime_arguments"}
    assert (
        "(argparse: argument --output_action_count: invalid int value: 'summary_only'"
        in found.messages["accepts_runtime_arguments"]
    )


def test_reading_arguments_by_their_position_fails(judge: Judge) -> None:
    found = judge(
        "import sys\nSIZE = int(sys.argv[1])\ndef run(mini_batch): return list(mini_batch)\n",
        "--parallelrun-args=5",
        input=None,
    )
    assert "accepts_runtime_arguments" in found.failed
    assert "ValueError" in found.messages["accepts_runtime_arguments"]


@pytest.mark.parametrize(
    "sound",
    [
        script(at_import=True),
        script(at_import=False),
        script(name="--output_folder", options="allow_abbrev=False", at_import=True),
        script(name="--output", at_import=True),
        script(name="--mini_batch_size", more=", type=int", at_import=False),
        "import sys\nWORD = sys.argv[-1]\ndef run(mini_batch): return list(mini_batch)\n",
        "def run(mini_batch): return list(mini_batch)\n",
    ],
    ids=["import", "init", "no abbreviations", "output on purpose", "size on purpose", "last argument", "none"],
)
def test_scripts_that_leave_what_they_do_not_know_pass(judge: Judge, sound: str) -> None:
    assert judge(sound, APPEND).failed == set()


@pytest.mark.parametrize("kind", ["str", "pathlib.Path"])
def test_the_folder_of_a_job_is_no_value_of_the_runtime(judge: Judge, kind: str) -> None:
    text = "import pathlib\n" + script(name="--output_dir", more=f", type={kind}", at_import=True)
    assert judge(text, "--parallelrun-args=--output_dir ${{outputs.scored}}", APPEND).failed == set()


def test_a_default_that_changes_is_no_value_of_the_runtime(judge: Judge) -> None:
    text = script(name="--partition_keys_file", at_import=True).replace('"mine"', "__import__('uuid').uuid4().hex")
    assert judge(text).failed == set()


def test_arguments_of_the_user_that_are_given_are_read(judge: Judge) -> None:
    needs = script(more=", required=True", at_import=True)
    assert judge(needs, "--parallelrun-args=--threshold 3").failed == set()


def test_a_script_that_misses_an_argument_of_the_user_cannot_be_decided(judge: Judge) -> None:
    found = judge(script(more=", required=True", at_import=False), input=None)
    assert found.outcomes["accepts_runtime_arguments"] == "skipped"
    assert "no worker could start; see test_init_runs_in_every_worker" in found.messages["accepts_runtime_arguments"]


def test_argparse_is_left_as_it_was(judge: Judge) -> None:
    import argparse

    before = argparse.ArgumentParser.parse_known_args, argparse.ArgumentParser.error
    judge(script(method="parse_args", at_import=True), input=None)
    assert (argparse.ArgumentParser.parse_known_args, argparse.ArgumentParser.error) == before


POSITIONAL = script(name="model", options="allow_abbrev=False", at_import=False).replace(', default="mine"', "")


def test_a_positional_argument_that_gets_a_value_of_the_runtime_fails(judge: Judge) -> None:
    found = judge(POSITIONAL, "--parallelrun-args=model.pkl")
    assert found.failed == {"accepts_runtime_arguments"}
    message = found.messages["accepts_runtime_arguments"]
    assert message.startswith("Your positional argument 'model' is filled by one of the runtime's own arguments: '")
    assert "instead of 'model.pkl'" in message
    assert 'parser.add_argument("--model")' in message


def test_a_positional_argument_that_was_not_given_and_gets_one_of_the_runtime_fails(judge: Judge) -> None:
    found = judge(POSITIONAL)
    assert found.failed == {"accepts_runtime_arguments"}
    assert "you passed none" in found.messages["accepts_runtime_arguments"]

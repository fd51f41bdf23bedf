from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Run, Write

FAILS_ON_2 = """
    def run(mini_batch):
        for path in mini_batch:
            if "item_2" in path:
                raise ValueError("cannot read it")
        return list(mini_batch)
"""
ONE = ("-k", "silent")


@pytest.fixture
def flawed(project: Path, write: Write) -> Path:
    write("score.py", FAILS_ON_2)
    return project


def replay_line(result: pytest.RunResult) -> list[str]:
    (line,) = [line for line in result.outlines if line.startswith("replay: ")]
    return shlex.split(line.removeprefix("replay: "))


def test_the_mini_batch_of_a_finding_is_kept_in_the_folder(flawed: Path, gate: Run) -> None:
    result = gate("--parallelrun-save=my cases", *ONE)
    folder = flawed / "my cases" / "score" / "no_silent_losses"
    content = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    assert (content["entry"], content["check"], content["kind"]) == ("score.py", "no_silent_losses", "files")
    assert content["finding"].startswith("The job would be reported as Completed although 1 of 3 items failed")
    assert [path.name for path in (folder / "items").iterdir()] == ["item_2.txt"]
    assert replay_line(result)[-1] == "--parallelrun-replay=my cases/score/no_silent_losses"


def test_without_it_the_cache_of_pytest_keeps_it(flawed: Path, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--parallelrun-entry=score.py", "--parallelrun-input=data", *ONE)
    assert replay_line(result)[-1] == "--parallelrun-replay=.pytest_cache/d/parallelrun/score/no_silent_losses"
    assert (flawed / ".pytest_cache/d/parallelrun/score/no_silent_losses/case.json").is_file()


def test_without_the_cache_it_says_that_nothing_is_kept_and_what_would(flawed: Path, gate: Run) -> None:
    gate(*ONE).stdout.fnmatch_lines(
        [
            "replay: not available, because the mini-batches could not be saved: pytest's cache is switched off; "
            "--parallelrun-save=DIR keeps them",
        ]
    )


def test_a_finding_without_mini_batches_has_nothing_to_replay(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "import nowhere_to_be_found\n")
    result = gate("--parallelrun-save=cases", "-k", "entry_imports")
    result.assert_outcomes(failed=1, deselected=result.parseoutcomes()["deselected"])
    result.stdout.no_fnmatch_line("replay: *")
    assert not (project / "cases").exists()


def test_the_command_repeats_the_options_of_the_command_line_and_masks_secrets(
    flawed: Path, gate: Run, write: Write
) -> None:
    write("model.txt", "x")
    result = gate(
        "--parallelrun-save=cases",
        "--parallelrun-args=--word 'a b' --api-key sesame99",
        "--parallelrun-env=API_TOKEN=hunter2",
        "--parallelrun-env=COLOUR=light blue",
        "--parallelrun-model=mine=model.txt",
        "--parallelrun-set=max_retries=0",
        "--parallelrun-code=.",
        *ONE,
    )
    assert replay_line(result) == [
        "pytest",
        "--parallelrun-entry=score.py",
        "--parallelrun-code=.",
        "--parallelrun-args=--word 'a b' --api-key ***",
        "--parallelrun-env=API_TOKEN=***",
        "--parallelrun-env=COLOUR=light blue",
        "--parallelrun-model=mine=model.txt",
        "--parallelrun-set=max_retries=0",
        "--parallelrun-replay=cases/score/no_silent_losses",
    ]
    kept = (flawed / "cases/score/no_silent_losses/case.json").read_text()
    for secret in ("sesame99", "hunter2"):
        assert secret not in kept
        assert secret not in result.stdout.str()


def test_arguments_that_are_no_shell_words_are_masked_all_the_same(flawed: Path, gate: Run, write: Write) -> None:
    from pytest_parallelrun._saved_cases import _shown

    assert _shown("args", "--word 'a --api-key sesame99") == "--word 'a --api-key ***"


def test_the_test_that_is_printed_runs_as_it_is(flawed: Path, gate: Run, run_pytest: Run, write: Write) -> None:
    write("src/score.py", FAILS_ON_2)
    write("src/lib/model.txt", "x")
    result = run_pytest(
        "--parallelrun-entry=src/score.py",
        "--parallelrun-input=data",
        "--parallelrun-code=.",
        "--parallelrun-args=--word ho",
        "--parallelrun-model=src/lib",
        "--parallelrun-save=cases",
        *ONE,
    )
    start = next(number for number, line in enumerate(result.outlines) if line == "or as a regression test:")
    lines = result.outlines[start + 1 : start + 6]
    assert lines[3] == (
        "        result = case.run('src/score.py', program_arguments='--word ho', code='.', models=['lib=src/lib'])"
    )
    write("test_mine.py", "\n".join(lines))
    failing = run_pytest("test_mine.py")
    failing.assert_outcomes(failed=1)
    failing.stdout.fnmatch_lines(["E *assert not 'mini-batch 1 (item_2.txt): exception: ValueError: cannot read it'"])
    write("src/score.py", "def run(mini_batch): return list(mini_batch)\n")
    run_pytest("test_mine.py").assert_outcomes(passed=1)


@pytest.mark.skipif(os.name == "nt", reason="the command is one of a POSIX shell")
@pytest.mark.parametrize(
    ("save", "parent"),
    [((), "cases"), ((), "tests/cases"), (("--parallelrun-save={outside}",), "cases")],
    ids=["cache", "cache, tests", "outside"],
)
def test_a_case_that_is_no_part_of_the_repository_is_copied_for_the_test(
    flawed: Path, pytester: pytest.Pytester, tmp_path: Path, write: Write, save: tuple[str, ...], parent: str
) -> None:
    (flawed / parent).parent.mkdir(exist_ok=True)
    write("my scripts/score.py", FAILS_ON_2)
    result = pytester.runpytest_inprocess(
        "--parallelrun-entry=my scripts/score.py",
        "--parallelrun-input=data",
        *(option.format(outside=tmp_path / "kept cases") for option in save),
        *ONE,
    )
    start = next(number for number, line in enumerate(result.outlines) if line.startswith("or copy the case: "))
    command = result.outlines[start].partition(": ")[2]
    assert subprocess.run(command, shell=True, cwd=flawed, check=False).returncode == 0
    folder = f"{parent}/my scripts-score/no_silent_losses"
    assert (flawed / folder / "case.json").is_file()
    assert f"        case = load_case({folder!r})" in result.outlines[start + 2 : start + 7]


def test_each_of_two_entries_has_a_folder(flawed: Path, gate: Run, write: Write) -> None:
    write("other/score.py", FAILS_ON_2)
    gate("--parallelrun-entry=other/score.py", "--parallelrun-save=cases", *ONE)
    assert sorted(path.name for path in (flawed / "cases").iterdir()) == ["other-score", "score"]


def test_a_folder_of_the_users_is_not_written_over(flawed: Path, gate: Run, write: Write) -> None:
    write("cases/score/no_silent_losses/thesis.txt", "years")
    gate("--parallelrun-save=cases", *ONE).stdout.fnmatch_lines(
        ["replay: not available, because the mini-batches could not be saved: *no saved case"]
    )
    assert (flawed / "cases/score/no_silent_losses/thesis.txt").read_text() == "years"


def test_advice_that_has_a_case_is_told_with_the_command_alone(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if 'item_2' not in p]\n")
    result = gate("--parallelrun-save=cases", "--parallelrun-set=error_threshold=1", "-k", "one_result")
    result.stdout.fnmatch_lines(["    replay: pytest *--parallelrun-replay=cases/score/returns_one_result_per_item"])
    result.stdout.no_fnmatch_line("*load_case*")


def test_the_ini_twin_is_used(flawed: Path, gate: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nparallelrun_save = cases")
    gate(*ONE)
    assert (flawed / "cases/score/no_silent_losses/case.json").is_file()


def test_the_seed_of_the_run_is_kept(flawed: Path, gate: Run) -> None:
    gate("--parallelrun-save=cases", "--hypothesis-seed=77", *ONE)
    assert json.loads((flawed / "cases/score/no_silent_losses/case.json").read_text())["seed"] == 77


def test_a_worker_of_xdist_keeps_it_too(flawed: Path, gate_in_one: Run) -> None:
    gate_in_one("--parallelrun-save=cases", *ONE)
    assert (flawed / "cases/score/no_silent_losses/case.json").is_file()

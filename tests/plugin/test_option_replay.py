from __future__ import annotations

import json
import shutil
import sys
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
MENDED = "def run(mini_batch):\n    return list(mini_batch)\n"
ENTRY = "--parallelrun-entry=score.py"


@pytest.fixture
def case(project: Path, gate: Run, write: Write) -> Path:
    """A saved case of a script that is still flawed; its folder has a space in its name."""
    write("score.py", FAILS_ON_2)
    gate("--parallelrun-save=my cases", "-k", "silent")
    return project / "my cases" / "score" / "no_silent_losses"


def test_it_runs_just_that_and_fails_as_long_as_the_flaw_is_there(case: Path, run_pytest: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(): pass\n")
    result = run_pytest(ENTRY, f"--parallelrun-replay={case}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"parallelrun: score.py, replay: {case}",
            "mini-batch 1 (item_2.txt): exception: ValueError: cannot read it",
            "The case was found by no_silent_losses: The job would be reported as Completed although*",
            '*score.py", line 4, in run',
            "counts: score.py: *",
        ]
    )


def test_it_passes_when_the_script_is_mended_and_says_so(case: Path, run_pytest: Run, write: Write) -> None:
    write("score.py", MENDED)
    result = run_pytest(ENTRY, f"--parallelrun-replay={case}", "--parallelrun-report=gate.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  note (replay): fixed: the case that no_silent_losses found passes now"])
    (entry,) = json.loads(Path("gate.json").read_text())["entries"]
    assert entry["verdict"] == "passed"
    assert [check["name"] for check in entry["checks"]] == ["replay"]
    assert entry["init_calls"] == 1


def test_it_needs_no_input_and_looks_at_none(case: Path, run_pytest: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nparallelrun_input = gone")
    shutil.rmtree("data")
    run_pytest(ENTRY, f"--parallelrun-replay={case}").assert_outcomes(failed=1)


def test_it_works_from_another_folder_with_a_case_that_was_moved(
    case: Path, run_pytest: Run, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.move(case, tmp_path / "größere case")
    monkeypatch.chdir(tmp_path)
    script = f"--parallelrun-entry={project / 'score.py'}"
    run_pytest(script, "--parallelrun-replay=größere case").assert_outcomes(failed=1)


def test_another_script_than_that_of_the_case_is_run_and_noted(case: Path, run_pytest: Run, write: Write) -> None:
    write("other.py", MENDED)
    result = run_pytest("--parallelrun-entry=other.py", f"--parallelrun-replay={case}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  note (replay): the case was saved for score.py"])


def test_of_several_entries_that_of_the_case_is_run(
    case: Path, run_pytest: Run, write: Write, pytester: pytest.Pytester
) -> None:
    write("other.py", MENDED)
    pytester.makeini("[pytest]\nparallelrun_entry =\n    other.py\n    score.py")
    result = run_pytest(f"--parallelrun-replay={case}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["parallelrun: score.py, replay: *"])


def test_the_options_of_the_run_are_in_force(case: Path, run_pytest: Run, write: Write) -> None:
    write(
        "score.py",
        """
        import os, sys

        def run(mini_batch):
            raise ValueError([os.environ["COLOUR"], sys.argv[-2:], os.listdir(os.environ["AZUREML_MODEL_DIR"])])
        """,
    )
    write("weights/model.txt", "")
    result = run_pytest(
        ENTRY,
        f"--parallelrun-replay={case}",
        "--parallelrun-env=COLOUR=blue",
        "--parallelrun-args=--word ho",
        "--parallelrun-model=weights",
    )
    result.stdout.fnmatch_lines(
        ["mini-batch 1 (item_2.txt): exception: ValueError: *'blue', *'--word', 'ho'*'weights'*"]
    )


def test_a_table_is_replayed(project: Path, run_pytest: Run, write: Write) -> None:
    write("table.csv", "x\n1\n2\n")
    write("score.py", "def run(mini_batch):\n    raise ValueError(mini_batch.x.tolist())\n")
    run_pytest(ENTRY, "--parallelrun-input=table.csv", "--parallelrun-save=cases", "-k", "silent")
    result = run_pytest(ENTRY, "--parallelrun-replay=cases/score/no_silent_losses")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["mini-batch 0 (row 1, row 2): exception: ValueError: [[]1, 2]"])


def test_a_worker_that_does_not_come_up_is_told_with_its_traceback(case: Path, run_pytest: Run, write: Write) -> None:
    write("score.py", "raise OSError('no disk')\n")
    result = run_pytest(ENTRY, f"--parallelrun-replay={case}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["no worker could start: *no disk", '*score.py", line 1, in <module>'])


def test_under_a_debugger_the_script_is_seen_where_it_failed(case: Path, pytester: pytest.Pytester) -> None:
    command = (sys.executable, "-m", "pytest", ENTRY, f"--parallelrun-replay={case}", "--pdb")
    result = pytester.run(*command, stdin=b"p len(path), path[-10:]\nq\n")
    result.stdout.fnmatch_lines(["E *ValueError: cannot read it", "*score.py(4)run()", "*'item_2.txt')"])
    result.stdout.no_fnmatch_line("*inprocess.py*")


def test_under_a_debugger_no_timeout_runs(case: Path, run_pytest: Run, write: Write) -> None:
    write("score.py", "import time\ndef run(mini_batch):\n    time.sleep(7000)\n    return list(mini_batch)\n")
    result = run_pytest(ENTRY, f"--parallelrun-replay={case}", "--parallelrun-set=timeout=2")
    result.stdout.fnmatch_lines(["mini-batch 1 (item_2.txt): timeout: *"])
    run_pytest(ENTRY, f"--parallelrun-replay={case}", "--parallelrun-set=timeout=2", "--pdb").assert_outcomes(passed=1)


def test_it_runs_in_a_worker_of_xdist(case: Path, gate_in_one: Run) -> None:
    result = gate_in_one(f"--parallelrun-replay={case}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["mini-batch 1 (item_2.txt): exception: ValueError: cannot read it"])


def assert_usage_error(result: pytest.RunResult, line: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])


def test_a_folder_that_is_none_is_refused(project: Path, run_pytest: Run) -> None:
    assert_usage_error(
        run_pytest(ENTRY, "--parallelrun-replay=nowhere"),
        "ERROR: --parallelrun-replay=nowhere: '*nowhere' is no folder*",
    )


def test_a_case_of_another_version_is_refused(case: Path, run_pytest: Run) -> None:
    (case / "case.json").write_text('{"version": 99}')
    assert_usage_error(
        run_pytest(ENTRY, f"--parallelrun-replay={case}"),
        "ERROR: --parallelrun-replay=*has version 99, and *version 1.",
    )


def test_without_an_entry_the_one_that_it_was_saved_for_is_named(case: Path, run_pytest: Run) -> None:
    assert_usage_error(
        run_pytest(f"--parallelrun-replay={case}"),
        "ERROR: *no entry is given. It was saved for score.py: add --parallelrun-entry=PATH.",
    )


def test_several_entries_that_are_others_are_refused(case: Path, run_pytest: Run, write: Write) -> None:
    write("a.py", MENDED)
    write("b.py", MENDED)
    assert_usage_error(
        run_pytest("--parallelrun-entry=a.py", "--parallelrun-entry=b.py", f"--parallelrun-replay={case}"),
        "ERROR: *2 entries are given, none of them the one. It was saved for score.py*",
    )


def test_it_has_no_plan(case: Path, run_pytest: Run) -> None:
    assert_usage_error(
        run_pytest(ENTRY, f"--parallelrun-replay={case}", "--parallelrun-plan"),
        "ERROR: --parallelrun-replay=* cannot be combined with --parallelrun-plan.*",
    )


def test_its_fixture_belongs_to_the_generated_test(project: Path, gate: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(parallelrun_replay): pass\n")
    gate("-k", "test_mine").stdout.fnmatch_lines(["*the fixture parallelrun_replay belongs to the test that*"])

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.conftest import WHOLE
from tests.plugin.counts import ALWAYS, NEED_INPUT, TOTAL, WITHOUT_INPUT


def test_the_header_names_entry_and_input(project: Path, gate: Run) -> None:
    gate().stdout.fnmatch_lines([f"parallelrun: score.py, input: {project / 'data'}"])


def test_the_header_says_that_there_is_no_input(project: Path, run_pytest: Run) -> None:
    run_pytest("--parallelrun-entry=score.py").stdout.fnmatch_lines(["parallelrun: score.py, input: none"])


def section(result: pytest.RunResult) -> list[str]:
    """The lines of the summary of the gate."""
    lines = result.outlines
    (begin,) = [number for number, line in enumerate(lines) if re.fullmatch("=+ parallelrun =+", line)]
    end = next((number for number, line in enumerate(lines) if number > begin and line.startswith("===")), len(lines))
    return lines[begin + 1 : end]


def test_an_entry_that_passes_takes_one_line_with_all_counts(project: Path, gate: Run) -> None:
    (line,) = section(gate("-k", "defines_run or completes or fits"))
    counts = "3 checks, 3 of 3 mini-batches and 3 of 3 items succeeded, 3 attempts, 2 init() calls"
    assert re.fullmatch(rf"score.py: passed: {re.escape(counts)}, \d+\.\d\d s", line)


@pytest.mark.parametrize("on_ci", ["", "true"])
def test_the_short_summary_of_pytest_has_the_first_line_of_a_finding(
    project: Path, gate: Run, write: Write, monkeypatch: pytest.MonkeyPatch, on_ci: str
) -> None:
    monkeypatch.delenv("BUILD_NUMBER", raising=False)
    monkeypatch.setenv("CI", on_ci)
    monkeypatch.setenv("COLUMNS", "200")
    write("score.py", "def run(mini_batch):\n    return None\n")
    lines = gate("-k", "valid_type").outlines
    (place,) = [number for number, line in enumerate(lines) if line.startswith("FAILED ")]
    assert lines[place].startswith("FAILED score.py::test_returns_valid_type - run() returned None.")
    assert lines[place + 1].startswith("====")
    assert len([line for line in lines if line.startswith("on Azure ML: ")]) == 1


def test_a_failure_is_told_in_one_line_where_that_is_asked_for(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return None\n")
    lines = gate("-k", "valid_type", "--tb=line").outlines
    assert len([line for line in lines if line.startswith("run() returned None.")]) == 1, lines
    assert not [line for line in lines if line.startswith("on Azure ML: ")]


def test_init_calls_are_those_that_really_happened(project: Path, gate: Run, write: Write) -> None:
    write(
        "score.py",
        """
        def init():
            print("init() is called")

        def run(mini_batch):
            return list(mini_batch)
        """,
    )
    result = gate("-k", "init_runs or completes", "-s")
    number = result.stdout.str().count("init() is called")
    assert number > 1
    result.stdout.fnmatch_lines([f"score.py: passed: 2 checks, *, {number} init() calls, *"])


def test_checks_share_one_run_of_the_sample(project: Path, gate: Run, write: Write) -> None:
    write(
        "score.py",
        """
        import pathlib

        def run(mini_batch):
            with (pathlib.Path(__file__).parent / "items.txt").open("a") as file:
                file.write("".join(pathlib.Path(path).name + " " for path in mini_batch))
            return list(mini_batch)
        """,
    )
    gate("-k", "valid_type or one_result or completes or losses").assert_outcomes(passed=4, deselected=TOTAL - 4)
    assert (project / "items.txt").read_text() == "item_1.txt item_2.txt item_3.txt "


def test_skipped_checks_are_named_with_their_reason_once(project: Path, run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-entry=score.py", *WHOLE)
    result.assert_outcomes(passed=WITHOUT_INPUT, skipped=NEED_INPUT)
    result.stdout.fnmatch_lines(
        [
            f"score.py: incomplete: {TOTAL} checks, {NEED_INPUT} skipped, *",
            "  the sample was not judged: there is no sample input: give one with*",
            "  skipped (there is no sample input: give one with*",
        ]
    )
    told = " ".join(" ".join(section(result)).split())
    assert told.endswith(", ".join(check.name for check in ALWAYS if check.needs_input))


def test_the_reason_of_a_failed_job_is_given(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    raise ValueError('no')\n")
    result = gate("--parallelrun-set=error_threshold=1", "--parallelrun-set=max_retries=0")
    result.stdout.fnmatch_lines(["score.py: failed: *", "  job Failed: * failed items > error_threshold 1"])


def test_notes_and_advice_are_shown(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n")
    result = gate("--parallelrun-set=error_threshold=1", "-k", "one_result or silent")
    result.stdout.fnmatch_lines(["  advice: returns_one_result_per_item", "    run() returned fewer results*"])
    result.stdout.fnmatch_lines(["  note (no_silent_losses): 1 of 3 items failed, which error_threshold=1, set*"])


def test_a_finding_is_shown_without_a_traceback_of_the_checks(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return None\n")
    result = gate("-k", "returns_valid_type")
    result.stdout.fnmatch_lines(["run() returned None. It must return a list*"])
    result.stdout.no_fnmatch_line("*CheckFailed*")
    result.stdout.no_fnmatch_line("*contract*returns.py*")


RETURNS_NONE = "def run(mini_batch):\n    return None\n"


def blocks(result: pytest.RunResult) -> dict[str, list[str]]:
    """The text of each failure, by the name of its test."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in result.outlines:
        title = re.fullmatch(r"_+ (test_\w+) _+", line)
        if title:
            lines = found[title[1]] = []
        elif line.startswith("===="):
            lines = []
        elif not line.startswith("[gw"):
            lines.append(line)
    return found


def test_what_two_checks_found_of_one_cause_is_told_once_and_referred_to(
    project: Path, anywhere: Run, write: Write
) -> None:
    write("score.py", RETURNS_NONE)
    told = blocks(anywhere("-k", "valid_type or silent", "--parallelrun-report=gate.json"))
    first, second = sorted(told.values(), key=len, reverse=True)
    assert len(first) > 4
    assert len(second) == 2
    assert re.fullmatch(r"same cause as (returns_valid_type|no_silent_losses) \(reported there\)", second[1])
    checks = json.loads((project / "gate.json").read_text())["entries"][0]["checks"]
    cause = {"kind": "wrong_type", "exception": "", "frame": None, "returned_type": "None"}
    assert [check["finding"]["cause"] for check in checks] == [cause, cause]
    # For programs each message is whole.
    assert all("on Azure ML: " in check["message"] for check in checks)


def test_what_the_script_printed_is_told_once_with_the_cause(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    print('seen')\n    return None\n")
    lines = gate("-k", "valid_type or completes", "--parallelrun-set=error_threshold=0").outlines
    assert "same cause as returns_valid_type (reported there)" in lines
    assert len([line for line in lines if "Captured stdout" in line]) == 1


@pytest.mark.parametrize(
    ("script", "teller", "referring"),
    [
        ("import nowhere_to_be_found\n", "entry_imports", "job_completes"),
        (
            "import argparse\ndef init(): argparse.ArgumentParser().parse_args()\n"
            "def run(mini_batch): return list(mini_batch)\n",
            "accepts_runtime_arguments",
            "job_completes",
        ),
        (
            "def init(): raise OSError('no disk')\ndef run(mini_batch): return list(mini_batch)\n",
            "init_runs_in_every_worker",
            "job_completes",
        ),
        ("def run(mini_batch): return []\n", "returns_one_result_per_item", "no_silent_losses"),
    ],
    ids=["import", "arguments", "init", "short"],
)
def test_checks_that_fail_for_the_same_line_or_outcome_share_a_cause(
    project: Path, gate: Run, write: Write, script: str, teller: str, referring: str
) -> None:
    write("score.py", script)
    told = blocks(gate("-k", f"{teller} or {referring}"))
    assert told[f"test_{referring}"][1] == f"same cause as {teller} (reported there)"


def test_findings_of_two_causes_are_both_told(project: Path, gate: Run, write: Write) -> None:
    write(
        "score.py",
        """
        def run(mini_batch):
            if "item_2" in mini_batch[0]:
                raise ValueError
            return None
        """,
    )
    told = blocks(gate("-k", "valid_type or silent"))
    assert all(len(lines) > 4 for lines in told.values())


def test_the_same_cause_in_another_entry_is_told_there_too(project: Path, gate: Run, write: Write) -> None:
    for name in ("score.py", "other.py"):
        write(name, RETURNS_NONE)
    result = gate("--parallelrun-entry=other.py", "-k", "valid_type")
    result.stdout.no_fnmatch_line("the same cause as*")


def test_an_entry_of_which_no_check_ran_is_not_green(project: Path, gate: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(): pass\n")
    result = gate("-k", "test_mine")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["score.py: incomplete: 0 checks, *", "  the sample was not judged: no check *"])
    gate("--collect-only").stdout.no_fnmatch_line("*= parallelrun =*")


def test_it_is_not_there_in_a_run_without_a_gate(project: Path, run_pytest: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(): pass\n")
    run_pytest().stdout.no_fnmatch_line("*parallelrun =*")


def test_secrets_that_a_script_puts_into_its_errors_are_masked(project: Path, gate: Run, write: Write) -> None:
    write(
        "score.py",
        """
        import os, sys

        def init():
            raise RuntimeError("cannot log in with " + os.environ["API_KEY"] + " or " + sys.argv[-1])

        def run(mini_batch):
            return list(mini_batch)
        """,
    )
    result = gate(
        "--parallelrun-env=API_KEY=hunter2",
        "--parallelrun-args=--db-password 'correct horse'",
        "--parallelrun-report=gate.json",
        "--junitxml=junit.xml",
        "-rA",
    )
    result.stdout.fnmatch_lines(["*cannot log in with [*][*][*] or [*][*][*]*"])
    written = (project / "gate.json").read_text() + (project / "junit.xml").read_text()
    for secret in ("hunter2", "correct horse"):
        assert secret not in result.stdout.str()
        assert secret not in written


def test_an_interrupt_from_the_keyboard_ends_the_run_and_the_verdict_is_no_pass(
    project: Path, pytester: pytest.Pytester, write: Write
) -> None:
    write(
        "score.py",
        """
        import os, signal

        def run(mini_batch):
            os.kill(os.getpid(), signal.SIGINT)
            return list(mini_batch)
        """,
    )
    result = pytester.runpytest_subprocess(
        "--parallelrun-entry=score.py", "--parallelrun-input=data", "--parallelrun-report=gate.json", "-q"
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert '"verdict": "failed"' in (project / "gate.json").read_text()


def test_a_run_in_two_workers_has_one_summary(project: Path, gate_in_two: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n")
    result = gate_in_two("--parallelrun-set=error_threshold=1", "-k", "one_result or silent", "-v")
    lines = section(result)
    assert sum(line.startswith("score.py: passed: 2 checks, 1 advice") for line in lines) == 1
    assert sum(line.startswith("  note (no_silent_losses): 1 of 3 items failed") for line in lines) == 1


def test_verbosely_the_attempts_are_told_one_by_one_also_by_workers_of_xdist(
    project: Path, gate: Run, gate_in_one: Run, write: Write
) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n")
    for run in (gate, gate_in_one):
        # gate_in_one is quiet by itself.
        told = section(run("-k", "completes", "-vv"))
        attempts = [match[1] for line in told if (match := re.search(r"s  worker 0: (mini-batch .*) after", line))]
        assert sorted(attempts) == [
            "mini-batch 0, attempt 1: succeeded",
            "mini-batch 1, attempt 1: short",
            "mini-batch 1, attempt 2: short",
            "mini-batch 1, attempt 3: short",
            "mini-batch 2, attempt 1: succeeded",
        ]
        assert [line for line in told if re.search("worker 0: up in", line)]


@pytest.mark.parametrize("quiet", ["-q", "-qq"])
def test_quietly_an_entry_takes_one_line_whatever_was_found(project: Path, gate: Run, write: Write, quiet: str) -> None:
    write("score.py", "def run(mini_batch):\n    return [p for p in mini_batch if not p.endswith('_2.txt')]\n")
    told = section(gate("-k", "one_result or silent", quiet))
    assert [line for line in told if line.startswith("score.py: failed: 2 checks, 2 failed, ")]
    assert len([line for line in told if not line.startswith(("FAILED", "2 failed"))]) == 1


def test_findings_of_one_cause_are_listed_once_and_first_where_more_checks_met_them(
    project: Path, gate: Run, write: Write
) -> None:
    write(
        "score.py",
        """
        def run(mini_batch):
            return ["scored" for path in mini_batch if not path.endswith("_2.txt")]
        """,
    )
    told = section(gate("-k", "one_result or silent or name_their"))
    assert [line for line in told if re.match(r"  \d\. |  advice: ", line)] == [
        "  1. returns_one_result_per_item (also reported by no_silent_losses)",
        "  advice: rows_name_their_item",
    ]


@pytest.mark.parametrize("columns", ["40", "120"])
def test_findings_are_wrapped_to_the_width_and_commands_stay_whole(
    project: Path, gate: Run, write: Write, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    write("score.py", RETURNS_NONE)
    verdict, *told = section(gate("-k", "valid_type", "--parallelrun-save=saved cases"))
    assert verdict.startswith("score.py: failed: 1 check, 1 failed, ")
    (command,) = [line for line in told if line.startswith("    replay: ")]
    assert command == (
        "    replay: pytest --parallelrun-entry=score.py '--parallelrun-replay=saved cases/score/returns_valid_type'"
    )
    assert max(len(line) for line in told if line != command) <= int(columns)
    assert max(len(line) for line in told if line != command) > int(columns) // 2


def test_colours_are_those_of_pytest(project: Path, gate: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("score.py", RETURNS_NONE)
    red = "\x1b[31m"
    assert any(line.startswith(f"{red}\x1b[1mscore.py: failed") for line in gate("-k", "valid", "--color=yes").outlines)
    assert not any("\x1b" in line for line in gate("-k", "valid", "--color=no").outlines)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any("\x1b" in line for line in gate("-k", "valid").outlines)


def test_characters_that_a_terminal_obeys_are_written_out(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    raise ValueError('\\x1b[2J \\u202e gone \\udcff')\n")
    result = gate("-k", "completes", "--parallelrun-set=error_threshold=0", "-v")
    assert not re.search("[\x1b\u202e]", result.stdout.str())
    result.stdout.fnmatch_lines(["*\\x1b[[]2J \\u202e gone \\udcff*"])

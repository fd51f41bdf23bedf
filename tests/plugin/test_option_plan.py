from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL, WITHOUT_INPUT


def test_it_shows_split_settings_and_checks(project: Path, gate: Run) -> None:
    result = gate("--parallelrun-plan", "--parallelrun-set=mini_batch_size=2")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "entry *score.py",
            "*imported as 'score'",
            "input: 3 files in '*data', 2 a mini-batch: 2 mini-batches  (--parallelrun-input)",
            "  mini-batch 0: 2 items, item_1.txt ... item_2.txt",
            "  mini-batch 1: 1 item, item_3.txt",
            "  mini_batch_size = 2  (--parallelrun-set)",
            "  max_retries = 2  (default; Azure's documents disagree)",
            "  and * defaults; -v shows them, and which document says what",
            "sys.argv[[]1:]: *--mini_batch_size 2 *",
            f"checks ({TOTAL} of {TOTAL} would run)",
            "  entry_imports",
        ]
    )


def test_it_runs_nothing(project: Path, gate: Run, write: Write) -> None:
    write("score.py", "raise SystemExit('imported')\n")
    result = gate("--parallelrun-plan", "--parallelrun-report=gate.json", "--parallelrun-output=out")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*collected*")
    assert not (project / "gate.json").exists()
    assert not (project / "out").exists()


def test_the_ini_twin_is_used(project: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_plan = true")
    gate().stdout.fnmatch_lines(["entry *score.py"])


def test_without_an_input_it_names_the_checks_that_would_be_skipped(project: Path, run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-entry=score.py", "--parallelrun-plan")
    result.stdout.fnmatch_lines(
        [
            "input: none, give one with --parallelrun-input=PATH",
            f"checks ({WITHOUT_INPUT} of {TOTAL} would run)",
            "  entry_imports",
            "  skipped, there is no sample input: give one with --parallelrun-input=PATH: same_in_worker_processes, *",
        ]
    )


def test_it_shows_every_entry(project: Path, gate: Run, write: Write) -> None:
    write("other.py", "")
    result = gate("--parallelrun-plan", "--parallelrun-entry=other.py")
    result.stdout.fnmatch_lines(["entry *score.py", "entry *other.py"])


def test_it_shows_a_table_with_its_rows(project: Path, run_pytest: Run, write: Write) -> None:
    write("table.csv", "a\n" + "1\n" * 10)
    result = run_pytest(
        "--parallelrun-entry=score.py",
        "--parallelrun-input=table.csv",
        "--parallelrun-plan",
        "--parallelrun-set=mini_batch_size=10",
    )
    result.stdout.fnmatch_lines(
        ["*note: mini_batch_size=10 is bytes for a table*", "  mini-batch 0: 5 items, row 1 of *"]
    )


def test_it_masks_secrets(project: Path, gate: Run) -> None:
    result = gate(
        "--parallelrun-plan",
        "--parallelrun-env=API_KEY=hunter2",
        "--parallelrun-args=--password 'correct horse' --azure-pat=xyzzy --name shown",
        "--parallelrun-env=SAS_URL=https://x.blob/c?sv=1&sig=abc",
    )
    text = result.stdout.str()
    assert not [secret for secret in ("hunter2", "correct", "horse", "xyzzy", "sig=abc") if secret in text]
    result.stdout.fnmatch_lines(["*API_KEY=[*][*][*]*", "*then yours: --password *--name shown"])


def test_a_console_that_lacks_letters_gets_their_codes(
    project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data" / "größe.txt").write_text("")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = pytester.runpytest_subprocess(
        "--parallelrun-entry=score.py", "--parallelrun-input=data", "--parallelrun-plan"
    )
    assert result.ret == pytest.ExitCode.OK
    assert any(line.endswith(r"gr\xf6\xdfe.txt") for line in result.outlines)


def test_without_an_input_a_size_in_bytes_is_taken_for_a_table(project: Path, run_pytest: Run) -> None:
    result = run_pytest("--parallelrun-entry=score.py", "--parallelrun-plan", "--parallelrun-set=mini_batch_size=1KB")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["sys.argv*--mini_batch_size 1024 *"])


@pytest.mark.parametrize("option", ["--parallelrun-plan", "--collect-only"])
def test_names_of_others_neither_command_a_terminal_nor_a_ci_system(
    project: Path, gate: Run, write: Write, option: str
) -> None:
    write("data/a\n::error::x\x1b[31m.txt", "")
    write("data/##vso[task.complete].txt", "")
    write("job \x1b[31m\n::error::y.yml", "x: 1\n")
    for arguments in ((), ("--parallelrun-job=job \x1b[31m\n::error::y.yml",), ("--parallelrun-set=a\n::error::z=1",)):
        result = gate(option, "--parallelrun-args='\x1b[31m\n::error::z' --api-key hunter2", *arguments)
        text = result.stdout.str() + result.stderr.str()
        assert "\x1b" not in text
        assert not [line for line in text.splitlines() if line.lstrip().startswith("::") or "##vso[" in line]
        assert "hunter2" not in text

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write


@pytest.fixture
def speaking(project: Path, write: Write) -> Path:
    write(
        "score.py",
        """
        import os

        AT_IMPORT = os.environ.get("GREETING", "nothing")

        def run(mini_batch):
            return [f"[{AT_IMPORT}]" for _ in mini_batch]
        """,
    )
    return project


def greeting(project: Path, gate: Run, *arguments: str) -> str:
    gate("--parallelrun-output=out", "--parallelrun-set=output_action=append_row", *arguments)
    (line,) = set((project / "out" / "parallel_run_step.txt").read_text(encoding="utf-8").splitlines())
    return line


def test_it_is_set_before_the_script_is_imported(speaking: Path, gate: Run) -> None:
    assert greeting(speaking, gate, "--parallelrun-env", "GREETING=hello") == "[hello]"


def test_its_value_is_kept_to_the_letter(speaking: Path, gate: Run) -> None:
    assert greeting(speaking, gate, "--parallelrun-env", "GREETING= a=b, c ") == "[ a=b, c ]"


def test_the_last_value_of_a_name_counts(speaking: Path, gate: Run) -> None:
    assert greeting(speaking, gate, "--parallelrun-env=GREETING=one", "--parallelrun-env=GREETING=two") == "[two]"


def test_the_ini_twin_is_used(speaking: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_env =\n    OTHER=1\n    GREETING=from ini")
    assert greeting(speaking, gate) == "[from ini]"


def test_the_command_line_wins_over_the_ini_file(speaking: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_env = GREETING=ini")
    assert greeting(speaking, gate, "--parallelrun-env=GREETING=line") == "[line]"


def test_it_is_gone_after_the_run(speaking: Path, gate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv("GREETING", raising=False)
    gate("--parallelrun-env=GREETING=hello")
    assert "GREETING" not in os.environ

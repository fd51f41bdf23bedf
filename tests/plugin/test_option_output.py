from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.counts import TOTAL, assert_gated

APPEND = "--parallelrun-set=output_action=append_row"


def test_it_keeps_the_appended_file(project: Path, gate: Run) -> None:
    assert_gated(gate(APPEND, "--parallelrun-output=out"), TOTAL)
    rows = (project / "out" / "parallel_run_step.txt").read_text(encoding="utf-8")
    assert rows.splitlines() == ["item_1.txt: 1", "item_2.txt: 2", "item_3.txt: 3"]


def test_it_keeps_what_the_script_wrote_into_its_working_folder(project: Path, gate: Run, write: Write) -> None:
    write(
        "score.py",
        """
        def run(mini_batch):
            with open("log.txt", "a") as log:
                log.write("called\\n")
            return list(mini_batch)
        """,
    )
    gate("--parallelrun-output=out")
    assert [file.read_text() for file in (project / "out").rglob("log.txt")] == ["called\n" * 3]


def test_it_makes_the_folders_above_it(project: Path, gate: Run) -> None:
    gate(APPEND, "--parallelrun-output=a/b c/out")
    assert (project / "a" / "b c" / "out" / "parallel_run_step.txt").is_file()


def test_several_entries_have_a_folder_each_even_if_their_names_are_the_same(
    project: Path, run_pytest: Run, write: Write
) -> None:
    entries = [f"--parallelrun-entry={team}/src/score.py" for team in ("one", "two")]
    for team in ("one", "two"):
        write(f"{team}/src/score.py", f"def run(mini_batch):\n    return [{team!r} for _ in mini_batch]\n")
    assert_gated(run_pytest(*entries, "--parallelrun-input=data", APPEND, "--parallelrun-output=out"), 2 * TOTAL)
    texts = {file.read_text().splitlines()[0] for file in (project / "out").rglob("parallel_run_step.txt")}
    assert texts == {"one", "two"}


def test_without_it_nothing_is_left_beside_the_script(project: Path, gate: Run) -> None:
    before = {path.name for path in project.iterdir()}
    gate(APPEND)
    after = {path.name for path in project.iterdir()}
    # Other plugins have hidden folders of theirs.
    assert not {name for name in after - before if not name.startswith((".", "runpytest"))}


def test_the_ini_twin_is_used(project: Path, pytester: pytest.Pytester, gate: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_output = kept")
    gate(APPEND)
    assert (project / "kept" / "parallel_run_step.txt").is_file()


def test_an_empty_folder_is_used(project: Path, gate: Run) -> None:
    (project / "out").mkdir()
    assert_gated(gate(APPEND, "--parallelrun-output=out"), TOTAL)

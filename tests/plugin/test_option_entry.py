from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.conftest import WHOLE
from tests.plugin.counts import NAMES, NEED_INPUT, TOTAL, WITHOUT_INPUT, assert_gated


def test_a_script_is_gated_without_any_test_file(project: Path, gate: Run) -> None:
    gate(*WHOLE).assert_outcomes(passed=TOTAL)


def test_each_check_is_a_test_below_the_script(project: Path, gate: Run) -> None:
    result = gate("--collect-only", "-q")
    assert result.outlines[:TOTAL] == [f"score.py::test_{name}" for name in NAMES]


def test_a_path_is_relative_to_where_pytest_was_started(
    project: Path, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    result = run_pytest("--parallelrun-entry=../score.py", "--parallelrun-input=../data")
    assert_gated(result, TOTAL)


def test_several_entries_are_gated_side_by_side(project: Path, run_pytest: Run, write: Write) -> None:
    write("second.py", "def run(mini_batch):\n    return None\n")
    result = run_pytest(
        "--parallelrun-entry=score.py",
        "--parallelrun-entry=second.py",
        "--parallelrun-input=data",
        "-k",
        "returns_valid_type",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["score.py: passed: *", "second.py: failed: *"])


def test_an_entry_that_is_given_twice_is_gated_once(project: Path, gate: Run) -> None:
    assert_gated(gate("--parallelrun-entry=./score.py"), TOTAL)


def test_the_ini_twin_gives_entries_too(project: Path, pytester: pytest.Pytester, run_pytest: Run) -> None:
    pytester.makeini("[pytest]\nparallelrun_entry = score.py")
    result = run_pytest(*WHOLE)
    result.assert_outcomes(passed=WITHOUT_INPUT, skipped=NEED_INPUT)


def test_a_path_in_the_ini_file_is_relative_to_that_file(
    project: Path, pytester: pytest.Pytester, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nparallelrun_entry = score.py\nparallelrun_input = data")
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    assert_gated(run_pytest(), TOTAL)


def test_the_command_line_replaces_the_entries_of_the_ini_file(
    project: Path, pytester: pytest.Pytester, gate: Run, write: Write
) -> None:
    write("other.py", "def run(mini_batch):\n    return None\n")
    pytester.makeini("[pytest]\nparallelrun_entry = other.py")
    result = gate()
    assert_gated(result, TOTAL)
    result.stdout.no_fnmatch_line("*other.py*")


def test_a_path_with_spaces_and_other_letters_works(project: Path, run_pytest: Run) -> None:
    folder = project / "mein Größter Ordner"
    folder.mkdir()
    (project / "score.py").rename(folder / "bewerten é.py")
    (project / "data").rename(folder / "daten ü")
    result = run_pytest(
        "--parallelrun-entry=mein Größter Ordner/bewerten é.py", "--parallelrun-input=mein Größter Ordner/daten ü"
    )
    assert_gated(result, TOTAL)


def test_two_entries_that_share_a_check_do_not_share_its_function(project: Path, pytester: pytest.Pytester) -> None:
    (project / "other.py").write_text("def run(mini_batch):\n    return list(mini_batch)\n")
    items, _ = pytester.inline_genitems("--parallelrun-entry=score.py", "--parallelrun-entry=other.py")
    functions = {id(item.function) for item in items if isinstance(item, pytest.Function)}
    assert len(functions) == 2 * TOTAL

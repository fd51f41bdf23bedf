from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun._entries import EntryPlan, SampleInput
from pytest_parallelrun._show import SHOWN, plan_lines
from pytest_parallelrun._targets import Target
from pytest_parallelrun.contract import CHECKS
from pytest_parallelrun.emulator.arguments import parse_program_arguments
from pytest_parallelrun.emulator.entry import EntryFile
from pytest_parallelrun.emulator.setting_table import setting_table
from pytest_parallelrun.emulator.settings import JobSettings


def plan(
    tmp_path: Path,
    *,
    input: str | Path | None = None,
    settings: JobSettings | None = None,
    origins: dict[str, str] | None = None,
    arguments: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    verbosity: int = 0,
) -> list[str]:
    entry_plan = EntryPlan(
        target=Target(entry=EntryFile(tmp_path / "src" / "score.py", tmp_path), script_id="src/score.py"),
        sample=SampleInput(paths=None if input is None else str(input)),
        settings=settings or JobSettings(),
        origins=origins or {},
        arguments=parse_program_arguments(arguments, profile="v2"),
        models={},
        environment=None,
        output=None,
        logs=None,
        notes=notes,
        golden=None,
        replay=None,
    )
    return list(plan_lines(entry_plan, "inprocess", verbosity))


def folder_of(tmp_path: Path, files: int) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(files):
        (folder / f"{number:03}.txt").touch()
    return folder


def test_every_setting_is_there_with_its_origin(tmp_path: Path) -> None:
    lines = plan(tmp_path, settings=JobSettings(max_retries=5), origins={"max_retries": "job.yml"}, verbosity=1)
    assert "  max_retries = 5  (job.yml)" in lines
    for name in setting_table():
        assert any(line.startswith(f"  {name} = ") and line.endswith(")") for line in lines)


def test_without_v_those_are_there_that_were_set_or_are_disputed(tmp_path: Path) -> None:
    settings = JobSettings(timeout=5)
    lines = plan(tmp_path, settings=settings, origins={"timeout": "job.yml"})
    shown = {line.split()[0] for line in lines if " = " in line}
    disputed = {name for name, setting in setting_table().items() if "v2" in setting.disputed}
    assert shown == {"timeout", *disputed}
    assert f"  and {len(setting_table()) - len(shown)} defaults; -v shows them, and which document says what" in lines


def test_the_entry_has_its_dotted_name_and_code_root(tmp_path: Path) -> None:
    assert f"  code root {tmp_path}, imported as 'src.score'" in plan(tmp_path)


def test_a_few_mini_batches_are_all_listed(tmp_path: Path) -> None:
    lines = plan(tmp_path, input=folder_of(tmp_path, SHOWN))
    assert sum(line.startswith("  mini-batch ") for line in lines) == SHOWN
    assert not [line for line in lines if line.endswith("more")]


@pytest.mark.parametrize("more", [1, 40])
def test_of_many_mini_batches_the_rest_is_counted(tmp_path: Path, more: int) -> None:
    lines = plan(tmp_path, input=folder_of(tmp_path, SHOWN + more))
    assert sum(line.startswith("  mini-batch ") for line in lines) == SHOWN
    assert f"  and {more} more" in lines


def test_mini_batches_of_a_table_are_counted_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a\n" + "1\n" * (SHOWN + 3))
    lines = plan(tmp_path, input=tmp_path / "table.csv", settings=JobSettings(mini_batch_size=2))
    assert "  and 3 more" in lines
    assert any("mini_batch_size=2 is bytes for a table; write 10KB or 1MB" in line for line in lines)


def test_a_size_with_a_unit_needs_no_note(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a\n1\n")
    lines = plan(tmp_path, input=tmp_path / "table.csv", settings=JobSettings(mini_batch_size="1KB"))
    assert not [line for line in lines if "is bytes for a table" in line]
    assert [line for line in lines if line.startswith("  mini_batch_size = 1KB")]


def test_a_table_of_which_a_file_has_no_rows_is_shown(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a\n")
    (tmp_path / "2.csv").write_text("a\n1\n")
    lines = plan(tmp_path, input=str(tmp_path / "*.csv"))
    assert "  mini-batch 0: 0 items, nothing" in lines


def test_arguments_and_notes_are_shown(tmp_path: Path) -> None:
    lines = plan(tmp_path, arguments=("--name", "a b"), notes=("a note",))
    assert any(line.startswith("sys.argv[1:]: ") for line in lines)
    assert "  then yours: --name 'a b'" in lines
    assert "note: a note" in lines


def test_checks_that_would_run_are_counted(tmp_path: Path) -> None:
    checks = [check for check in CHECKS if not check.needs_environment and not check.needs_golden]
    bare, judging = ([check.name for check in checks if check.needs_input is needs] for needs in (False, True))
    reason = "there is no sample input: give one with --parallelrun-input=PATH"
    lines = plan(tmp_path)
    assert lines[lines.index(f"checks ({len(bare)} of {len(checks)} would run)") + 1 :] == [
        *(f"  {name}" for name in bare),
        f"  skipped, {reason}: {', '.join(judging)}",
    ]


def test_secrets_in_the_settings_are_masked(tmp_path: Path) -> None:
    secret = JobSettings(environment_variables={"API_KEY": "hunter2", "A": "shown"})
    lines = plan(tmp_path, settings=secret, origins={"environment_variables": "--parallelrun-env"})
    (line,) = [line for line in lines if line.startswith("  environment_variables")]
    assert "API_KEY=***, A=shown" in line

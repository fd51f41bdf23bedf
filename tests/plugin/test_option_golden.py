"""--parallelrun-golden and --parallelrun-update-golden; what the check compares is in its own tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_parallelrun._golden import CI_VARIABLES, UpdateWatch, ci_variable
from pytest_parallelrun.contract.checks import matches_golden_output
from tests.conftest import SOUND_SCRIPT, Run, Write
from tests.plugin.counts import TOTAL, WITH_ENVIRONMENT

GOLDEN, UPDATE = "--parallelrun-golden=golden", "--parallelrun-update-golden"
CHECK = ("-k", "matches_golden_output")


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matches_golden_output, "MAX_REPEATED", -1)


def golden_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.golden"))


def test_the_check_is_part_of_the_run_only_with_a_folder(project: Path, gate: Run) -> None:
    assert "matches_golden" not in str(gate("--parallelrun-plan").stdout)
    gate("--parallelrun-plan", GOLDEN).stdout.fnmatch_lines(
        [f"checks ({TOTAL + 1} of {TOTAL + 1} would run)", "  matches_golden_output"]
    )
    assert not (project / "golden").exists()


def test_the_ini_twins_are_used_and_start_at_their_folder(
    project: Path, write: Write, run_pytest: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("my scripts/score.py", SOUND_SCRIPT)
    options = "parallelrun_entry = my scripts/score.py\nparallelrun_input = data\nparallelrun_golden = golden out\n"
    pytester.makeini(f"[pytest]\n{options}parallelrun_update_golden = true\n")
    monkeypatch.chdir(project / "my scripts")
    run_pytest(*CHECK).assert_outcomes(passed=1, deselected=TOTAL)
    assert golden_files(project) == ["golden out/my scripts/score.py.golden"]
    pytester.makeini(f"[pytest]\n{options}")
    run_pytest(*CHECK).assert_outcomes(passed=1, deselected=TOTAL)


@pytest.mark.parametrize("folder", [".", "data", "elsewhere"])
def test_the_file_does_not_depend_on_the_working_folder(
    project: Path, run_pytest: Run, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (project / folder).mkdir(exist_ok=True)
    monkeypatch.chdir(project / folder)
    root = os.path.relpath(project, project / folder)
    options = (f"--parallelrun-entry={root}/score.py", f"--parallelrun-input={root}/data", *CHECK)
    run_pytest(*options, f"--parallelrun-golden={root}/golden", UPDATE).assert_outcomes(passed=1, deselected=TOTAL)
    assert golden_files(project) == ["golden/score.py.golden"]


def test_scripts_of_the_same_name_have_their_own_files(project: Path, write: Write, run_pytest: Run) -> None:
    names = ("a/score.py", "a/b/score.py", "a-b/score.py")
    for name in names:
        write(name, SOUND_SCRIPT)
    entries = [f"--parallelrun-entry={name}" for name in names]
    run_pytest(*entries, "--parallelrun-input=data", GOLDEN, UPDATE, *CHECK).assert_outcomes(
        passed=3, deselected=3 * TOTAL
    )
    assert golden_files(project / "golden") == sorted(f"{name}.golden" for name in names)


def test_two_entries_that_would_share_a_file_are_refused(
    project: Path, write: Write, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("sub/score.py", SOUND_SCRIPT)
    monkeypatch.chdir(project / "sub")
    options = ("--parallelrun-entry=score.py", "--parallelrun-entry=../score.py", "--parallelrun-input=../data")
    result = run_pytest(*options, GOLDEN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --parallelrun-golden=golden: score.py and ../score.py would share the file golden/score.py.golden: *"]
    )


def test_steps_of_a_job_file_have_their_own_files(project: Path, write: Write, run_pytest: Run) -> None:
    step = """
      {name}:
        type: parallel
        mini_batch_size: "{size}"
        input_data: ${{{{inputs.data}}}}
        inputs: {{data: {{type: uri_folder, path: data, mode: ro_mount}}}}
        task: {{type: run_function, code: ., entry_script: score.py, environment: azureml:e:1}}
    """
    steps = "".join(step.format(name=name, size=size) for name, size in (("first", 1), ("second", 2)))
    write("pipeline.yml", f"type: pipeline\njobs:{steps}")
    options = ("--parallelrun-job=pipeline.yml", GOLDEN, *CHECK)
    run_pytest(*options, UPDATE).assert_outcomes(passed=2, deselected=2 * WITH_ENVIRONMENT)
    assert golden_files(project / "golden") == ["score.py.first.golden", "score.py.second.golden"]
    run_pytest(*options).assert_outcomes(passed=2, deselected=2 * WITH_ENVIRONMENT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--parallelrun-golden=score.py",), "--parallelrun-golden=score.py: is a file; give a folder."),
        (
            ("--parallelrun-golden=score.py/x/y",),
            "--parallelrun-golden=score.py/x/y: score.py is a file; give a folder.",
        ),
        (("--parallelrun-golden=",), "--parallelrun-golden: the path is empty."),
        ((UPDATE,), f"{UPDATE} needs the folder of the golden output: add --parallelrun-golden=DIR."),
        (("--parallelrun-golden=data",), "--parallelrun-golden=data: the folder is in the input *data, so its files *"),
        (("--parallelrun-golden=data/golden",), "*the folder is in the input *: give a folder elsewhere."),
        (("--parallelrun-golden=./data/../data/x/y",), "*the folder is in the input *"),
        (("--parallelrun-golden=data/x", "--parallelrun-input=data/**/*"), "*the folder is in the input *"),
    ],
)
def test_a_wrong_value_ends_the_run_at_once(
    project: Path, run_pytest: Run, arguments: tuple[str, ...], message: str
) -> None:
    result = run_pytest("--parallelrun-entry=score.py", "--parallelrun-input=data", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert golden_files(project) == []


def test_a_folder_beside_the_files_of_a_pattern_is_no_part_of_the_input(project: Path, run_pytest: Run) -> None:
    options = ("--parallelrun-entry=score.py", "--parallelrun-input=data/*.txt", "--parallelrun-golden=data", *CHECK)
    run_pytest(*options, UPDATE).assert_outcomes(passed=1, deselected=TOTAL)
    assert golden_files(project) == ["data/score.py.golden"]
    run_pytest(*options).assert_outcomes(passed=1, deselected=TOTAL)


@pytest.mark.parametrize("option", [GOLDEN, UPDATE])
def test_without_an_entry_it_is_refused(project: Path, run_pytest: Run, option: str) -> None:
    result = run_pytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: * needs an entry script to check: add --parallelrun-entry=PATH."])


@pytest.mark.parametrize("option", ["-k=job_completes", "--deselect=score.py::test_matches_golden_output"])
def test_an_update_that_would_write_nothing_is_refused(project: Path, gate: Run, option: str) -> None:
    result = gate(GOLDEN, UPDATE, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {UPDATE} would write nothing: test_matches_golden_output is not part of *"])
    assert golden_files(project) == []
    assert gate(GOLDEN, UPDATE, option, "--collect-only").ret == pytest.ExitCode.OK


def test_with_pytest_xdist_it_is_refused_by_what_the_workers_collected() -> None:
    watch = UpdateWatch()
    watch.pytest_xdist_node_collection_finished(
        ["score.py::test_job_completes", "score.py::test_matches_golden_output"]
    )
    with pytest.raises(pytest.UsageError, match="would write nothing"):
        watch.pytest_xdist_node_collection_finished(["score.py::test_job_completes"])


@pytest.mark.parametrize(("entries", "code"), [(["random.py"], 1), (["random.py", "score.py"], 0)])
def test_an_update_says_what_it_did_not_write_and_fails_if_it_wrote_nothing(
    project: Path, run_pytest: Run, write: Write, entries: list[str], code: int
) -> None:
    write("random.py", "import os\ndef run(mini_batch):\n    return [os.urandom(4).hex() for _ in mini_batch]\n")
    options = [f"--parallelrun-entry={entry}" for entry in entries]
    result = run_pytest(*options, "--parallelrun-input=data", GOLDEN, UPDATE, *CHECK)
    assert result.ret == code
    result.stdout.fnmatch_lines(["golden output of random.py was not written: see above"])
    assert golden_files(project / "golden") == [f"{entry}.golden" for entry in entries[1:]]


def test_an_update_is_refused_in_ci(project: Path, gate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = gate(GOLDEN, UPDATE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {UPDATE} is refused in CI (GITHUB_ACTIONS is set): accept the output on *"])
    assert golden_files(project) == []


def test_ci_is_recognized_by_the_variables_of_inline_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ci_variable()
    for name in CI_VARIABLES:
        with monkeypatch.context() as patch:
            patch.setenv(name, "")
            assert not ci_variable()
            patch.setenv(name, "1")
            assert ci_variable() == name
            patch.setenv("PYCHARM_HOSTED", "1")
            assert not ci_variable()


def test_with_pytest_xdist_one_process_writes(project: Path, gate_in_two: Run) -> None:
    result = gate_in_two(GOLDEN, UPDATE, "-k", "matches_golden_output or job_completes or no_silent")
    result.assert_outcomes(passed=3)
    assert sorted(os.listdir(project / "golden")) == ["score.py.golden"]


def test_an_accepted_finding_passes(project: Path, gate: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nparallelrun_accept = matches_golden_output: not yet\n")
    gate(GOLDEN, *CHECK).assert_outcomes(passed=1, deselected=TOTAL)

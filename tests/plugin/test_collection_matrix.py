from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import Run, Write
from tests.plugin.counts import NAMES, TOTAL, assert_gated
from tests.report.schema import read_valid


def ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line]


def gated_ids(path: str) -> list[str]:
    return [f"{path}::test_{name}" for name in NAMES]


@pytest.fixture
def nested(project: Path) -> Path:
    (project / "src").mkdir()
    (project / "score.py").rename(project / "src" / "score.py")
    return project


NESTED = ("--parallelrun-entry=src/score.py", "--parallelrun-input=data")


def test_checks_join_the_users_own_tests(project: Path, gate: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(): pass\n")
    assert_gated(gate(), TOTAL + 1)


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_every_import_mode_works(nested: Path, run_pytest: Run, write: Write, mode: str) -> None:
    write("tests/test_mine.py", "def test_mine(): pass\n")
    assert_gated(run_pytest(*NESTED, f"--import-mode={mode}"), TOTAL + 1)


def test_a_folder_argument_that_holds_the_entry_collects_it_once(nested: Path, run_pytest: Run) -> None:
    assert ids(run_pytest(".", *NESTED, "--collect-only", "-q")) == gated_ids("src/score.py")
    assert ids(run_pytest("src", *NESTED, "--collect-only", "-q")) == gated_ids("src/score.py")


@pytest.mark.parametrize("argument", ["src/score.py", "./src/../src/score.py", "{root}/src/score.py"])
def test_naming_the_entry_as_an_argument_as_well_collects_it_once(nested: Path, run_pytest: Run, argument: str) -> None:
    result = run_pytest(argument.format(root=nested), *NESTED, "--collect-only", "-q")
    assert ids(result) == gated_ids("src/score.py")


def test_a_single_id_runs_a_single_check(nested: Path, run_pytest: Run) -> None:
    run_pytest("src/score.py::test_job_completes", *NESTED).assert_outcomes(passed=1)


def test_k_selects_checks(nested: Path, run_pytest: Run) -> None:
    run_pytest("-k", "runtime_arguments or silent", *NESTED).assert_outcomes(passed=2, deselected=TOTAL - 2)


def test_deselect_takes_a_check_out(nested: Path, run_pytest: Run) -> None:
    result = run_pytest("--deselect=src/score.py::test_job_completes", "-k", "completes or imports", *NESTED)
    result.assert_outcomes(passed=1, deselected=TOTAL - 1)


def test_lf_runs_what_failed_again(nested: Path, pytester: pytest.Pytester, write: Write) -> None:
    write("src/score.py", "def run(mini_batch):\n    return None\n")
    failed = pytester.runpytest_inprocess(*NESTED).parseoutcomes()["failed"]
    assert failed < 8
    result = pytester.runpytest_inprocess(*NESTED, "--lf")
    assert result.parseoutcomes()["failed"] == failed
    assert "passed" not in result.parseoutcomes()


def test_an_entry_outside_of_rootdir_has_ids_of_its_own(
    nested: Path, run_pytest: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = nested / "root folder"
    root.mkdir()
    (root / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(root)
    result = run_pytest("--parallelrun-entry=../src/score.py", "--parallelrun-input=../data", "-v")
    assert_gated(result, TOTAL)
    result.stdout.fnmatch_lines(["../src/score.py::test_job_completes PASSED*"])


def test_lf_works_for_an_entry_outside_of_rootdir(
    nested: Path, pytester: pytest.Pytester, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("src/score.py", "def run(mini_batch):\n    return None\n")
    write("root/pytest.ini", "[pytest]\n")
    monkeypatch.chdir(nested / "root")
    arguments = ("--parallelrun-entry=../src/score.py", "--parallelrun-input=../data")
    failed = pytester.runpytest_inprocess(*arguments).parseoutcomes()["failed"]
    result = pytester.runpytest_inprocess(*arguments, "--lf")
    assert result.parseoutcomes()["failed"] == failed
    assert "passed" not in result.parseoutcomes()


def test_scripts_of_the_same_name_in_two_folders_are_told_apart(project: Path, run_pytest: Run, write: Write) -> None:
    for folder in ("a", "b"):
        write(f"{folder}/score.py", f"NAME = {folder!r}\ndef run(mini_batch):\n    return [NAME for _ in mini_batch]\n")
    result = run_pytest(
        "--parallelrun-entry=a/score.py", "--parallelrun-entry=b/score.py", "--parallelrun-input=data", "-v"
    )
    assert_gated(result, 2 * TOTAL)
    result.stdout.fnmatch_lines(["a/score.py::test_job_completes PASSED*", "b/score.py::test_job_completes PASSED*"])


def test_a_script_that_matches_python_files_is_gated_and_not_collected_as_a_test_module(
    project: Path, run_pytest: Run, write: Write
) -> None:
    write("test_score.py", "def test_of_its_own(): pass\ndef run(mini_batch):\n    return list(mini_batch)\n")
    result = run_pytest("--parallelrun-entry=test_score.py", "--collect-only", "-q")
    assert ids(result) == gated_ids("test_score.py")


def test_doctests_of_the_script_are_collected_besides(project: Path, gate: Run, write: Write) -> None:
    write(
        "score.py",
        """
        def run(mini_batch):
            \"\"\"
            >>> run(["a"])
            ['a']
            \"\"\"
            return list(mini_batch)
        """,
    )
    assert_gated(gate("--doctest-modules"), TOTAL + 1)


@pytest.mark.parametrize("folder", ["build", "dist", ".hidden", "node_modules"])
def test_a_script_below_a_folder_that_pytest_does_not_walk_is_gated(
    project: Path, run_pytest: Run, write: Write, folder: str
) -> None:
    write(f"{folder}/score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    assert_gated(run_pytest(f"--parallelrun-entry={folder}/score.py", "--parallelrun-input=data"), TOTAL)


def test_nothing_else_in_such_a_folder_is_collected(project: Path, run_pytest: Run, write: Write) -> None:
    write("build/src/score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    write("build/test_stale.py", "def test_stale(): raise RuntimeError\n")
    write("build/src/test_stale_too.py", "def test_stale(): raise RuntimeError\n")
    result = run_pytest("--parallelrun-entry=build/src/score.py", "--collect-only", "-q")
    assert ids(result) == gated_ids("build/src/score.py")


def test_an_ignored_script_is_gated_all_the_same(nested: Path, run_pytest: Run) -> None:
    assert ids(run_pytest(*NESTED, "--ignore=src", "--collect-only", "-q")) == gated_ids("src/score.py")


def test_tests_of_the_package_run_beside_the_gate(project: Path, run_pytest: Run, write: Write) -> None:
    write("pkg/__init__.py", "")
    write("pkg/sub/__init__.py", "")
    write("pkg/conftest.py", "import pytest\n@pytest.fixture(autouse=True)\ndef mark():\n    print('seen')\n")
    write("pkg/sub/test_mine.py", "from pkg.sub import __name__\ndef test_mine(): assert __name__ == 'pkg.sub'\n")
    write("pkg/sub/score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    result = run_pytest(
        "--parallelrun-entry=pkg/sub/score.py", "--parallelrun-input=data", "-s", "-k", "mine or imports"
    )
    result.assert_outcomes(passed=2, deselected=TOTAL - 1)
    assert result.stdout.str().count("seen") == 2


def test_a_package_keeps_its_setup_for_the_users_tests(project: Path, run_pytest: Run, write: Write) -> None:
    write("pkg/__init__.py", "READY = []\ndef setup_module():\n    READY.append(1)\n")
    write("pkg/test_mine.py", "from pkg import READY\ndef test_mine(): assert READY\n")
    write("pkg/score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    assert_gated(run_pytest("--parallelrun-entry=pkg/score.py", "--parallelrun-input=data"), TOTAL + 1)


def test_a_script_inside_a_package_is_gated(project: Path, run_pytest: Run, write: Write) -> None:
    write("pkg/__init__.py", "raise RuntimeError('the package is not part of a worker')\n")
    write("pkg/score.py", "def run(mini_batch):\n    return list(mini_batch)\n")
    assert_gated(run_pytest("--parallelrun-entry=pkg/score.py", "--parallelrun-input=data"), TOTAL)


def test_testpaths_stay_in_force(project: Path, pytester: pytest.Pytester, gate: Run, write: Write) -> None:
    pytester.makeini("[pytest]\ntestpaths = tests")
    write("tests/test_mine.py", "def test_mine(): pass\n")
    write("elsewhere/test_other.py", "def test_other(): pass\n")
    assert_gated(gate(), TOTAL + 1)


@pytest.mark.installed_plugins
@pytest.mark.parametrize(
    "arguments",
    [
        ("-W", "error", "--strict-markers", "--strict-config", "--capture=no"),
        ("-p", "no:timeout", "--strict-markers"),
        ("-p", "no:xdist", "-p", "no:junitxml"),
        ("-p", "no:hypothesispytest"),
        ("-p", "no:terminal"),
        ("--timeout=30", "--hypothesis-show-statistics"),
        ("--assert=plain", "--setup-show", "-x", "--durations=3", "-ra"),
    ],
    ids=" ".join,
)
def test_it_works_with(project: Path, gate: Run, arguments: tuple[str, ...]) -> None:
    assert gate(*arguments).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("option", ["--help", "--version", "--fixtures", "--markers"])
def test_pytest_still_informs(project: Path, gate: Run, option: str) -> None:
    assert gate(option).ret == pytest.ExitCode.OK


def test_help_is_shown_to_those_whose_options_are_wrong(project: Path, run_pytest: Run) -> None:
    result = run_pytest("--help", "--parallelrun-entry=missing.py")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["Azure ML parallel jobs (pytest-parallelrun):", "*--parallelrun-entry=PATH*"])


def test_help_lists_the_ini_twins(project: Path, run_pytest: Run) -> None:
    from pytest_parallelrun._options import OPTIONS

    text = run_pytest("--help").stdout.str()
    assert not [option.dest for option in OPTIONS if f"  {option.dest} (" not in text]


@pytest.mark.installed_plugins
def test_switched_off_its_options_are_unrecognized(project: Path, gate: Run) -> None:
    result = gate("-p", "no:parallelrun")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --parallelrun-entry=score.py*"])


def test_without_its_options_it_leaves_a_run_alone(project: Path, run_pytest: Run, write: Write) -> None:
    write("test_mine.py", "def test_mine(): pass\n")
    result = run_pytest()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*parallelrun: *")


def test_pdb_stops_at_a_finding(project: Path, pytester: pytest.Pytester, write: Write) -> None:
    write("score.py", "def run(mini_batch):\n    return None\n")
    arguments = ("--pdb", "-k", "returns_valid_type", "--parallelrun-entry=score.py", "--parallelrun-input=data")
    result = pytester.run(sys.executable, "-m", "pytest", *arguments, stdin=b"q\n")
    result.stdout.fnmatch_lines(["run() returned None.*", "*(Pdb)*", "*1 failed*"])


def test_two_workers_of_xdist_share_the_checks_and_write_each_file_once(
    project: Path, gate_in_two: Run, write: Write
) -> None:
    write(
        "test_mine.py",
        """
        import pytest

        @pytest.mark.parametrize("size", [1, 2, 3])
        def test_it(parallelrun, size):
            assert parallelrun(mini_batch_size=size).succeeded_items == 3
        """,
    )
    reports = ("--parallelrun-report=gate.json", "--junitxml=junit.xml", "--parallelrun-forecast=6")
    result = gate_in_two(*reports, "--parallelrun-set=output_action=append_row", "--parallelrun-output=out")
    assert_gated(result, TOTAL + 3)
    result.stdout.fnmatch_lines([f"score.py: passed: {TOTAL} checks, 3 of 3 mini-batches*"])
    (entry,) = read_valid(project / "gate.json")["entries"]
    assert [check["name"] for check in entry["checks"]] == NAMES
    assert entry["forecast"]["mini_batches"] == 6
    assert len((project / "out" / "parallel_run_step.txt").read_text().splitlines()) == 3

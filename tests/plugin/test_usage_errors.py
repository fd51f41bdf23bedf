"""Options that are wrong: pytest ends before it collects, with one line that has value, origin and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run, Write

ENTRY, DATA = "--parallelrun-entry=score.py", "--parallelrun-input=data"

OF_A_GATE = [
    ("--parallelrun-args=--word 'open", "program arguments *no closing quotation*"),
    ("--parallelrun-args=--error_threshold many", "error_threshold='many' (from program arguments)*whole number*"),
    ("--parallelrun-args=--error_threshold", "program arguments: *error_threshold*expected one argument*"),
    *(
        (f"--parallelrun-budget={value}", f"--parallelrun-budget={value}: must be a number of seconds above 0*")
        for value in ("0", "-1", "soon", "inf", "nan", "")
    ),
    ("--parallelrun-code=scr", "*code root '*scr' is not a folder*"),
    ("--parallelrun-code=data", "*score.py' does not lie below the code root '*data'*"),
    ("--parallelrun-engine=quantum", "--parallelrun-engine=quantum: unknown engine. Allowed: inprocess*"),
    ("--parallelrun-env=GREETING", "--parallelrun-env 'GREETING': give NAME=VALUE."),
    ("--parallelrun-env==hello", "--parallelrun-env '=hello': give NAME=VALUE."),
    (
        "--parallelrun-explain=job_complete",
        "--parallelrun-explain=job_complete: there is no such check. Did you mean 'job_completes'?",
    ),
    (
        "--parallelrun-forecast=many",
        "--parallelrun-forecast=many: must be the size of the full job, a number of files such as *",
    ),
    ("--parallelrun-forecast=5GB", "--parallelrun-forecast=5GB: is a size in bytes, but this input is files. Give *"),
    ("--parallelrun-forecast=node_cores=4", "*: the size of the full job is missing. Add --parallelrun-forecast=SIZE."),
    ("--parallelrun-input=table.csv", "--parallelrun-input: input mixes a table ('*table.csv') with other paths*"),
    ("--parallelrun-input=dta", "--parallelrun-input: input '*dta' does not exist*"),
    ("--parallelrun-logs=.", "--parallelrun-logs=*: give a new or empty folder."),
    ("--parallelrun-logs=notes.txt/logs", "--parallelrun-logs=*/logs: is below '*notes.txt', which is a file*"),
    ("--parallelrun-model=models/missing", "model '*missing': '*missing' does not exist; give NAME=PATH or PATH*"),
    ("--parallelrun-model=mine=models/missing", "model 'mine=*missing': '*missing' does not exist*"),
    ("--parallelrun-model=mine=", "model 'mine=': the path is empty*"),
    ("--parallelrun-model=", "model '': the path is empty*"),
    ("--parallelrun-output=data", "--parallelrun-output=*data: give a new or empty folder*"),
    ("--parallelrun-output=score.py", "--parallelrun-output=*score.py: is a file: give a folder."),
    (
        "--parallelrun-report=gate.pdf",
        "--parallelrun-report=gate.pdf: unknown report type. Allowed: .html, .json, .md.",
    ),
    ("--parallelrun-report=gate", "--parallelrun-report=gate: unknown report type. Allowed: .html, .json, .md."),
    ("--parallelrun-report=gate.htm", "--parallelrun-report=gate.htm: unknown report type. Did you mean '.html'?"),
    ("--parallelrun-report=gate.jsn", "--parallelrun-report=gate.jsn: unknown report type. Did you mean '.json'?"),
    ("--parallelrun-report=folder.json", "--parallelrun-report=folder.json: is a folder; give a file."),
    ("--parallelrun-save=score.py", "--parallelrun-save=score.py: is a file; give a folder."),
    (
        "--parallelrun-set=mini_batchsize=3",
        "--parallelrun-set mini_batchsize=3: unknown *Did you mean 'mini_batch_size'?",
    ),
    ("--parallelrun-set=max_retries=-1", "max_retries='-1' (from --parallelrun-set): must be a whole number of 0 *"),
    ("--parallelrun-set=max_retries=few", "max_retries='few' (from --parallelrun-set): must be a whole number of 0 *"),
    ("--parallelrun-set=rules=obsreved", "rules='obsreved' (from --parallelrun-set): must be 'documented' or *"),
    ("--parallelrun-set=max_retries", "--parallelrun-set 'max_retries': give NAME=VALUE."),
    ("--parallelrun-set=entry_script=x.py", "--parallelrun-set entry_script=x.py: unknown *with --parallelrun-entry*"),
    ("--parallelrun-set=mini_batch_size=1MB", "--parallelrun-set: mini_batch_size='1MB' is a size in bytes, but*"),
]
"""With the gate of a script that is in order."""

ALONE = [
    (("--parallelrun-entry=scor.py",), "--parallelrun-entry=scor.py: *does not exist. Did you mean 'score.py'?"),
    (("--parallelrun-entry=.",), "--parallelrun-entry=.: *is a folder; give the script itself*score.py*"),
    (("--parallelrun-entry=data/item_1.txt",), "--parallelrun-entry=data/item_1.txt: *must end in .py*"),
    (("--parallelrun-entry=",), "--parallelrun-entry: the path is empty."),
    ((ENTRY, "--parallelrun-input=dta"), "--parallelrun-input: input '*dta' does not exist: *Did you mean 'data'?"),
    ((ENTRY, "--parallelrun-input=nothing/*.txt"), "--parallelrun-input: input '*': the pattern matches no file*"),
    (
        (ENTRY, "--parallelrun-input=https://example.org/data"),
        "--parallelrun-input: *remote inputs are not downloaded*",
    ),
    ((ENTRY, "--parallelrun-input="), "--parallelrun-input: the path is empty."),
    (
        (ENTRY, "--parallelrun-input=empty"),
        "--parallelrun-input: input '*empty': there is no file in the folder or below it.",
    ),
    ((ENTRY, "--parallelrun-input=header.csv"), "--parallelrun-input: *not a single row of data*"),
    (
        (ENTRY, "--parallelrun-input=table.parquet"),
        "--parallelrun-input: *table.parquet' is corrupt, or not a Parquet file: *",
    ),
    (
        (ENTRY, "--parallelrun-input=notes.txt"),
        "--parallelrun-input: *notes.txt': a single file that is not a table is rejected by Azure ML*Pass its folder*",
    ),
    ((ENTRY, "--parallelrun-input=broken.csv"), "--parallelrun-input: *broken.csv*3*"),
    (
        (ENTRY, "--parallelrun-input=table.csv", "--parallelrun-set=partition_keys=Stores"),
        "--parallelrun-input: partition_keys: there is no 'Stores'*Did you mean 'Store'?*",
    ),
    (
        (ENTRY, "--parallelrun-model=mine=models/first", "--parallelrun-model=mine=models/second.txt"),
        "model *the name 'mine' is already that of*",
    ),
    ((ENTRY, "--parallelrun-plan", "--parallelrun-set=max_retries=few"), "max_retries='few'*"),
    # Without an entry there are the fixtures.
    (("--parallelrun-input=dta",), "--parallelrun-input: input '*dta' does not exist*"),
    (("--parallelrun-model=models/missing",), "model '*missing': '*missing' does not exist*"),
    (("--parallelrun-set=max_retries=few",), "max_retries='few'*"),
    *(
        (
            (f"--parallelrun-{option}",),
            f"--parallelrun-{option.partition('=')[0]} needs an entry script to check: add --parallelrun-entry=PATH.",
        )
        for option in ("report=gate.json", "save=cases", "budget=1", "strict", "plan")
    ),
]

IN_THE_INI_FILE = [
    ("engine = inproces", "parallelrun_engine in tox.ini=inproces: unknown engine. Did you mean 'inprocess'?"),
    ("entry = scor.py", "parallelrun_entry in tox.ini=scor.py: *Did you mean 'score.py'?"),
    ("input = dta", "parallelrun_input in tox.ini: input '*dta' does not exist*"),
    ("set = max_retires=2", "parallelrun_set in tox.ini*max_retires*Did you mean 'max_retries'?"),
    ("strict = maybe", "parallelrun_strict in tox.ini: *maybe*Allowed: true or false."),
]


@pytest.fixture
def folder(project: Path, write: Write) -> Path:
    for name in ("empty", "folder.json"):
        (project / name).mkdir()
    write("header.csv", "a,b\n")
    write("table.csv", "Store,n\n1,2\n")
    write("broken.csv", "a,b\n1,2\n1,2,3,4\n")
    for name in ("table.parquet", "notes.txt", "models/first/weights.txt", "models/second.txt"):
        write(name, "")
    return project


def assert_refused(result: pytest.RunResult, message: str, folder: Path) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert len(result.stderr.str().strip().splitlines()) <= 2
    assert len(list((folder / "data").iterdir())) == 3


@pytest.mark.parametrize(("option", "message"), OF_A_GATE)
def test_what_is_wrong_is_refused(folder: Path, gate: Run, option: str, message: str) -> None:
    assert_refused(gate(option), message, folder)


@pytest.mark.parametrize(("arguments", "message"), ALONE)
def test_what_cannot_be_without_something_else_is_refused(
    folder: Path, run_pytest: Run, arguments: tuple[str, ...], message: str
) -> None:
    if any("parquet" in argument for argument in arguments):
        pytest.importorskip("pyarrow")
    assert_refused(run_pytest(*arguments), message, folder)


@pytest.mark.parametrize(("line", "message"), IN_THE_INI_FILE)
def test_what_is_wrong_in_the_ini_file_is_said_to_be_from_there(
    folder: Path, run_pytest: Run, pytester: pytest.Pytester, line: str, message: str
) -> None:
    pytester.makeini(f"[pytest]\nparallelrun_{line}")
    arguments = () if line.startswith("entry") else (ENTRY,)
    assert_refused(run_pytest(*arguments), message, folder)

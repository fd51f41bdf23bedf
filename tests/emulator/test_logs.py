from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from pytest_parallelrun import Fault, JobResult, JobSettings, ParallelJob
from pytest_parallelrun.emulator.errors import InputError
from pytest_parallelrun.emulator.logs import ATTEMPT_COLUMNS
from tests.emulator.jobs import make_files

HERE = ("inprocess", "process")
"""Those that need no extra; tests/ray has the other one."""

SCRIPT = """
import os, sys
from azureml_user.parallel_run import EntryScript

def init():
    os.makedirs(EntryScript().log_dir, exist_ok=True)
    EntryScript().logger.info("up")

def run(paths):
    names = [os.path.basename(path) for path in paths]
    print("working on", names[0])
    print("careful", file=sys.stderr)
    if names[0] == "f01":
        raise ValueError("bad item")
    return names
"""


def run_job(folder: Path, engine: str, *faults: Fault, script: str = SCRIPT, **settings: object) -> JobResult:
    """A job of three files whose logs are in folder/kept."""
    path = folder / "score.py"
    path.write_text(script, encoding="utf-8")
    data = folder / "data"
    data.mkdir()
    make_files(data, 3)
    chosen = JobSettings.from_mapping({"max_retries": 1, **settings})
    return ParallelJob(path, data, chosen, faults=faults, engine=engine, logs=folder / "kept").run()


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def lines_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "kept/logs/sys/job_report/processed_mini-batches.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("engine", HERE)
def test_the_logs_are_laid_out_as_on_the_service(tmp_path: Path, engine: str) -> None:
    run_job(tmp_path, engine, error_threshold=0)
    written = files_below(tmp_path / "kept" / "logs")
    stamped = sorted(name.partition(".")[0] for name in written if name.startswith(("job_progress", "job_error")))
    assert stamped == ["job_error", "job_progress_overview"]
    assert {name for name in written if not name.startswith(("job_progress", "job_error"))} == {
        "job_result.txt",
        "readme.txt",
        "sys/job_report/processed_mini-batches.csv",
        "user/entry_script_log/instance0/process000.txt",
        "user/error.txt",
        "user/error/instance0/process000.txt",
        "user/stderr/instance0/process000.stderr.txt",
        "user/stdout/instance0/process000.stdout.txt",
    }


@pytest.mark.parametrize("engine", HERE)
def test_what_a_worker_prints_is_in_its_own_files(
    tmp_path: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_job(tmp_path, engine, script=SCRIPT.replace('EntryScript().logger.info("up")', "pass"), max_retries=0)
    user = tmp_path / "kept" / "logs" / "user"
    printed = (user / "stdout/instance0/process000.stdout.txt").read_text("utf-8")
    assert printed.splitlines() == [f"working on f0{number}" for number in range(3)]
    assert (user / "stderr/instance0/process000.stderr.txt").read_text("utf-8").splitlines() == ["careful"] * 3
    # And where the output of a test is looked for.
    assert capsys.readouterr() == (printed, "careful\n" * 3)


def test_records_of_the_root_logger_are_in_stdout_of_a_worker_process(tmp_path: Path) -> None:
    script = "import logging\ndef run(paths):\n    logging.info('fine')\n    logging.debug('not')\n    return paths"
    run_job(tmp_path, "process", script=script)
    printed = (tmp_path / "kept/logs/user/stdout/instance0/process000.stdout.txt").read_text("utf-8")
    assert printed == "fine\n" * 3


@pytest.mark.parametrize("engine", HERE)
def test_each_attempt_is_a_line_with_the_columns_of_the_service(tmp_path: Path, engine: str) -> None:
    run_job(tmp_path, engine)
    lines = lines_of(tmp_path)
    assert tuple(lines[0]) == ATTEMPT_COLUMNS
    picked = sorted((line["Mini-batch Id"], line["Picked Count"], line["Status"], line["Failed"]) for line in lines)
    assert picked == [
        ("0", "1", "RUN_DONE", "0"),
        ("1", "1", "RUN_EXCEPTION", "1"),
        ("1", "2", "RUN_EXCEPTION", "1"),
        ("2", "1", "RUN_DONE", "0"),
    ]
    bad = next(line for line in lines if line["Status"] == "RUN_EXCEPTION")
    assert (bad["Process"], bad["Error Category"], bad["Error Message"]) == (
        "process000",
        "run",
        "ValueError: bad item",
    )
    assert bad["Mini-batch Detail"] == '["f01"]'


def test_the_status_tells_how_an_attempt_ended(tmp_path: Path) -> None:
    faults = (Fault.times_out(mini_batch=0), Fault.crashes(mini_batch=1), Fault.load_fails(mini_batch=2))
    run_job(tmp_path, "inprocess", *faults, max_retries=0)
    assert [line["Status"] for line in lines_of(tmp_path)] == ["RUN_TIMEOUT", "RUN_CRASHED", "LOAD_EXCEPTION"]


def test_loading_that_took_too_long_has_a_status_of_its_own(tmp_path: Path) -> None:
    run_job(tmp_path, "inprocess", task_overhead_timeout=1e-9, max_retries=0)
    assert {line["Status"] for line in lines_of(tmp_path)} == {"LOAD_TIMEOUT"}


def test_of_a_large_mini_batch_some_items_are_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    make_files(tmp_path / "data", 12)
    (tmp_path / "score.py").write_text("def run(paths): return paths", encoding="utf-8")
    settings = JobSettings(mini_batch_size=12)
    ParallelJob(tmp_path / "score.py", tmp_path / "data", settings, logs=tmp_path / "kept").run()
    [line] = lines_of(tmp_path)
    assert line["Mini-batch Detail"].endswith('"f09", "..."]')


def test_errors_are_told_for_each_worker_with_their_traceback(tmp_path: Path) -> None:
    run_job(tmp_path, "inprocess")
    user = tmp_path / "kept" / "logs" / "user"
    assert (user / "error.txt").read_text("utf-8") == "2 x ValueError: bad item\n"
    text = (user / "error/instance0/process000.txt").read_text("utf-8")
    assert text.startswith("mini-batch 1, attempt 1: ValueError: bad item\nTraceback (most recent call last):")
    assert 'raise ValueError("bad item")' in text


def test_a_worker_that_does_not_come_up_is_among_the_errors(tmp_path: Path) -> None:
    run_job(tmp_path, "inprocess", script="def init(): 1 / 0\ndef run(paths): return paths")
    logs = tmp_path / "kept" / "logs"
    assert (logs / "user/error.txt").read_text("utf-8") == "3 x ZeroDivisionError: division by zero\n"
    assert (logs / "user/error/instance0/process002.txt").read_text("utf-8").startswith("init: ZeroDivisionError")
    assert "init() failed 3 times" in next(logs.glob("job_error.*.txt")).read_text("utf-8")


def test_a_shutdown_that_fails_is_among_the_errors(tmp_path: Path) -> None:
    run_job(tmp_path, "inprocess", script="def run(paths): return paths\ndef shutdown(): 1 / 0")
    user = tmp_path / "kept" / "logs" / "user"
    assert (user / "error.txt").read_text("utf-8") == "1 x ZeroDivisionError: division by zero\n"
    text = (user / "error/instance0/process000.txt").read_text("utf-8")
    assert text.startswith("shutdown: ZeroDivisionError: division by zero\nTraceback (most recent call last):")


def test_a_job_without_items_has_logs_that_say_so(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "data").mkdir()
    ParallelJob(tmp_path / "score.py", tmp_path / "data", logs=tmp_path / "kept").run()
    logs = tmp_path / "kept" / "logs"
    assert (logs / "job_result.txt").read_text("utf-8").startswith("The job failed. There are 0 mini batches")
    assert "FirstTaskCreationTimeout" in next(logs.glob("job_error.*.txt")).read_text("utf-8")
    assert lines_of(tmp_path) == []


def test_the_result_is_told_in_the_sentence_of_the_service(tmp_path: Path) -> None:
    run_job(tmp_path, "inprocess")
    text = (tmp_path / "kept/logs/job_result.txt").read_text("utf-8")
    assert text.startswith(
        "The job completed. There are 3 mini batches with 3 items. Processed 3 mini batches containing 3 items, "
        "2 succeeded, 1 failed. The error threshold is -1.\n"
    )


def test_progress_is_told_every_ten_seconds(tmp_path: Path) -> None:
    script = "import time\ndef run(paths):\n    time.sleep(15)\n    return paths"
    run_job(tmp_path, "inprocess", script=script)
    [overview] = (tmp_path / "kept" / "logs").glob("job_progress_overview.*.txt")
    assert overview.read_text("utf-8").splitlines() == [
        "Start scheduling.",
        "Scheduling finished. There are 3 tasks with 3 items.",
        "No task has been processed yet.",
        "Processed 1 of 3 mini batches in 0:00:20. Estimated remaining time 0:00:40.",
        "Processed 1 of 3 mini batches in 0:00:30. Estimated remaining time 0:01:00.",
        "Processed 2 of 3 mini batches in 0:00:40. Estimated remaining time 0:00:20.",
        "Processed 3 of 3 mini batches in 0:00:45. Estimated remaining time 0:00:00.",
    ]


def test_logs_of_another_job_are_not_mixed_with_these(tmp_path: Path) -> None:
    (tmp_path / "kept" / "logs" / "user").mkdir(parents=True)
    with pytest.raises(InputError, match="exists already and is never overwritten"):
        run_job(tmp_path, "inprocess")


def test_logs_that_are_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    with pytest.raises(InputError, match="is a file: give a folder"):
        run_job(tmp_path, "inprocess")


def test_names_that_are_no_utf8_are_told_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def run(paths): raise ValueError(paths[0])", encoding="utf-8")
    path = os.fsencode(tmp_path) + b"/f\xff"
    with open(path, "w"):
        pass
    result = ParallelJob(tmp_path / "score.py", [os.fsdecode(path)], logs=tmp_path / "kept").run()
    assert result.failed_items == 1
    assert lines_of(tmp_path)[0]["Mini-batch Detail"] == '["f\\udcff"]'
    assert r"f\udcff" in (tmp_path / "kept/logs/user/error.txt").read_text("utf-8")


def test_logs_that_cannot_be_written_in_the_end_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(logs: Path, result: JobResult, began: float) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_parallelrun.emulator.logs._write_texts", full)
    result = run_job(tmp_path, "inprocess")
    logs = tmp_path / "kept" / "logs"
    assert f"the logs in '{logs}' are not complete: [Errno 28] No space left on device" in result.notes
    assert result.status == "Completed"


def test_without_logs_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT, encoding="utf-8")
    make_files(tmp_path, 1)
    ParallelJob(tmp_path / "score.py", [str(tmp_path / "f00")]).run()
    assert sorted(os.listdir(tmp_path)) == ["f00", "score.py"]

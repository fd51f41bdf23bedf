from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from pathlib import Path
from typing import cast

import pandas as pd
import pytest

from pytest_parallelrun.emulator import output as output_module
from pytest_parallelrun.emulator.engines.protocol import Engine
from pytest_parallelrun.emulator.errors import FaultError, InputError
from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import AttemptEnded
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.job import ParallelJob
from pytest_parallelrun.emulator.ledger import Ledger
from pytest_parallelrun.emulator.output import AppendedFile, OutputError, Written
from pytest_parallelrun.emulator.result import JobResult
from pytest_parallelrun.emulator.scheduler import Scheduler
from pytest_parallelrun.emulator.settings import JobSettings
from pytest_parallelrun.emulator.splitting import open_input
from tests.emulator.jobs import ROW_BYTES, Names, Rows, Scripted, make_files, run_job, statuses, table


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return make_files(tmp_path, 3)


def lines(result: JobResult) -> list[str]:
    assert result.output_path is not None
    return result.output_path.read_text(encoding="utf-8").splitlines()


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Environment:
    """Returns what it was told about the output."""

    def run(self, paths: list[str]) -> list[str]:
        import sys

        given = sys.argv[sys.argv.index("--output") + 1] if "--output" in sys.argv else "none"
        return [f"{os.environ.get('AZUREML_BI_OUTPUT_PATH', 'none')}|{given}"] * len(paths)


class Writes:
    """Leaves a file in its working folder and, where there is one, in the output folder."""

    def run(self, paths: list[str]) -> list[str]:
        for folder in (".", os.environ.get("AZUREML_BI_OUTPUT_PATH", ".")):
            Path(folder, "own.txt").write_text("mine", encoding="utf-8")
        return paths


def test_append_row_writes_a_line_for_each_result(files: list[str]) -> None:
    assert lines(run_job(Names(), files, output_action="append_row")) == ["f00", "f01", "f02"]


def test_append_row_writes_a_table_with_spaces_and_without_header() -> None:
    result = run_job(Rows(), table(2), output_action="append_row")
    assert lines(result) == ["0000000", "0000001"]


def test_a_header_is_written_where_it_is_asked_for() -> None:
    result = run_job(Rows(), table(2), output_action="append_row", append_row_dataframe_header=True)
    assert lines(result) == ["id", "0000000", "0000001"]


def test_summary_only_appends_nothing(files: list[str], tmp_path: Path) -> None:
    result = run_job(Names(), files, output=tmp_path / "out")
    assert result.output_path is None
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("profile", "name"),
    [("v2", "parallel_run_step.txt"), ("v1", "parallel_run_step.txt"), ("batch", "predictions.csv")],
)
def test_the_appended_file_has_the_name_of_its_profile(profile: str, name: str, files: list[str]) -> None:
    settings = JobSettings.from_mapping({"profile": profile, "output_action": "append_row"})
    result = ParallelJob(Names(), files, settings).run()
    assert result.output_path is not None
    assert result.output_path.name == name


def test_files_in_the_output_folder_of_a_deployment_that_appends_nothing_are_kept(
    files: list[str], tmp_path: Path
) -> None:
    settings = JobSettings(profile="batch", output_action="summary_only")
    result = ParallelJob(Writes(), files, settings, output=tmp_path / "kept").run()
    assert result.output_path is None
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["own.txt", "process000"]
    assert (tmp_path / "kept" / "own.txt").read_text() == "mine"


@pytest.mark.parametrize("kept", [True, False])
def test_what_run_leaves_in_its_working_folder_is_known(files: list[str], tmp_path: Path, kept: bool) -> None:
    class SetsUp:
        def init(self) -> None:
            for name in ("model.bin", "header.csv", "gone"):
                Path(name).write_text("abc")

        def run(self, paths: list[str]) -> list[str]:
            with open("header.csv", "a") as file:
                file.write("more")
            Path("gone").unlink(missing_ok=True)
            Path("sub").mkdir(exist_ok=True)
            Path("sub/row.csv").write_text("1")
            os.symlink("nowhere", "dangling") if not os.path.lexists("dangling") else None
            return paths

    result = ParallelJob(SetsUp(), files, output=tmp_path / "kept" if kept else None).run()
    assert result.folder is not None
    folder = result.folder / "process000"
    assert dict(result.files_left) == {folder / "header.csv": 3 + 4 * len(files), folder / "sub/row.csv": 1}


def test_a_job_without_items_left_nothing(tmp_path: Path) -> None:
    result = ParallelJob(Names(), tmp_path).run()
    assert result.files_left == {}


def test_a_v2_job_is_told_of_its_output_exactly_with_append_row(files: list[str]) -> None:
    result = run_job(Environment(), files, output_action="append_row")
    assert result.output_path is not None
    folder = str(result.output_path.parent)
    assert result.rows[0] == f"{folder}|{folder}"
    assert run_job(Environment(), files).rows[0] == "none|none"


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("last_attempt", ["f01", "f02", "third"]),
        ("every_attempt", ["f01", "f02", "third"]),
    ],
)
def test_attempts_that_returned_nothing_legal_leave_no_rows(rule: str, rows: list[str], files: list[str]) -> None:
    entry = Scripted(at0=[ValueError(), None, ["third"]])
    settings = JobSettings.from_mapping({"appended_rows": rule, "output_action": "append_row"})
    result = ParallelJob(entry, files, settings).run()
    assert result.rows == lines(result) == rows


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("last_attempt", ["c", "d", "e", "b"]),
        ("every_attempt", ["a", "c", "d", "e", "b"]),
    ],
)
def test_rows_are_of_the_last_attempt_that_returned_or_of_all(rule: str, rows: list[str], tmp_path: Path) -> None:
    entry = Scripted(at0=[["a"], ["b"], ValueError()], at1=[["c", "d"]], at2=[["e"]])
    settings = JobSettings.from_mapping({"appended_rows": rule, "output_action": "append_row", "mini_batch_size": 2})
    result = ParallelJob(entry, make_files(tmp_path, 5), settings).run()
    assert result.rows == lines(result) == rows
    assert statuses(result) == ["failed", "succeeded", "succeeded"]


@pytest.mark.parametrize(("rule", "extra"), [("last_attempt", []), ("every_attempt", ["f00"])])
def test_a_second_delivery_adds_rows_only_where_every_attempt_appends(
    rule: str, extra: list[str], files: list[str]
) -> None:
    settings = JobSettings.from_mapping({"appended_rows": rule, "output_action": "append_row"})
    result = ParallelJob(Names(), files, settings, faults=[Fault.delivers_twice(mini_batch=0)]).run()
    assert sorted(lines(result)) == sorted(["f00", "f01", "f02", *extra])
    assert result.rows == lines(result)


def test_rows_of_a_first_delivery_stay_when_the_second_fails(files: list[str]) -> None:
    entry = Scripted(at0=[["first"], ValueError()])
    result = run_job(entry, files, Fault.delivers_twice(mini_batch=0), output_action="append_row", max_retries=0)
    assert statuses(result)[0] == "failed"
    assert result.rows == lines(result) == ["f01", "f02", "first"]


def test_a_job_that_was_stopped_keeps_the_rows_of_what_had_ended(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.crashes(mini_batch=1), output_action="append_row", error_threshold=0)
    assert result.status == "Failed"
    assert lines(result) == ["f00", "f02"]


@pytest.mark.parametrize("action", ["append_row", "summary_only"])
def test_append_row_without_a_succeeded_item_fails_the_job_whatever_the_thresholds(
    action: str, files: list[str]
) -> None:
    settings = JobSettings.from_mapping({"output_action": action})
    result = ParallelJob(Names(), files, settings, faults=[Fault.raises(ValueError)]).run()
    assert result.status == ("Failed" if action == "append_row" else "Completed")
    assert ("NoResultToAppendError" in str(result.reason)) == (action == "append_row")
    assert result.exceeded is None
    assert statuses(result) == ["failed"] * 3


def test_one_succeeded_item_is_enough_for_append_row(files: list[str]) -> None:
    faults = [Fault.raises(ValueError, mini_batch=0), Fault.raises(ValueError, mini_batch=1)]
    assert run_job(Names(), files, *faults, output_action="append_row").status == "Completed"


def test_an_exceeded_threshold_is_the_reason_before_missing_results(files: list[str]) -> None:
    result = run_job(Names(), files, Fault.raises(ValueError), output_action="append_row", error_threshold=2)
    assert result.exceeded == "error_threshold"


def test_a_result_that_has_no_text_fails_the_job_with_the_mini_batch(files: list[str]) -> None:
    result = run_job(Scripted(at1=[[Unprintable()]]), files, output_action="append_row")
    assert (result.status, result.exceeded) == ("Failed", None)
    assert "the results of mini-batch 1 cannot be appended" in (result.reason or "")
    assert "RuntimeError: no text" in (result.reason or "")
    assert statuses(result) == ["succeeded", "succeeded", "unfinished"]
    assert result.processed_mini_batches == 2


def test_a_result_that_has_no_text_fails_the_job_under_every_attempt_too(files: list[str]) -> None:
    entry = Scripted(at1=[[Unprintable()]])
    result = run_job(entry, files, output_action="append_row", appended_rows="every_attempt")
    assert "the results of mini-batch 1 cannot be appended" in (result.reason or "")
    assert statuses(result) == ["succeeded", "unfinished", "unfinished"]
    assert result.processed_mini_batches == 1


def test_a_kept_output_has_the_appended_file_and_what_workers_wrote(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "aus gabe ä"
    result = run_job(Writes(), files, output=out, output_action="append_row")
    assert result.output_path == out / "parallel_run_step.txt"
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == ["own.txt", "parallel_run_step.txt", "process000/own.txt"]


def test_a_folder_for_the_output_is_made_with_those_above_it_and_an_empty_one_is_taken(
    files: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "a" / "b"
    run_job(Names(), files, output=out)
    assert out.is_dir()
    assert run_job(Names(), files, output=out, output_action="append_row").output_path == out / "parallel_run_step.txt"


def test_without_an_output_folder_the_file_is_in_a_temporary_one_that_shows_whose_it_is(files: list[str]) -> None:
    path = run_job(Names(), files, output_action="append_row").output_path
    assert path is not None
    assert (path.parent.name, path.parents[2].name.startswith("parallelrun-")) == ("output", True)


def test_every_folder_of_a_worker_is_looked_at_whatever_others_left(files: list[str], tmp_path: Path) -> None:
    class SecondWrites:
        def run(self, paths: list[str]) -> list[str]:
            if os.getcwd().endswith("1"):
                Path("own.txt").touch()
            return paths

    run_job(SecondWrites(), files, output=tmp_path / "out", instance_count=3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["process001"]


def test_folders_of_workers_that_wrote_nothing_are_not_kept(files: list[str], tmp_path: Path) -> None:
    run_job(Names(), files, output=tmp_path / "out", output_action="append_row", instance_count=2)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["parallel_run_step.txt"]


def test_an_existing_output_file_is_refused_before_anything_runs(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_job(Names(), files, output=out, output_action="append_row")
    entry = Scripted()
    with pytest.raises(InputError, match="exists already and is never overwritten"):
        run_job(entry, files, output=out, output_action="append_row")
    assert entry.order == []


def test_files_that_another_job_left_are_not_mixed_with_new_ones(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_job(Writes(), files, output=out)
    with pytest.raises(InputError, match=r"process000' exists already and is never overwritten"):
        run_job(Writes(), files, output=out)


def test_an_output_that_is_a_file_is_refused(files: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        run_job(Names(), files, output=Path(files[0]))
    assert str(caught.value) == f"output '{files[0]}' is a file: give a folder."


def test_a_full_disk_in_the_end_fails_the_job_with_its_reason(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, errors = AppendedFile.close, iter(["no space left"])

    def full(file: AppendedFile) -> None:
        close(file)
        for text in errors:
            raise OutputError(text)

    monkeypatch.setattr(AppendedFile, "close", full)
    result = run_job(Names(), files, output=tmp_path / "out", output_action="append_row")
    assert (result.status, result.reason) == ("Failed", "no space left")


REMOVES = """
import os, shutil
def run(paths):
    name = os.path.basename(paths[0])
    if name == os.environ["SPOILS"]:
        shutil.rmtree(os.environ["AZUREML_BI_OUTPUT_PATH"])
    return [name]
"""


def removing(folder: Path, spoils: str, *names: str, engine: str = "inprocess", **settings: object) -> JobResult:
    """A job of one file a mini-batch whose script removes the output folder at the file `spoils`."""
    (folder / "score.py").write_text(REMOVES)
    (folder / "in").mkdir()
    for name in names:
        (folder / "in" / name).touch()
    variables = {"SPOILS": spoils}
    fields = {"max_retries": 1, "output_action": "append_row", "environment_variables": variables, **settings}
    return ParallelJob(folder / "score.py", folder / "in", JobSettings.from_mapping(fields), engine=engine).run()


def test_an_output_folder_that_is_removed_fails_all_from_there_on_and_the_job(tmp_path: Path) -> None:
    result = removing(tmp_path, "b", "a", "b", "c")
    outcomes = [attempt.outcome for attempt in result.attempts]
    assert outcomes == ["succeeded", *["exception"] * 4]
    assert (result.succeeded_items, result.failed_items) == (1, 2)
    assert "the results cannot be appended: '" in str(result.attempts[1].failure)
    assert result.status == "Failed"
    assert "' is gone: the script has removed or replaced it, and the rows in it" in (result.reason or "")


def test_an_output_folder_that_is_removed_in_the_end_fails_the_job(tmp_path: Path) -> None:
    script = REMOVES.replace(
        "def run", "def shutdown():\n    shutil.rmtree(os.environ['AZUREML_BI_OUTPUT_PATH'])\ndef run"
    )
    (tmp_path / "score.py").write_text(script)
    (tmp_path / "a").touch()
    fields = {"output_action": "append_row", "environment_variables": {"SPOILS": ""}}
    result = ParallelJob(tmp_path / "score.py", [str(tmp_path / "a")], JobSettings.from_mapping(fields)).run()
    assert (result.status, result.succeeded_items) == ("Failed", 1)
    assert "is gone" in (result.reason or "")


def test_a_threshold_that_ends_the_job_does_not_hide_that_the_rows_are_gone(tmp_path: Path) -> None:
    result = removing(tmp_path, "b", "a", "b", "c", max_retries=0, error_threshold=0)
    assert result.status == "Failed"
    assert "error_threshold 0" in (result.reason or "")
    [note] = [note for note in result.notes if "the results are lost as well" in note]
    assert "is gone: the script has removed or replaced it" in note


def test_rows_that_wait_for_a_retry_when_their_file_cannot_be_made_anew_fail_the_job(tmp_path: Path) -> None:
    script = """
import os, shutil
calls = []
def run(paths):
    calls.append(paths)
    if len(calls) == 2:
        shutil.rmtree(os.environ["AZUREML_BI_OUTPUT_PATH"])
        open(os.environ["AZUREML_BI_OUTPUT_PATH"], "w").close()
    return paths[:1]
"""
    (tmp_path / "score.py").write_text(script)
    fields = {"max_retries": 1, "output_action": "append_row", "mini_batch_size": 2}
    result = ParallelJob(tmp_path / "score.py", make_files(tmp_path, 2), JobSettings.from_mapping(fields)).run()
    assert result.status == "Failed"
    assert "was removed, and cannot be created again" in (result.reason or "")


def test_an_attempt_fails_whose_worker_has_lost_its_own_file(tmp_path: Path) -> None:
    [mini_batch] = open_input(make_files(tmp_path, 1), JobSettings()).mini_batches()
    here, gone = Written(str(tmp_path / "here"), 0, 0), Written(str(tmp_path / "gone"), 0, 0)
    (tmp_path / "here").touch()
    attempt = AttemptEnded(
        mini_batch=mini_batch,
        number=1,
        worker=0,
        outcome="succeeded",
        returned=1,
        value=["a"],
        started=0.0,
        loading=0.0,
        running=0.0,
        failure=None,
        fault=None,
        written=here,
    )
    settings, events = JobSettings(), EventLog()
    with AppendedFile(tmp_path / "all.txt") as file:
        scheduler = Scheduler(
            settings,
            open_input(make_files(tmp_path, 1), settings),
            cast(Engine, None),
            ledger=Ledger(settings, "files", 1),
            events=events,
            appended=file,
        )
        scheduler.record(attempt)
        scheduler.record(attempt._replace(written=gone))
    kept, lost = events.attempts()
    assert kept == attempt._replace(written=None)
    assert (lost.outcome, lost.returned, lost.value, lost.written) == ("exception", None, None, None)
    assert lost.failure is not None
    assert (
        lost.failure.error == f"the results cannot be appended: '{gone.path}', to which the worker wrote them, is gone"
    )


@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_a_script_may_clear_its_output_folder_before_the_first_row(tmp_path: Path, engine: str) -> None:
    result = removing(tmp_path, "a", "a", "b", engine=engine)
    assert (result.status, result.succeeded_items) == ("Completed", 2)
    assert result.output_path is not None
    assert result.output_path.read_text() == "a\nb\n"


def test_without_an_output_folder_what_was_written_goes_with_the_result(files: list[str]) -> None:
    result = run_job(Names(), files, output_action="append_row")
    path = result.output_path
    assert path is not None
    assert path.exists()
    del result
    assert not path.exists()


def test_a_wrong_set_up_leaves_no_folder_behind(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    with pytest.raises(Exception, match="never fired"):
        run_job(Names(), files, Fault.crashes(mini_batch=9))
    assert list(temp.iterdir()) == []


def test_a_wrong_set_up_is_told_even_where_the_script_removed_its_folder(files: list[str]) -> None:
    class Removes:
        def run(self, paths: list[str]) -> list[str]:
            shutil.rmtree(Path(os.getcwd()).parent, ignore_errors=True)
            return paths

    with pytest.raises(FaultError, match="never fired"):
        run_job(Removes(), files[:1], Fault.crashes(mini_batch=9))


def test_rows_of_one_mini_batch_stay_together_and_in_order() -> None:
    result = run_job(
        Rows(),
        table(6),
        Fault.crashes(mini_batch=0, attempt=1),
        mini_batch_size=2 * ROW_BYTES,
        output_action="append_row",
    )
    assert lines(result) == [f"{row:07d}" for row in (2, 3, 4, 5, 0, 1)]


def test_a_frame_of_another_shape_is_appended_below() -> None:
    class Shapes:
        def run(self, rows: pd.DataFrame) -> object:
            first = rows["id"].iloc[0] == "0000000"
            return rows.assign(more="x y") if first else list(rows["id"])

    result = run_job(Shapes(), table(2), mini_batch_size=ROW_BYTES, output_action="append_row")
    assert lines(result) == ['0000000 "x y"', "0000001"]


def test_an_output_path_that_the_user_sets_is_told_to_be_in_vain(files: list[str]) -> None:
    variables = {"AZUREML_BI_OUTPUT_PATH": "elsewhere"}
    appending = run_job(Names(), files, output_action="append_row", environment_variables=variables)
    assert [note for note in appending.notes if note.startswith("AZUREML_BI_OUTPUT_PATH has no effect")]
    assert run_job(Names(), files, environment_variables=variables).notes == ()


class WritesToItsOutput:
    """Writes a file for each item into the folder behind --to."""

    def init(self) -> None:
        self.folder = Path(sys.argv[sys.argv.index("--to") + 1])

    def run(self, paths: list[str]) -> list[str]:
        for path in paths:
            (self.folder / os.path.basename(path)).write_text("", encoding="utf-8")
        return [str(self.folder) for _ in paths]


def test_an_output_that_program_arguments_name_is_a_folder_that_is_there(files: list[str], tmp_path: Path) -> None:
    job = ParallelJob(WritesToItsOutput(), files, program_arguments="--to ${{outputs.pages}}", output=tmp_path / "kept")
    assert job.run().succeeded_items == len(files)
    kept = tmp_path / "kept" / "pages"
    assert sorted(file.name for file in kept.iterdir()) == sorted(os.path.basename(file) for file in files)


def test_every_job_has_its_own_folder_for_such_an_output(files: list[str]) -> None:
    settings = JobSettings(output_action="append_row")
    job = ParallelJob(WritesToItsOutput(), files, settings=settings, program_arguments=["--to", "${{outputs.pages}}"])
    first, second = job.run(), job.run()
    assert not set(lines(first)) & set(lines(second))


FULL = """
import errno, os, stat
write = os.write
def full(number, data):
    if stat.S_ISREG(os.fstat(number).st_mode):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return write(number, data)
os.write = full
def run(batch):
    return batch
"""


class FullDisk(io.FileIO):
    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("engine", ["inprocess", "process"])
def test_a_full_disk_fails_the_job_in_every_engine(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    (tmp_path / "score.py").write_text(FULL, encoding="utf-8")
    if engine == "inprocess":
        monkeypatch.setattr(
            output_module, "open", lambda path, mode: io.BufferedWriter(FullDisk(path, "x")), raising=False
        )
    result = ParallelJob(tmp_path / "score.py", files, JobSettings(output_action="append_row"), engine=engine).run()
    assert (result.status, result.succeeded_items) == ("Failed", 1)
    assert "the results of mini-batch 0 cannot be appended: " in str(result.reason)
    assert "No space left on device" in str(result.reason)

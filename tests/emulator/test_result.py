from __future__ import annotations

import dataclasses
import gc
from pathlib import Path

import pandas as pd
import pytest

from pytest_parallelrun.emulator.event_log import Attempt, MiniBatchResult
from pytest_parallelrun.emulator.events import JobEnded, MiniBatchEnded
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.result import MAX_SHOWN, JobResult
from tests.emulator.jobs import ROW_BYTES, Names, Rows, Scripted, make_files, run_job, table

DOCUMENTED = (
    "status",
    "reason",
    "exceeded",
    "total_mini_batches",
    "processed_mini_batches",
    "succeeded_mini_batches",
    "failed_mini_batches",
    "total_items",
    "succeeded_items",
    "failed_items",
    "mini_batches",
    "rows",
    "output_path",
    "explain",
)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return make_files(tmp_path, 5)


@pytest.fixture
def result(files: list[str]) -> JobResult:
    """Mini-batches of two: the first fails once, the second for good."""
    faults = [Fault.raises(ValueError("bad"), mini_batch=0, attempt=1), Fault.drops(1, mini_batch=1)]
    return run_job(Names(), files, *faults, mini_batch_size=2, max_retries=1)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_result_has_every_documented_name(name: str, result: JobResult) -> None:
    assert hasattr(result, name)


def test_a_mini_batch_and_an_attempt_have_the_documented_names() -> None:
    batch = [field.name for field in dataclasses.fields(MiniBatchResult)]
    assert batch == ["id", "size", "status", "succeeded", "failed", "attempts"]
    attempt = {field.name for field in dataclasses.fields(Attempt)}
    assert attempt >= {"number", "worker", "outcome", "returned", "duration", "error"}


def test_counts_are_of_mini_batches_and_items(result: JobResult) -> None:
    assert (result.status, result.reason, result.exceeded) == ("Completed", None, None)
    assert (result.total_mini_batches, result.processed_mini_batches) == (3, 3)
    assert (result.succeeded_mini_batches, result.failed_mini_batches) == (2, 1)
    assert (result.total_items, result.succeeded_items, result.failed_items) == (5, 4, 1)


def test_mini_batches_are_listed_in_order_of_their_ids_with_their_attempts(result: JobResult) -> None:
    shown = [
        (batch.id, batch.size, batch.status, batch.succeeded, batch.failed, [a.outcome for a in batch.attempts])
        for batch in result.mini_batches
    ]
    assert shown == [
        (0, 2, "succeeded", 2, 0, ["exception", "succeeded"]),
        (1, 2, "failed", 1, 1, ["short", "short"]),
        (2, 1, "succeeded", 1, 0, ["succeeded"]),
    ]


def test_an_attempt_tells_what_it_returned_and_what_went_wrong(result: JobResult) -> None:
    failed, fine = result.mini_batches[0].attempts
    assert (failed.returned, failed.error, failed.phase) == (None, "ValueError: bad", "run")
    assert (fine.returned, fine.error, fine.phase, fine.traceback) == (2, None, None, "")
    assert fine.started >= failed.started
    assert fine.duration >= 0
    short = result.mini_batches[1].attempts[0]
    assert short.returned == 1
    assert short.error == "run() returned 1 result for 2 items, 1 missing"


def test_a_traceback_shows_the_frames_of_the_script_alone(tmp_path: Path) -> None:
    script = tmp_path / "score.py"
    script.write_text("def run(paths):\n    return helper()\n\ndef helper():\n    return 1 / 0\n", encoding="utf-8")
    attempt = run_job(script, make_files(tmp_path, 1), max_retries=0).mini_batches[0].attempts[0]
    assert attempt.error == "ZeroDivisionError: division by zero"
    assert attempt.traceback.count("score.py") == 2
    assert "inprocess.py" not in attempt.traceback


def test_attempts_are_listed_in_the_order_in_which_they_ended(result: JobResult) -> None:
    assert [(event.mini_batch.id, event.number) for event in result.attempts] == [
        (0, 1),
        (1, 1),
        (2, 1),
        (0, 2),
        (1, 2),
    ]


def test_rows_are_in_the_order_in_which_mini_batches_ended(result: JobResult) -> None:
    assert result.rows == ["f04", "f00", "f01", "f02"]


def test_rows_of_a_dataframe_are_dicts() -> None:
    assert run_job(Rows(), table(2)).rows == [{"id": "0000000"}, {"id": "0000001"}]


def test_rows_of_lists_and_tuples_are_their_elements(files: list[str]) -> None:
    entry = Scripted(at0=[("a",)], at1=[[{"b": 1}]], at2=[pd.DataFrame({"c": [2]})])
    assert run_job(entry, files[:3]).rows == ["a", {"b": 1}, {"c": 2}]


def test_items_have_the_names_of_their_files_or_rows(result: JobResult, files: list[str]) -> None:
    assert result.item_names(1) == ("f02", "f03")
    rows = run_job(Rows(), table(3), mini_batch_size=2 * ROW_BYTES)
    assert rows.item_names(1) == ("row 3",)


def test_a_mini_batch_that_was_never_tried_has_no_names_to_show(files: list[str], tmp_path: Path) -> None:
    stopped = run_job(Names(), files, Fault.crashes(mini_batch=0), max_retries=0, error_threshold=0)
    assert stopped.item_names(4) == ()
    (tmp_path / "empty").mkdir()
    assert run_job(Names(), tmp_path / "empty").item_names(0) == ()


def test_events_end_with_the_job_and_tell_each_end_of_a_mini_batch_once(result: JobResult) -> None:
    ends = [event.mini_batch.id for event in result.events if isinstance(event, MiniBatchEnded)]
    assert ends == [2, 0, 1]
    assert [isinstance(event, JobEnded) for event in result.events].index(True) == len(result.events) - 1


def test_a_result_outlives_changes_of_its_input() -> None:
    frame = table(3)
    result = run_job(Rows(), frame, mini_batch_size=ROW_BYTES)
    frame["id"] = "longer than before"
    assert [batch.size for batch in result.mini_batches] == [1, 1, 1]
    assert result.rows[0] == {"id": "0000000"}


def test_the_folder_of_a_job_goes_with_its_result(files: list[str]) -> None:
    result = run_job(Names(), files, output_action="append_row")
    path = result.output_path
    assert path is not None
    folder = path.parent.parent
    assert folder.is_dir()
    del result
    gc.collect()
    assert not folder.exists()


def test_a_result_shows_its_counts(result: JobResult) -> None:
    assert repr(result) == ("<JobResult Completed: 3 of 3 mini-batches processed, 4 items succeeded, 1 failed>")


def test_a_result_tells_what_kind_of_input_there_was(result: JobResult, tmp_path: Path) -> None:
    assert result.splitter_kind == "files"
    assert run_job(Rows(), table(1)).splitter_kind == "tabular"
    assert run_job(Names(), []).splitter_kind is None


@pytest.fixture
def nine_files(tmp_path: Path) -> list[str]:
    return make_files(tmp_path, 9)


def test_a_sound_job_is_told_in_three_lines(nine_files: list[str]) -> None:
    assert run_job(Names(), nine_files).explain().splitlines() == [
        "<Names object>: Completed",
        "  9 of 9 mini-batches processed: 9 succeeded, 0 failed; 9 items: 9 succeeded, 0 failed",
        "  thresholds: error_threshold -1, mini_batch_error_threshold -1, allowed_failed_percent 100; "
        "max_retries 2, timeout 60 s; rules: documented",
    ]


def test_one_mini_batch_of_one_item_is_told_in_the_singular(nine_files: list[str]) -> None:
    text = run_job(Names(), nine_files[:1]).explain()
    assert "  1 of 1 mini-batch processed: 1 succeeded, 0 failed; 1 item: 1 succeeded, 0 failed" in text


def test_the_reason_has_the_arithmetic(nine_files: list[str]) -> None:
    text = run_job(Names(), nine_files, Fault.crashes(mini_batch=0), error_threshold=0).explain()
    assert text.startswith("<Names object>: Failed, since 1 failed item > error_threshold 0\n")


def test_a_failed_mini_batch_is_told_with_its_items_and_attempts(nine_files: list[str]) -> None:
    fault = Fault.raises(ValueError("bad"), mini_batch=1)
    text = run_job(Names(), nine_files, fault, mini_batch_size=4, max_retries=1).explain()
    assert (
        "\n".join(
            [
                "  mini-batch 1 (f04, f05, f06 and 1 more): 4 of 4 items failed",
                "    2 attempts, each: exception: ValueError: bad",
            ]
        )
        in text
    )


def test_attempts_that_differ_only_in_their_text_are_told_in_one_line(nine_files: list[str]) -> None:
    entry = Scripted(at0=[ValueError("at 0x7f10"), ValueError("at 0x7f20")])
    text = run_job(entry, nine_files, max_retries=1).explain()
    assert "    2 attempts, all of one kind, the last: exception: ValueError: at 0x7f20" in text


def test_attempts_that_ended_otherwise_are_told_one_by_one(nine_files: list[str]) -> None:
    entry = Scripted(at0=[ValueError("bad"), KeyError("worse")])
    text = run_job(entry, nine_files, max_retries=1).explain()
    assert "    attempt 1 of 2 on worker 0: exception: ValueError: bad\n" in text
    assert "    attempt 2 of 2 on worker 0: exception: KeyError: 'worse'" in text


def test_a_mini_batch_that_lost_items_is_told_though_it_did_not_fail(nine_files: list[str]) -> None:
    text = run_job(Names(), nine_files, Fault.drops(1, mini_batch=2), rules="observed", mini_batch_size=3).explain()
    assert "  mini-batch 2 (f06, f07, f08): 1 of 3 items failed" in text


def test_a_mini_batch_that_recovered_is_not_told(nine_files: list[str]) -> None:
    assert "mini-batch 1 (" not in run_job(Names(), nine_files, Fault.crashes(mini_batch=1, attempt=1)).explain()


def test_more_failed_mini_batches_than_are_shown_are_counted(nine_files: list[str]) -> None:
    text = run_job(Names(), nine_files, Fault.raises(ValueError), max_retries=0).explain()
    assert text.count("of 1 item failed") == MAX_SHOWN
    assert "  and 4 mini-batches more with failed items" in text


def test_an_attempt_without_an_error_is_told_without_one(nine_files: list[str]) -> None:
    entry = Scripted(at0=[["fine"], ValueError("bad")])
    text = run_job(entry, nine_files, Fault.delivers_twice(mini_batch=0), max_retries=0).explain()
    assert "    attempt 1 of 2 on worker 0: succeeded\n" in text


def test_failed_starts_of_workers_are_told_where_there_was_no_attempt(nine_files: list[str]) -> None:
    text = run_job(Names(), nine_files, Fault.init_raises(OSError("no model"))).explain()
    assert [line for line in text.splitlines() if line.startswith("  worker")] == [
        f"  worker {worker}: init failed: OSError: no model" for worker in range(3)
    ]


def test_failed_starts_of_workers_are_not_told_beside_attempts(nine_files: list[str]) -> None:
    assert "init failed" not in run_job(Names(), nine_files, Fault.init_raises(worker=0)).explain()


def test_notes_come_last(nine_files: list[str]) -> None:
    result = run_job(Names(), nine_files, Fault.returns(["a", "b"], mini_batch=0))
    assert result.explain().splitlines()[-1] == f"  note: {result.notes[0]}"


def test_an_empty_input_is_told(tmp_path: Path) -> None:
    text = run_job(Names(), tmp_path).explain()
    assert text.startswith("<Names object>: Failed, since input")
    assert "  0 of 0 mini-batches processed: 0 succeeded, 0 failed; 0 items: 0 succeeded, 0 failed" in text

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.result import SHOWN
from tests.emulator.jobs import NameList, Scripted, make_files, run_job


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return make_files(tmp_path, 9)


def test_a_sound_job_is_told_in_three_lines(files: list[str]) -> None:
    assert run_job(NameList(), files).explain().splitlines() == [
        "<Names object>: Completed",
        "  9 of 9 mini-batches processed: 9 succeeded, 0 failed; 9 items: 9 succeeded, 0 failed",
        "  thresholds: error_threshold -1, mini_batch_error_threshold -1, allowed_failed_percent 100; "
        "max_retries 2, timeout 60 s; rules: documented",
    ]


def test_one_mini_batch_of_one_item_is_told_in_the_singular(files: list[str]) -> None:
    text = run_job(NameList(), files[:1]).explain()
    assert "  1 of 1 mini-batch processed: 1 succeeded, 0 failed; 1 item: 1 succeeded, 0 failed" in text


def test_the_reason_has_the_arithmetic(files: list[str]) -> None:
    text = run_job(NameList(), files, Fault.crashes(mini_batch=0), error_threshold=0).explain()
    assert text.startswith("<Names object>: Failed, since 1 failed item > error_threshold 0\n")


def test_a_failed_mini_batch_is_told_with_its_items_and_attempts(files: list[str]) -> None:
    fault = Fault.raises(ValueError("bad"), mini_batch=1)
    text = run_job(NameList(), files, fault, mini_batch_size=4, max_retries=1).explain()
    assert (
        "\n".join(
            [
                "  mini-batch 1 (f04, f05, f06 and 1 more): 4 of 4 items failed",
                "    2 attempts, each: exception: ValueError: bad",
            ]
        )
        in text
    )


def test_attempts_that_ended_otherwise_are_told_one_by_one(files: list[str]) -> None:
    entry = Scripted(at0=[ValueError("bad"), ValueError("worse")])
    text = run_job(entry, files, max_retries=1).explain()
    assert "    attempt 1 of 2 on worker 0: exception: ValueError: bad\n" in text
    assert "    attempt 2 of 2 on worker 0: exception: ValueError: worse" in text


def test_a_mini_batch_that_lost_items_is_told_though_it_did_not_fail(files: list[str]) -> None:
    text = run_job(NameList(), files, Fault.drops(1, mini_batch=2), rules="observed", mini_batch_size=3).explain()
    assert "  mini-batch 2 (f06, f07, f08): 1 of 3 items failed" in text


def test_a_mini_batch_that_recovered_is_not_told(files: list[str]) -> None:
    assert "mini-batch 1 (" not in run_job(NameList(), files, Fault.crashes(mini_batch=1, attempt=1)).explain()


def test_more_failed_mini_batches_than_are_shown_are_counted(files: list[str]) -> None:
    text = run_job(NameList(), files, Fault.raises(ValueError), max_retries=0).explain()
    assert text.count("of 1 item failed") == SHOWN
    assert "  and 4 mini-batches more with failed items" in text


def test_an_attempt_without_an_error_is_told_without_one(files: list[str]) -> None:
    entry = Scripted(at0=[["fine"], ValueError("bad")])
    text = run_job(entry, files, Fault.delivers_twice(mini_batch=0), max_retries=0).explain()
    assert "    attempt 1 of 2 on worker 0: succeeded\n" in text


def test_failed_starts_of_workers_are_told_where_there_was_no_attempt(files: list[str]) -> None:
    text = run_job(NameList(), files, Fault.init_raises(OSError("no model"))).explain()
    assert [line for line in text.splitlines() if line.startswith("  worker")] == [
        f"  worker {worker}: init failed: OSError: no model" for worker in range(3)
    ]


def test_failed_starts_of_workers_are_not_told_beside_attempts(files: list[str]) -> None:
    assert "init failed" not in run_job(NameList(), files, Fault.init_raises(worker=0)).explain()


def test_notes_come_last(files: list[str]) -> None:
    result = run_job(NameList(), files, Fault.returns(["a", "b"], mini_batch=0))
    assert result.explain().splitlines()[-1] == f"  note: {result.notes[0]}"


def test_an_empty_input_is_told(tmp_path: Path) -> None:
    text = run_job(NameList(), tmp_path).explain()
    assert text.startswith("<Names object>: Failed, since input")
    assert "  0 of 0 mini-batches processed: 0 succeeded, 0 failed; 0 items: 0 succeeded, 0 failed" in text

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_parallelrun.report import trace as module
from pytest_parallelrun.report.trace import MAX_TEXT_LENGTH, Step, Trace
from tests.report.reports import Course, job, traced

BAD = ValueError("bad")


def test_it_survives_the_way_between_processes(tmp_path: Path) -> None:
    original = traced(job(tmp_path, 3, {"001.txt": [BAD]}))
    assert Trace.from_json(json.loads(json.dumps(original.as_json()))) == original


def test_a_cell_has_the_state_the_items_and_the_last_error_of_its_mini_batch(tmp_path: Path) -> None:
    course: Course = {"001.txt": [BAD], "002.txt": [BAD, BAD, KeyError("worse")], "003.txt": [0, 0, 0]}
    cells = traced(job(tmp_path, 5, course, rules="documented")).cells
    assert [cell.state for cell in cells] == ["succeeded", "retried", "failed", "failed", "succeeded"]
    assert [cell.attempts for cell in cells] == [1, 2, 3, 3, 1]
    assert [cell.failed_items for cell in cells] == [0, 0, 1, 1, 0]
    assert [cell.names for cell in cells] == [f"{number:03}.txt" for number in range(5)]
    assert cells[1].error == "ValueError: bad"
    assert "worse" in cells[2].error
    assert cells[0].error == ""


def test_items_that_are_lost_in_a_mini_batch_that_did_not_fail_show(tmp_path: Path) -> None:
    trace = traced(job(tmp_path, 4, {"000.txt": [1]}, mini_batch_size=2, rules="observed"))
    assert [cell.state for cell in trace.cells] == ["short", "succeeded"]
    assert trace.cells[0].failed_items == 1


def test_mini_batches_after_the_end_of_the_job_are_unfinished(tmp_path: Path) -> None:
    trace = traced(job(tmp_path, 4, {"001.txt": [BAD]}, error_threshold=0, max_retries=0))
    assert [cell.state for cell in trace.cells] == ["succeeded", "failed", "unfinished", "unfinished"]
    assert [cell.items for cell in trace.cells] == [1, 1, None, None]


def test_what_failed_was_short_or_tried_again_is_a_loss_the_worst_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course: Course = {"000.txt": [KeyError("once")], "002.txt": [ValueError("bad")] * 3, "003.txt": [0] * 3}
    result = job(tmp_path, 5, course)
    trace = traced(result)
    assert [(loss.mini_batch, loss.state, loss.kind, loss.failed_items, loss.attempts) for loss in trace.losses] == [
        (2, "failed", "ValueError", 1, 3),
        (3, "failed", "short", 1, 3),
        (0, "retried", "KeyError", 0, 2),
    ]
    assert (trace.losses[0].names, trace.losses[0].error) == ("002.txt", "ValueError: bad")
    monkeypatch.setattr(module, "MAX_LOSSES", 2)
    cut = traced(result)
    assert ([loss.mini_batch for loss in cut.losses], cut.total_losses) == ([2, 3], 3)


def test_each_attempt_is_a_bar_in_the_lane_of_its_worker(tmp_path: Path) -> None:
    trace = traced(job(tmp_path, 3, {"001.txt": [BAD]}, max_concurrency_per_instance=2))
    assert [(bar.mini_batch, bar.number, bar.outcome) for bar in trace.bars] == [
        (0, 1, "succeeded"),
        (1, 1, "exception"),
        (2, 1, "succeeded"),
        (1, 2, "succeeded"),
    ]
    assert [lane.worker for lane in trace.lanes] == [0, 1]
    assert {bar.worker for bar in trace.bars} == {0, 1}
    assert all(before.started <= after.started for before, after in zip(trace.bars, trace.bars[1:], strict=False))


def test_a_worker_that_does_not_come_up_has_a_lane_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): raise OSError('no disk')\ndef run(mini_batch): return []\n")
    (tmp_path / "item.txt").touch()
    from pytest_parallelrun.emulator.job import ParallelJob

    trace = traced(ParallelJob(tmp_path / "score.py", [tmp_path / "item.txt"]).run())
    assert trace.bars == ()
    assert {lane.error for lane in trace.lanes} == {"OSError: no disk"}


def test_steps_are_where_a_count_rose_and_at_both_ends(tmp_path: Path) -> None:
    trace = traced(job(tmp_path, 4, {"001.txt": [BAD], "002.txt": [BAD]}, max_retries=0))
    assert trace.steps == (
        Step(attempts=0, failed_items=0, failed_mini_batches=0),
        Step(attempts=2, failed_items=1, failed_mini_batches=1),
        Step(attempts=3, failed_items=2, failed_mini_batches=2),
        Step(attempts=4, failed_items=2, failed_mini_batches=2),
    )


def test_what_awaits_its_retry_counts_where_the_rule_says_so(tmp_path: Path) -> None:
    trace = traced(job(tmp_path, 2, {"000.txt": [BAD]}, threshold_check="pending"))
    assert [(step.attempts, step.failed_mini_batches) for step in trace.steps] == [(0, 0), (1, 1), (3, 0)]


def test_many_mini_batches_share_cells_and_many_attempts_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 4)
    monkeypatch.setattr(module, "MAX_BARS", 10)
    monkeypatch.setattr(module, "MIN_STRETCHES", 3)
    monkeypatch.setattr(module, "MAX_STRETCHES", 3)
    course = {"004.txt": [BAD], "011.txt": [BAD, BAD, BAD]}
    trace = traced(job(tmp_path, 15, course, error_threshold=5))
    assert trace.per_cell == 4
    assert [(cell.first, cell.count, cell.state) for cell in trace.cells] == [
        (0, 4, "succeeded"),
        (4, 4, "retried"),
        (8, 4, "failed"),
        (12, 3, "succeeded"),
    ]
    assert trace.cells[1].states == {"succeeded": 3, "retried": 1}
    assert [cell.items for cell in trace.cells] == [4, 4, 4, 3]
    assert trace.cells[2].attempts == 6
    assert len(trace.bars) <= 3
    assert sum(bar.attempts for bar in trace.bars) == trace.total_attempts == 18
    assert sum(bar.outcomes.get("exception", 0) for bar in trace.bars) == 4
    assert all(bar.outcome == "exception" for bar in trace.bars if "exception" in bar.outcomes)


def test_of_many_workers_the_first_have_lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LANES", 2)
    trace = traced(job(tmp_path, 6, max_concurrency_per_instance=3))
    assert (trace.workers, [lane.worker for lane in trace.lanes]) == (3, [0, 1])
    assert {bar.worker for bar in trace.bars} == {0, 1}


def test_of_many_steps_some_are_kept_with_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 5)
    trace = traced(job(tmp_path, 30, {f"{n:03}.txt": [BAD] for n in range(30)}, max_retries=0))
    assert len(trace.steps) <= 7
    assert trace.steps[-1] == Step(attempts=30, failed_items=30, failed_mini_batches=30)
    counts = [step.failed_items for step in trace.steps]
    assert counts == sorted(counts)


def test_long_texts_are_cut(tmp_path: Path) -> None:
    trace = traced(job(tmp_path, 1, {"000.txt": [ValueError("x" * 5000)]}))
    assert len(trace.cells[0].error) == len(trace.bars[0].error) == MAX_TEXT_LENGTH
    assert trace.cells[0].error.endswith("...")

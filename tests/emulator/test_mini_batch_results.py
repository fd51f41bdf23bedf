"""The sequence of what became of each mini-batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.service.worker_info import MiniBatchContext
from pytest_parallelrun.emulator.splitting.model import MiniBatch, PrebuiltInput
from tests.emulator.jobs import Names, Scripted, attempts, make_files, run_job, statuses


def test_it_is_a_sequence_of_values_made_when_they_are_looked_at(tmp_path: Path) -> None:
    results = run_job(Scripted(at1=[ValueError("bad")]), make_files(tmp_path, 4), max_retries=1).mini_batches
    assert [batch.id for batch in results] == [0, 1, 2, 3]
    assert [batch.id for batch in results[1:3]] == [1, 2]
    assert results[-1] == results[3]
    assert results == tuple(results) == results
    assert results != tuple(results)[:3]
    assert repr(results) == repr(tuple(results))
    with pytest.raises(IndexError, match="there are 4 mini-batches, from 0"):
        results[4]


def test_a_mini_batch_that_succeeded_in_the_end_has_all_its_attempts(tmp_path: Path) -> None:
    result = run_job(Scripted(at1=[ValueError("bad")]), make_files(tmp_path, 3), max_retries=1)
    assert attempts(result, 1) == ["exception", "succeeded"]
    assert [attempt.number for attempt in result.mini_batches[1].attempts] == [1, 2]


def test_one_that_was_never_begun_is_there(tmp_path: Path) -> None:
    result = run_job(Scripted(at0=[ValueError("bad")]), make_files(tmp_path, 3), max_retries=0, error_threshold=0)
    assert statuses(result) == ["failed", "unfinished", "unfinished"]
    assert result.mini_batches[2].attempts == ()
    assert result.mini_batches[2].size == 1


def test_one_that_waited_for_its_worker_when_the_job_ended_is_there(tmp_path: Path) -> None:
    script = Scripted(at0=[ValueError("bad")])
    result = run_job(script, make_files(tmp_path, 2), max_retries=0, error_threshold=0, instance_count=2)
    assert statuses(result) == ["failed", "unfinished"]
    assert [batch.id for batch in result.mini_batches] == [0, 1]


class Numbered(PrebuiltInput):
    """Two mini-batches that keep the ids they had in another job."""

    def mini_batches(self) -> Iterator[MiniBatch]:
        for mini_batch, number in zip(super().mini_batches(), (7, 3), strict=True):
            yield mini_batch._replace(id=number)


@pytest.mark.parametrize("bad", [None, 7, 3])
def test_ids_of_another_job_are_kept_in_the_order_of_the_input(bad: int | None) -> None:
    class Script:
        def run(self, batch: list[str], context: MiniBatchContext) -> list[str]:
            if context.minibatch_index == bad:
                raise ValueError("bad")
            return batch

    result = run_job(Script(), Numbered([["a"], ["b", "c"]], kind="files"), max_retries=0)  # type: ignore[arg-type]
    told = [(batch.id, batch.size, batch.status) for batch in result.mini_batches]
    assert told == [(7, 1, "failed" if bad == 7 else "succeeded"), (3, 2, "failed" if bad == 3 else "succeeded")]


def test_all_events_can_be_had_again(tmp_path: Path) -> None:
    result = run_job(Names(), make_files(tmp_path, 2))
    assert [attempt.mini_batch.id for attempt in result.attempts] == [0, 1]
    assert result.events[-1].status == "Completed"  # type: ignore[union-attr]

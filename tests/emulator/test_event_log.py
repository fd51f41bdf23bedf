from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallelrun.emulator.event_log import NOT_KEPT, EventLog
from pytest_parallelrun.emulator.events import AttemptEnded, Event, Failure, MiniBatchEnded, WorkerStarted
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.service.worker_info import MiniBatchContext
from pytest_parallelrun.emulator.splitting.model import MiniBatch, PrebuiltInput
from tests.emulator.jobs import Names, Scripted, attempts, make_files, run_job, statuses

PAIR = "pair"


def attempt(batch: MiniBatch, *, failure: Failure | None = None, returned: int = 2) -> AttemptEnded:
    return AttemptEnded(
        mini_batch=batch,
        number=1,
        worker=0,
        outcome="exception" if failure else "succeeded",
        returned=returned,
        value=[batch.id],
        started=1.0,
        loading=0.5,
        running=0.25,
        failure=failure,
        fault=None,
    )


def ended(batch: MiniBatch) -> MiniBatchEnded:
    return MiniBatchEnded(batch, "succeeded", batch.size, 0)


def events_of(kinds: list[str]) -> list[Event]:
    """A pair, or one event that is in none, for each of the kinds."""
    events: list[Event] = []
    for number, kind in enumerate(kinds):
        partition = (("store", str(number)),) if number % 3 else ()
        position = None if number % 2 else f"position {number}"
        batch = MiniBatch(id=number, size=2, first_item=2 * number, position=position, partition=partition)
        if kind == PAIR:
            events += [attempt(batch), ended(batch)]
        elif kind == "failed":
            events.append(attempt(batch, failure=Failure(phase="run", error="bad")))
        elif kind == "alone":
            events.append(attempt(batch))
        elif kind == "end":
            events.append(ended(batch))
        else:
            events.append(WorkerStarted(number, 0, 0.0, 0.0))
    return events


def log_of(events: list[Event]) -> EventLog:
    """The pairs among the events as pairs."""
    log = EventLog()
    for event, following in pairwise([*events, None]):
        if isinstance(event, AttemptEnded) and following == ended(event.mini_batch):
            log.append_pair(event)
        elif event is not None and (not log or event != log[-1]):
            log.append(event)
    return log


@settings(deadline=None)
@given(st.lists(st.sampled_from([PAIR, PAIR, "failed", "alone", "end", "worker"])))
def test_it_is_the_sequence_of_what_was_added(kinds: list[str]) -> None:
    events = events_of(kinds)
    log = log_of(events)
    assert list(log) == events
    assert [log[index] for index in range(len(log))] == events
    assert [log[-index] for index in range(1, len(log) + 1)] == events[::-1]
    assert list(log[1:-1]) == events[1:-1]


def test_an_index_beyond_its_ends_is_an_error() -> None:
    log = log_of(events_of([PAIR]))
    for index in (2, -3):
        with pytest.raises(IndexError, match="there are 2 events"):
            log[index]


def test_what_succeeded_at_once_is_kept_in_columns() -> None:
    log = log_of(events_of([PAIR, "failed", PAIR]))
    assert (log.pairs, len(log.others), list(log.pair_ids())) == (2, 1, [0, 2])


@pytest.mark.parametrize(
    ("script", "settings", "pairs"),
    [
        (Names(), {}, 3),
        (Scripted(at1=[ValueError("bad")]), {"max_retries": 1}, 3),
        (Scripted(at1=[ValueError("bad")]), {"max_retries": 0}, 2),
        (Scripted(at1=[[]]), {"max_retries": 0}, 2),
        (Scripted(at1=[[]]), {"rules": "observed"}, 2),
        (Scripted(at1=[None]), {"max_retries": 0}, 2),
    ],
)
def test_a_job_keeps_a_pair_for_each_mini_batch_that_succeeded(
    tmp_path: Path, script: object, settings: dict[str, Any], pairs: int
) -> None:
    events = run_job(script, make_files(tmp_path, 3), **settings).events
    assert isinstance(events, EventLog)
    assert events.pairs == pairs
    assert sum(isinstance(event, MiniBatchEnded) for event in events) == 3


def test_a_fault_is_kept_with_its_attempt(tmp_path: Path) -> None:
    fault = Fault.delivers_twice(mini_batch=1)
    events = run_job(Names(), make_files(tmp_path, 3), fault).events
    assert [event.fault for event in events if isinstance(event, AttemptEnded)] == [None, fault, None, fault]


def test_it_knows_the_longest_and_the_capped_of_its_pairs() -> None:
    batch = MiniBatch(id=0, size=2, first_item=0, position=None)
    log = EventLog()
    for each in (attempt(batch, returned=3)._replace(loading=2.0), attempt(batch)._replace(running=9.0)):
        log.append_pair(each)
    assert (log.capped, log.longest_loading, log.longest) == (1, 2.0, 9.5)


def test_only_the_attempts_can_be_had() -> None:
    events = events_of([PAIR, "worker", "failed"])
    assert list(log_of(events).attempts()) == [events[0], events[3]]


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


def test_results_beyond_a_limit_of_memory_are_kept_more_and_more_rarely() -> None:
    log = EventLog(kept_bytes=100_000)
    for number in range(3_000):
        batch = MiniBatch(id=number, size=1, first_item=number, position=None)
        each = attempt(batch, returned=1)._replace(value=["x" * 1_000])
        if number % 10:
            log.append_pair(each)
        else:
            log.append(each)
    kept = [each.mini_batch.id for each in log.attempts() if each.value is not NOT_KEPT]
    gaps = [later - before for before, later in pairwise(kept)]
    assert kept[:40] == list(range(40))
    assert sorted(gaps) == gaps
    assert gaps[-1] >= 64
    assert 60 < len(kept) < 110
    assert len(log) == 3_000 + 2_700


def test_an_attempt_without_results_is_not_counted_among_them() -> None:
    log = EventLog(kept_bytes=1)
    log.append(attempt(MiniBatch(id=0, size=1, first_item=0, position=None))._replace(returned=None, value=None))
    assert [each.value for each in log.attempts()] == [None]


def test_ends_that_are_not_in_pairs_can_be_had() -> None:
    log = EventLog()
    batch = MiniBatch(id=0, size=1, first_item=0, position=None)
    log.append_pair(attempt(batch, returned=1))
    log.append(ended(batch))
    assert list(log.ends()) == [ended(batch)]


def test_below_the_limit_all_results_are_kept_though_not_each_is_measured() -> None:
    log = EventLog(kept_bytes=1_000_000)
    for number in range(300):
        log.append(
            attempt(MiniBatch(id=number, size=1, first_item=number, position=None))._replace(value=["x" * 1_000])
        )
    assert [each.value for each in log.attempts()] == [["x" * 1_000]] * 300

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallelrun.emulator.event_log import EventLog
from pytest_parallelrun.emulator.events import AttemptEnded, Event, Failure, MiniBatchEnded, WorkerStarted
from pytest_parallelrun.emulator.faults import Fault
from pytest_parallelrun.emulator.splitting.model import MiniBatch

PAIR = "pair"


def attempt(batch: MiniBatch, *, failure: Failure | None = None, returned: int = 2) -> AttemptEnded:
    outcome = "exception" if failure else "succeeded"
    return AttemptEnded(batch, 1, 0, outcome, returned, [batch.id], 1.0, 0.5, 0.25, failure, None)  # type: ignore[arg-type]


def ended(batch: MiniBatch) -> MiniBatchEnded:
    return MiniBatchEnded(batch, "succeeded", batch.size, 0)


def events_of(kinds: list[str]) -> list[Event]:
    """A pair, or one event that is in none, for each of the kinds."""
    events: list[Event] = []
    for number, kind in enumerate(kinds):
        partition = (("store", str(number)),) if number % 3 else ()
        batch = MiniBatch(number, 2, 2 * number, None if number % 2 else f"place {number}", partition)
        if kind == PAIR:
            events += [attempt(batch), ended(batch)]
        elif kind == "failed":
            events.append(attempt(batch, failure=Failure("run", "bad")))
        elif kind == "alone":
            events.append(attempt(batch))
        elif kind == "end":
            events.append(ended(batch))
        else:
            events.append(WorkerStarted(number, 0, 0.0, 0.0))
    return events


def log_of(events: list[Event]) -> EventLog:
    log = EventLog()
    log.extend(events)
    return log


@given(st.lists(st.sampled_from([PAIR, PAIR, "failed", "alone", "end", "worker"])))
def test_it_is_the_sequence_of_what_was_added(kinds: list[str]) -> None:
    events = events_of(kinds)
    log = log_of(events)
    assert list(log) == events
    assert [log[index] for index in range(len(log))] == events
    assert [log[-index] for index in range(1, len(log) + 1)] == events[::-1]
    assert log[1:-1] == events[1:-1]


def test_an_index_beyond_its_ends_is_an_error() -> None:
    log = log_of(events_of([PAIR]))
    for index in (2, -3):
        with pytest.raises(IndexError, match="there are 2 events"):
            log[index]


def test_what_succeeded_at_once_is_kept_in_columns() -> None:
    log = log_of(events_of([PAIR, "failed", PAIR]))
    assert (log.pairs, len(log.others), list(log.pair_ids())) == (2, 1, [0, 2])


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda pair: (pair[0]._replace(outcome="short"), pair[1]),
        lambda pair: (pair[0]._replace(fault=Fault.drops(1)), pair[1]),
        lambda pair: (pair[0]._replace(returned=None), pair[1]),
        lambda pair: (pair[0], pair[1]._replace(succeeded=1, failed=1)),
        lambda pair: (pair[0], pair[1]._replace(failed=1)),
        lambda pair: (pair[0], pair[1]._replace(status="failed")),
        lambda pair: (pair[0], pair[1]._replace(mini_batch=MiniBatch(9, 2, 18, None))),
    ],
)
def test_what_did_not_is_kept_as_it_is(corrupt: object) -> None:
    pair = tuple(events_of([PAIR]))
    events = list(corrupt(pair))  # type: ignore[operator]
    log = log_of(events)
    assert log.pairs == 0
    assert list(log) == events


def test_it_knows_the_longest_and_the_capped_of_its_pairs() -> None:
    batch = MiniBatch(0, 2, 0, None)
    log = EventLog()
    for each in (attempt(batch, returned=3)._replace(loading=2.0), attempt(batch)._replace(running=9.0)):
        log.extend([each, ended(batch)])
    assert (log.capped, log.longest_loading, log.longest) == (1, 2.0, 9.5)


def test_only_the_attempts_can_be_had() -> None:
    events = events_of([PAIR, "worker", "failed"])
    assert list(log_of(events).attempts()) == [events[0], events[3]]

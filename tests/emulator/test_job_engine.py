"""The job with an engine that holds several deliveries at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_parallelrun.emulator.engines import Delivery
from pytest_parallelrun.emulator.events import AttemptEnded, Event, Failure, Outcome
from tests.emulator.jobs import Names, make_files, run_job, statuses


class OutOfOrder:
    """An engine that holds three deliveries and ends the latest one first, always well."""

    capacity = 3

    def __init__(self) -> None:
        self.most = 0
        self._held: list[Delivery] = []

    def start(self) -> None: ...

    def submit(self, delivery: Delivery) -> None:
        self._held.append(delivery)
        self.most = max(self.most, len(self._held))

    def collect(self) -> AttemptEnded:
        mini_batch, number = self._held.pop()
        bad = mini_batch.id == 2
        outcome: Outcome = "exception" if bad else "succeeded"
        failure = Failure("run", "bad") if bad else None
        returned = None if bad else mini_batch.size
        return AttemptEnded(mini_batch, number, 0, outcome, returned, [mini_batch.id], 0, 0, 0, failure, None)

    def worker_events(self) -> Sequence[Event]:
        return ()

    def elapsed(self) -> float:
        return 0.0

    def stop(self, *, normal: bool) -> None: ...

    def notes(self) -> Sequence[str]:
        return ()


@pytest.fixture
def out_of_order(monkeypatch: pytest.MonkeyPatch) -> OutOfOrder:
    engine = OutOfOrder()
    monkeypatch.setattr("pytest_parallelrun.emulator.job.InProcessEngine", lambda *arguments: engine)
    return engine


def test_an_engine_gets_as_many_deliveries_at_once_as_it_holds(out_of_order: OutOfOrder, tmp_path: Path) -> None:
    result = run_job(Names(), make_files(tmp_path, 6), max_retries=1)
    assert out_of_order.most == 3
    assert [(event.mini_batch.id, event.number) for event in result.attempts] == [
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 1),
        (2, 2),
        (1, 1),
        (0, 1),
    ]
    assert statuses(result) == ["succeeded", "succeeded", "failed", "succeeded", "succeeded", "succeeded"]


def test_what_an_engine_still_holds_when_the_job_is_stopped_is_unfinished(
    out_of_order: OutOfOrder, tmp_path: Path
) -> None:
    result = run_job(Names(), make_files(tmp_path, 6), max_retries=0, error_threshold=0)
    assert statuses(result) == ["unfinished", "unfinished", "failed", "unfinished", "unfinished", "unfinished"]
    assert out_of_order.most == 3
